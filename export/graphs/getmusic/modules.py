"""GETMusic's networks written down as they are traced.

Columns of all items lie in one matrix, so every linear layer is one product. Tables are made beforehand: the time
step's vectors, the angles of the rotary embedding, each row's own tokens. Queries and keys are made in another order of
their features, halves instead of pairs, which changes no score; the queries come scaled. Cells are taken out before the
last layers: what nobody asks for costs nothing.
"""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.music.absorbing import STEPS
from engine.music.bandfeatures import COLUMNS
from engine.music.score import ROLES
from training.models.getmusic import CELL_ROWS, ROWS, Cells, GETDiff, TokenRanges, as_cells, rotary, sinusoids
from training.models.getmusic_live import GetmusicLive

__all__ = ["CONTEXT", "NetworkGraph", "PastGraph", "WindowGraph"]

_LEVELS: Final = 2 * len(ROLES)
_UNSEEN: Final = -1e4
CONTEXT: Final = 512
"""Columns that the published network was trained on; beyond them it would need another view."""


class LinearProduct(nn.Module):
    """A linear layer as ``x @ matrix + bias`` of [N, inputs], the form in which products can be rounded."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(weight.detach().t().contiguous())
        self.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix + self.bias


def _product(layer: nn.Module, name: str = "") -> LinearProduct:
    """Of a linear layer, or of the one that a module calls `name`."""
    found = layer.get_submodule(name)
    assert isinstance(found, nn.Linear)
    return LinearProduct(found.weight, found.bias)


def _products(layers: Iterable[nn.Module], name: str) -> nn.ModuleList:
    return nn.ModuleList(_product(layer, name) for layer in layers)


def _each(layers: Iterable[nn.Module], name: str) -> nn.ModuleList:
    return nn.ModuleList(layer.get_submodule(name) for layer in layers)


class ColumnAttention(nn.Module):
    """What a layer's columns take from one another.

    Args:
        weight, bias: [3 * width, width], [3 * width] of the trained layers that make queries, keys and values.
        heads: of them.
        pairs: whether their features are turned in neighbouring pairs, not in halves.
    """

    def __init__(self, weight: Tensor, bias: Tensor, heads: int, pairs: bool) -> None:
        super().__init__()
        width = weight.shape[1]
        self.heads, self.size = heads, width // heads
        order = torch.arange(width)
        if pairs:
            order = order.reshape(heads, -1, 2).transpose(1, 2).flatten()
        order = torch.cat([order, width + order, 2 * width + torch.arange(width)])
        scale = torch.ones(3 * width)
        scale[:width] = self.size**-0.5
        self.mix = LinearProduct(weight[order] * scale[:, None], bias[order] * scale)

    def forward(
        self, h: Tensor, batch: Tensor, angles: Tensor, seen: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[B * L, width] of [B * L, width], turned keys and values [B, heads, L, size].

        Args:
            batch: B. angles: [L, 1, size] sines, then cosines. seen: [L, P + L], added to scores. past: keys, values.
        """
        made = self.mix(h).reshape(batch, -1, 3 * self.heads, self.size)
        turned, value = made[:, :, : 2 * self.heads], made[:, :, 2 * self.heads :].transpose(1, 2)
        half = self.size // 2
        first, second = turned[..., :half], turned[..., half:]
        sines, cosines = angles[..., :half], angles[..., half:]
        turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
        query, key = turned[:, :, : self.heads].transpose(1, 2), turned[:, :, self.heads :].transpose(1, 2)
        keys, values = key, value
        if past is not None:
            keys, values = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        scores = query @ keys.transpose(2, 3)
        if seen is not None:
            scores = scores + seen
        mixed = torch.softmax(scores, dim=-1) @ values
        return mixed.transpose(1, 2).reshape(-1, self.heads * self.size), key, value


