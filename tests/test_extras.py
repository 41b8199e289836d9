"""An extra exists only while code uses it."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
MODULES = {"pytest-xdist": "xdist"}
"""What is imported of a package, where that is not its own name."""

PACKAGES = [
    (extra, re.match(r"[\w.-]+", requirement)[0])
    for extra, requirements in EXTRAS.items()
    for requirement in requirements
]


def imported():
    """Top-level modules that code, tests and benchmarks import, function-local ones included."""
    for path in (p for part in ("src", "tests", "benchmarks") for p in (ROOT / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.module.partition(".")[0]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                yield node.args[0].value


def commands():
    """Programs of the environment that the Makefile runs."""
    return set(re.findall(r"\$\(BIN\)/(\w+)", (ROOT / "Makefile").read_text()))


USED = set(imported()) | commands()
PINNED = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


@pytest.mark.parametrize(("extra", "package"), PACKAGES)
def test_a_package_of_an_extra_is_used_and_pinned(extra, package):
    assert MODULES.get(package, package.replace("-", "_")) in USED
    assert package in PINNED
