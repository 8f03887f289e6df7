"""Causal self-attention over sequences of items that are packed one after another, so that no step pads.

    x_0 = sqrt(d) E_i + P_p,    y = x + A(N(x)),    x' = y + F(N(y)),    h = N(x_K)

E: the item vectors; P_p: the vector of the place p, counted from the newest item of the sequence; N: a layer norm;
A: attention to the item itself and those before it; F: the feed-forward layers of each item by itself.

With relative times a head of A adds to the logit of item j, asked by item i, a number T of how long before i it was:

    q_i k_j / sqrt(d / heads) + T_b,    b = floor(log2(1 + t_i - t_j)) in seconds, at most 31

as the relative attention bias of HSTU does (Zhai et al. 2024, "Actions Speak Louder than Words", after T5's buckets of
positions). TiSASRec (Li et al. 2020) gives each interval vectors for keys and values instead.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from movierec_engine.data.sequences import TIME_BUCKETS, bucket_of_time, grouped_by_length
from movierec_engine.models.dropout import Draws, dropout
from movierec_engine.models.fold_in.sasrec import NORM_EPS
from movierec_engine.models.gradient import rows_of
from movierec_engine.training.trainable import SequenceNetwork

_INIT_STD = 0.02
"""Standard deviation of initial vectors and weights (the authors' code of gSASRec and eSASRec draw about as small)."""


class SASRecNetwork(SequenceNetwork):
    """items: float32 [n_items, d], E. positions: float32 [max_length, d], P."""

    def __init__(
        self,
        n_items: int,
        dim: int,
        max_length: int,
        num_blocks: int,
        num_heads: int,
        gated: bool,
        left_out: float,
        timed: bool = False,
    ) -> None:
        """timed: with relative times."""
        super().__init__()
        self.left_out, self.num_heads, self.timed = left_out, num_heads, timed
        self.items = nn.Parameter(torch.randn(n_items, dim).mul_(_INIT_STD))
        self.positions = nn.Parameter(torch.randn(max_length, dim).mul_(_INIT_STD))
        self.blocks = nn.ModuleList(Block(dim, num_heads, gated, left_out, timed) for _ in range(num_blocks))
        self.norm = nn.LayerNorm(dim, eps=NORM_EPS)

    def hidden(self, inputs: Tensor, lengths: Tensor, seconds: Tensor, draws: Draws | None = None) -> Tensor:
        """h after each item: float32 [t, d], of items int64 [t] of sequences of lengths int64 [w], on the CPU.

        seconds: int64 [t], on the CPU, the items' times; looked at with relative times alone.
        """
        packed = Packed(lengths, inputs.device, seconds if self.timed else None, draws)
        x = self.vectors(inputs) * math.sqrt(self.items.shape[1]) + rows_of(self.positions, packed.places)
        x = dropout(x, self.left_out, self.training, draws)
        for block in self.blocks:
            x = block(x, packed)
        hidden: Tensor = self.norm(x)
        return hidden

    def vectors(self, items: Tensor) -> Tensor:
        return rows_of(self.items, items)

    def floats_per_item(self) -> int:
        """Floats that training keeps of one item of a sequence, about."""
        of_layers = 24 * len(self.blocks) * self.items.shape[1]
        return of_layers + (len(self.positions) * (1 + 3 * len(self.blocks) * self.num_heads) if self.timed else 0)


class Packed:
    """Where the items of packed sequences are.

    places: int64 [t], of each item, 0 for the newest of a sequence.
    shapes: of each group of sequences of similar lengths, how many they are and how long the longest is.
    padded: int64 [p], the packed items of all groups one after another, with a sequence's last one as its padding.
    back: int64 [t], where each packed item is among those.
    since: int32 [g, n, n] of each group, the bucket of the time from each item (last) to each that asks; TIME_BUCKETS
        for those after it. None without times.
    draws: of dropout.
    """

    def __init__(
        self, lengths: Tensor, device: torch.device, seconds: Tensor | None, draws: Draws | None = None
    ) -> None:
        self.draws = draws
        each = lengths.numpy()
        ends = np.cumsum(each)
        places = np.repeat(ends, each) - 1 - np.arange(ends[-1])
        items, own, self.shapes = [], [], []
        for group in grouped_by_length(each):
            place, length = np.arange(each[group[0]]), each[group, None]
            items.append(((ends - each)[group, None] + np.minimum(place, length - 1)).ravel())
            own.append((place < length).ravel())
            self.shapes.append((len(group), len(place)))
        padded, real = np.concatenate(items), np.flatnonzero(np.concatenate(own))
        back = np.empty(ends[-1], dtype=np.int64)
        back[padded[real]] = real
        self.places, self.padded, self.back = (torch.from_numpy(one).to(device) for one in (places, padded, back))
        self.since: list[Tensor | None] = [None] * len(self.shapes)
        if seconds is not None:
            parts = np.split(seconds.numpy()[padded], np.cumsum([g * n for g, n in self.shapes])[:-1])
            self.since = [
                torch.from_numpy(_since(part.reshape(shape))).to(device)
                for part, shape in zip(parts, self.shapes, strict=True)
            ]


def _since(seconds: NDArray[np.int64]) -> NDArray[np.int32]:
    """`Packed.since` of a group's times, int64 [g, n]."""
    n = seconds.shape[1]
    buckets = bucket_of_time(np.maximum(seconds[:, :, None] - seconds[:, None, :], 0))
    buckets[:, np.triu_indices(n, 1)[0], np.triu_indices(n, 1)[1]] = TIME_BUCKETS
    return buckets


class Block(nn.Module):
    """One layer of attention and of feed-forward.

    Not gated, F is that of Kang and McAuley 2018: W_2 relu(W_1 x). Gated (LiGR, Borisyuk et al. 2024, as eSASRec has
    it): F is W_2 (silu(W_1 x) * W_3 x), 4 d wide, and A and F are multiplied by sigmoid(G x) of what they got.

    times: float32 [heads, TIME_BUCKETS], T; None without relative times.
    """

    def __init__(self, dim: int, num_heads: int, gated: bool, left_out: float, timed: bool) -> None:
        super().__init__()
        self.num_heads, self.left_out = num_heads, left_out
        self.norm_attention, self.norm_forward = (nn.LayerNorm(dim, eps=NORM_EPS) for _ in range(2))
        self.attention = nn.Linear(dim, 3 * dim)
        self.attended = nn.Linear(dim, dim)
        self.wide = nn.Linear(dim, 8 * dim if gated else dim)
        self.narrow = nn.Linear(4 * dim if gated else dim, dim)
        self.gates = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2 if gated else 0))
        self.times = nn.Parameter(torch.zeros(num_heads, TIME_BUCKETS)) if timed else None
        for name, weight in self.named_parameters():
            if name.endswith("weight") and weight.ndim == 2:
                nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        normed = self.norm_attention(x)
        x = x + self._gated(self._dropped(self._attention(normed, packed), packed), normed, 0)
        normed = self.norm_forward(x)
        return x + self._gated(self._dropped(self._forward(normed, packed), packed), normed, 1)

    def _dropped(self, values: Tensor, packed: Packed) -> Tensor:
        return dropout(values, self.left_out, self.training, packed.draws)

    def _attention(self, x: Tensor, packed: Packed) -> Tensor:
        """[t, d]. Padding comes after a sequence, where causal attention does not look."""
        d, found = x.shape[1], []
        projected = rows_of(self.attention(x), packed.padded)
        sizes = [g * n for g, n in packed.shapes]
        for part, shape, since in zip(torch.split(projected, sizes), packed.shapes, packed.since, strict=True):
            query, key, value = part.view(*shape, 3, self.num_heads, d // self.num_heads).permute(2, 0, 3, 1, 4)
            bias = None if since is None or self.times is None else bias_of(self.times, since)
            each = functional.scaled_dot_product_attention(query, key, value, bias, is_causal=bias is None)
            found.append(each.transpose(1, 2).reshape(-1, d))
        attended: Tensor = self.attended(rows_of(torch.cat(found), packed.back))
        return attended

    def _forward(self, x: Tensor, packed: Packed) -> Tensor:
        wide = self.wide(x)
        if len(self.gates):
            one, other = wide.chunk(2, dim=1)
            wide = functional.silu(one) * other
        else:
            wide = torch.relu(wide)
        narrow: Tensor = self.narrow(self._dropped(wide, packed))
        return narrow

    def _gated(self, change: Tensor, normed: Tensor, number: int) -> Tensor:
        return change * torch.sigmoid(self.gates[number](normed)) if len(self.gates) else change


def bias_of(times: Tensor, since: Tensor) -> Tensor:
    """T of each head by buckets int32 [g, n, n], and -inf for TIME_BUCKETS, what comes later: float32 [g, heads, n, n].

    With a gradient that adds in a fixed order.
    """
    tables = torch.cat([times, times.new_full((len(times), 1), -math.inf)], dim=1)
    if times.device.type == "cpu":  # of a table with one axis this takes a twentieth of what `rows_of` does
        return torch.stack([table.index_select(0, since.flatten()).view(since.shape) for table in tables], dim=1)
    return functional.embedding(since, tables.T).permute(0, 3, 1, 2)