class Heads(nn.Module):
    """Logits of cells from columns.

    Args:
        last: makes the vectors of a column's cells; its first rows are those of the six tracks.
        rows: that it makes. table, offsets: vectors of tokens and their biases.
    """

    def __init__(self, last: nn.Linear, rows: int, table: Tensor, offsets: Tensor, vocabulary: TokenRanges) -> None:
        super().__init__()
        cell = self.cell = table.shape[1]
        weight, bias = last.weight.detach().reshape(rows, cell, -1), last.bias.detach().reshape(rows, cell)
        choices = [vocabulary.choices(track) for track in range(len(ROLES))]
        self.vectors = nn.ModuleList(LinearProduct(weight[2 * k], bias[2 * k]) for k in range(len(ROLES)))
        self.tokens = nn.ModuleList(LinearProduct(table[ids], offsets[ids]) for ids in choices)
        self.lengths = LinearProduct(weight[1:CELL_ROWS:2].flatten(0, 1), bias[1:CELL_ROWS:2].flatten())
        lengths = torch.tensor(vocabulary.lengths)
        self.durations = LinearProduct(table[lengths], offsets[lengths])

    def forward(self, h: Tensor, batch: Tensor, cells: Cells) -> tuple[Tensor, ...]:
        """Of columns [B * L, inputs]: for each track [M_r, n_r + 1], then [M, lengths]."""
        made = []
        for vectors, tokens, places in zip(self.vectors, self.tokens, cells.pitch, strict=True):
            made.append(tokens(vectors(h[places])))
        lengths = self.lengths(h).reshape(batch, -1, len(ROLES), self.cell).transpose(1, 2).reshape(-1, self.cell)
        return (*made, self.durations(lengths[cells.duration]))


def _columns(table: Tensor, tokens: Tensor) -> Tensor:
    """[B, L, 14, cell] vectors of [B, 14, L] numbers."""
    return functional.embedding(tokens.transpose(1, 2), table)


def _times(layers: nn.Module) -> Tensor:
    """[100, width] the vector of every time step."""
    with torch.no_grad():
        made: Tensor = layers(sinusoids(torch.arange(STEPS)))
    return made


class NetworkGraph(nn.Module):
    """The published network as it is traced."""

    def __init__(self, network: GETDiff) -> None:
        super().__init__()
        c = network.config
        self.tokens, self.flags = network.tokens.weight, network.flags.weight
        self.time = nn.Parameter(_times(network.time))
        self.norm = network.norm
        self.norms, self.last_norms = _each(network.layers, "norm1"), _each(network.layers, "norm2")
        self.inward = nn.ModuleList([_product(network.inward[0]), _product(network.inward[2])])
        self.attentions = nn.ModuleList()
        for layer in network.layers:
            three = [_product(layer, name) for name in ("query", "key", "value")]
            weight, bias = torch.cat([p.matrix.t() for p in three]), torch.cat([p.bias for p in three])
            self.attentions.append(ColumnAttention(weight, bias, c.heads, pairs=True))
        self.outs, self.ups, self.downs = (_products(network.layers, name) for name in ("out", "up", "down"))
        self.outward = _product(network.outward[0])
        self.heads = Heads(network.last, ROWS, network.tokens.weight, network.bias, c.vocabulary)
        self.angles = nn.Parameter(rotary(CONTEXT, c.width // c.heads)[:, None])

    def forward(self, tokens: Tensor, given: Tensor, t: Tensor, *cells: Tensor) -> tuple[Tensor, ...]:
        """See `training.models.getmusic.GETDiff.forward`; seven tensors of cells, seven of logits."""
        batch = tokens.shape[0]
        x = _columns(self.tokens, tokens) + _columns(self.flags, given)
        x = x + functional.embedding(t, self.time)[:, None, None]
        h = self.norm(x.reshape(-1, self.norm.normalized_shape[0]))
        h = self.inward[1](functional.silu(self.inward[0](h)))
        angles = self.angles[: tokens.shape[2]]
        parts = zip(self.attentions, self.outs, self.norms, self.ups, self.downs, self.last_norms, strict=True)
        for attention, out, norm, up, down, last_norm in parts:
            mixed, _, _ = attention(h, batch, angles, None, None)
            h = norm(out(mixed) + h)
            h = last_norm(down(functional.gelu(up(h))) + h)
        made: tuple[Tensor, ...] = self.heads(functional.silu(self.outward(h)), batch, as_cells(cells))
        return made


class LiveBody(nn.Module):
    """The live network up to its last layer, as it is traced."""

    def __init__(self, network: GetmusicLive) -> None:
        super().__init__()
        c = network.config
        with torch.no_grad():
            table = network.table()
        self.tokens, self.flags = nn.Parameter(table), network.flags.weight
        self.time = nn.Parameter(_times(network.time))
        self.inward = _product(network.inward)
        self.features = nn.ModuleList([_product(network.features[0]), _product(network.features[2])])
        self.norms, self.norms2 = _each(network.layers, "norm1"), _each(network.layers, "norm2")
        mixes = [_product(layer, "mix") for layer in network.layers]
        self.attentions = nn.ModuleList(
            ColumnAttention(mix.matrix.t(), mix.bias, c.heads, pairs=False) for mix in mixes
        )
        self.outs, self.ups, self.downs = (_products(network.layers, name) for name in ("out", "up", "down"))
        self.angles = nn.Parameter(rotary(4 * c.context, c.width // c.heads)[:, None])

    def forward(
        self,
        tokens: Tensor,
        given: Tensor,
        t: Tensor | None,
        features: Tensor,
        past: tuple[Tensor, Tensor] | None,
        seen: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[B * L, width], keys and values [B, layers, heads, L, size]; t is [B], None for 0."""
        batch = tokens.shape[0]
        x = _columns(self.tokens, tokens) + _columns(self.flags, given)
        levels = features[:, -_LEVELS:]
        known = (levels >= 0).float()
        conditions = torch.cat([features[:, :-_LEVELS], levels * known, known], dim=1).transpose(1, 2)
        conditions = self.features[1](functional.silu(self.features[0](conditions.reshape(-1, conditions.shape[2]))))
        h = self.inward(x.reshape(-1, ROWS * self.tokens.shape[1])) + conditions
        if t is None:
            h = h + self.time[0]
        else:
            h = (h.reshape(batch, -1, h.shape[1]) + functional.embedding(t, self.time)[:, None]).reshape(-1, h.shape[1])
        first = 0 if past is None else past[0].shape[3]
        angles = self.angles[first : first + tokens.shape[2]]
        keys, values = [], []
        parts = zip(self.norms, self.attentions, self.outs, self.norms2, self.ups, self.downs, strict=True)
        for index, (norm, attention, out, norm2, up, down) in enumerate(parts):
            before = None if past is None else (past[0][:, index], past[1][:, index])
            mixed, key, value = attention(norm(h), batch, angles, seen, before)
            h = h + out(mixed)
            h = h + down(functional.gelu(up(norm2(h))))
            keys.append(key)
            values.append(value)
        return h, torch.stack(keys, dim=1), torch.stack(values, dim=1)


class PastGraph(nn.Module):
    """Finished columns to keys and values."""

    def __init__(self, network: GetmusicLive) -> None:
        super().__init__()
        self.body = LiveBody(network)
        bars = torch.arange(network.config.context) // COLUMNS
        self.seen = nn.Parameter((bars[:, None] < bars[None]).float() * _UNSEEN)

    def forward(self, tokens: Tensor, given: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """See `training.models.getmusic_live.GetmusicLive.past`."""
        length = tokens.shape[2]
        _, keys, values = self.body(tokens, given, None, features, None, self.seen[:length, :length])
        return keys, values


class WindowGraph(nn.Module):
    """Open columns after a past."""

    def __init__(self, network: GetmusicLive) -> None:
        super().__init__()
        self.body = LiveBody(network)
        self.norm, self.outward = network.norm, _product(network.outward[0])
        self.heads = Heads(network.last, CELL_ROWS, self.body.tokens, _padded(network), network.vocabulary)

    def forward(self, tokens: Tensor, given: Tensor, t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """See `training.models.getmusic_live.GetmusicLive.window`; cells (7), features, past keys, values."""
        *cells, features, past_k, past_v = rest
        h, _, _ = self.body(tokens, given, t, features, (past_k, past_v), None)
        h = functional.silu(self.outward(self.norm(h)))
        made: tuple[Tensor, ...] = self.heads(h, tokens.shape[0], as_cells(cells))
        return made


def _padded(network: GetmusicLive) -> Tensor:
    """Biases of all tokens, zeros for EMPTY and MASK."""
    return functional.pad(network.bias.detach(), (0, 2))
