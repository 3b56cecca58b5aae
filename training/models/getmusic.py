"""GETDiff, the network of GETMusic, exactly as published: 90,696,265 parameters at the published sizes.

It reads a grid of 14 rows, two of each track, and says what each cell may hold. Each column is one vector to twelve
transformer layers, in which every column sees every other (Lv et al., "GETMusic", 2023; the code is
microsoft/muzic/getmusic, the layers those of RoFormer, Su et al., 2021).

Shapes: B batch, L columns, V tokens of the dictionary; EMPTY is V, MASK is V + 1.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.music.absorbing import STEPS
from engine.music.arrays import Mask
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary

__all__ = [
    "CELL_ROWS",
    "OFFICIAL",
    "ROWS",
    "Cells",
    "GETDiff",
    "GetdiffConfig",
    "TokenRanges",
    "as_cells",
    "cell_logits",
    "rotary",
    "rotate",
    "sinusoids",
]

ROWS: Final = 14
CELL_ROWS: Final = 2 * len(ROLES)
"""Rows of the six tracks, pitch and duration by turns; the two rows of chords are only ever given."""

_EPS: Final = 1e-12
_TIME: Final = 128
_FAR: Final = 10_000.0
_BAND: Final = 512
"""Up to this many columns all see all; beyond it each sees `_REACH` to either side, as the release does."""
_REACH: Final = 255
_UNSEEN: Final = -10_000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRanges:
    """Which tokens rows may hold.

    Args:
        size: V. lows, counts: of each track, its first pitch token and how many it has.
        lengths: tokens of duration rows in the order of their logits, see `Dictionary.lengths`.
    """

    size: int
    lows: tuple[int, ...]
    counts: tuple[int, ...]
    lengths: tuple[int, ...] = tuple(range(PAD + 1))

    @classmethod
    def of(cls, dictionary: Dictionary) -> "TokenRanges":
        """That of a dictionary."""
        spans = [dictionary.ranges[role] for role in ROLES]
        lows, counts = tuple(s.start for s in spans), tuple(len(s) for s in spans)
        return cls(size=dictionary.size, lows=lows, counts=counts, lengths=dictionary.lengths)

    def choices(self, track: int) -> Tensor:
        """Token ids of a track's logits, PAD last."""
        low = self.lows[track]
        return torch.tensor([*range(low, low + self.counts[track]), PAD])


OFFICIAL: Final = TokenRanges(
    size=11879, lows=(16, 144, 997, 5366, 6921, 10489), counts=(128, 853, 4369, 1555, 3568, 1370)
)


@dataclass(frozen=True, slots=True)
class Cells:
    """Which cells are asked for.

    Args:
        pitch: for each track int64 [M_r], b * L + column. duration: int64 [M], (b * 6 + track) * L + column.
    """

    pitch: tuple[Tensor, ...]
    duration: Tensor

    @classmethod
    def of(cls, asked: Mask) -> "Cells":
        """From a mask [B, 12, L] (or more rows, which are left alone), in the order of ``np.nonzero``."""
        length = asked.shape[2]
        pitch = []
        for track in range(len(ROLES)):
            items, columns = np.nonzero(asked[:, 2 * track])
            pitch.append(torch.from_numpy(items * length + columns))
        items, tracks, columns = np.nonzero(asked[:, 1:CELL_ROWS:2])
        return cls(tuple(pitch), torch.from_numpy((items * len(ROLES) + tracks) * length + columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class GetdiffConfig:
    """Sizes of the network; the defaults are the published ones.

    Args:
        cell: width of one cell. width, layers, heads, ff: of the transformer. dropout: while training.
        places: columns that it can count.
    """

    vocabulary: TokenRanges = OFFICIAL
    cell: int = 96
    width: int = 768
    layers: int = 12
    heads: int = 12
    ff: int = 3072
    dropout: float = 0.1
    places: int = 1536

    def to_json(self) -> str:
        """One line for people."""
        return json.dumps(asdict(self), sort_keys=True)


def sinusoids(steps: Tensor) -> Tensor:
    """[..., 128] of integer steps: cosines, then sines."""
    half = _TIME // 2
    rates = torch.exp(torch.arange(half, device=steps.device) * (-math.log(_FAR) / half))
    angles = steps.unsqueeze(-1).float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def rotary(places: int, size: int) -> Tensor:
    """[places, size]: sines of every place's angles, then cosines; angle i is place / 10000^(2 i / size)."""
    rates = np.power(_FAR, -2.0 * np.arange(size // 2) / size)
    angles = np.arange(places)[:, None] * rates[None]
    return torch.from_numpy(np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32))


def rotate(x: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
    """Turn neighbouring pairs of [B, heads, L, size] by the angles of [L, size / 2]."""
    first, second = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    turned = (first * cosines - second * sines, second * cosines + first * sines)
    return torch.stack(turned, dim=-1).flatten(-2)


class GetdiffLayer(nn.Module):
    """Attention and two linear layers, each followed by its norm (BERT's order)."""

    def __init__(self, config: GetdiffConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width, _EPS), nn.LayerNorm(width, _EPS)
        self.up, self.down = nn.Linear(width, config.ff), nn.Linear(config.ff, width)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, sines: Tensor, cosines: Tensor, seen: Tensor | None) -> Tensor:
        """[B, L, width]; `seen` [L, L] is added to the scores."""

        def split(x: Tensor) -> Tensor:
            return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

        query = rotate(split(self.query(h)), sines, cosines)
        key = rotate(split(self.key(h)), sines, cosines)
        drop = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, key, split(self.value(h)), seen, drop)
        h = self.norm1(h + self.drop(self.out(mixed.transpose(1, 2).flatten(2))))
        made: Tensor = self.norm2(h + self.drop(self.down(functional.gelu(self.up(h)))))
        return made


class GETDiff(nn.Module):
    """The published network, for any dictionary.

    Two buffers, `losses` and `draws` ``[100]``, are the running mean of squared losses and the number of draws of every
    diffusion step; training chooses its steps by them.
    """

    def __init__(self, config: GetdiffConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or GetdiffConfig()
        size = c.vocabulary.size
        self.tokens = nn.Embedding(size + 2, c.cell, padding_idx=size)
        self.flags = nn.Embedding(2, c.cell)
        self.time = nn.Sequential(nn.Linear(_TIME, c.cell), nn.SiLU(), nn.Linear(c.cell, c.cell))
        self.norm = nn.LayerNorm(ROWS * c.cell, _EPS)
        self.drop = nn.Dropout(c.dropout)
        self.inward = nn.Sequential(nn.Linear(ROWS * c.cell, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.layers = nn.ModuleList(GetdiffLayer(c) for _ in range(c.layers))
        self.outward = nn.Sequential(nn.Linear(c.width, ROWS * c.cell), nn.SiLU())
        self.last = nn.Linear(ROWS * c.cell, ROWS * c.cell)
        self.bias = nn.Parameter(torch.zeros(size + 2))
        self.register_buffer("places", rotary(c.places, c.width // c.heads), persistent=False)
        self.register_buffer("losses", torch.zeros(STEPS))
        self.register_buffer("draws", torch.zeros(STEPS))
        for layer in self.layers.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def hidden(self, tokens: Tensor, given: Tensor, t: Tensor, seen: Tensor | None = None) -> Tensor:
        """[B, L, width] of int64 tokens and given [B, 14, L] and t [B]; `seen` [L, L] is added to scores."""
        x = self.tokens(tokens) + self.flags(given) + self.time(sinusoids(t))[:, None, None]
        h: Tensor = self.inward(self.drop(self.norm(x.transpose(1, 2).flatten(2))))
        sines, cosines = self.get_buffer("places")[: tokens.shape[2]].chunk(2, dim=1)
        for layer in self.layers:
            h = layer(h, sines, cosines, seen)
        return h

    def vectors(self, h: Tensor) -> Tensor:
        """[B, 14, L, cell] what the layers have to say of every cell."""
        made: Tensor = self.last(self.outward(h))
        return made.reshape(h.shape[0], h.shape[1], ROWS, -1).transpose(1, 2)

    def all_logits(self, vectors: Tensor) -> Tensor:
        """[..., V] of cells' vectors [..., cell], whatever row they are of: EMPTY and MASK are never said."""
        size = self.config.vocabulary.size
        return functional.linear(vectors, self.tokens.weight[:size], self.bias[:size])

    def forward(self, tokens: Tensor, given: Tensor, t: Tensor, cells: Cells) -> dict[str, Tensor]:
        """What the cells that are asked for may hold.

        Args:
            tokens: int64 [B, 14, L], MASK where hidden, EMPTY where a track is not.
            given: int64 [B, 14, L], 1 for conditions.
            t: int64 [B], 0..99.
        Returns:
            For each role logits [M_r, n_r + 1] over its own tokens and PAD, and ``duration`` [M, 16 or more].
        """
        return self.logits(self.hidden(tokens, given, t, self.seen(tokens.shape[2])), cells)

    def logits(self, h: Tensor, cells: Cells) -> dict[str, Tensor]:
        """What cells may hold, of `hidden` [B, L, width]; see `cell_logits`."""
        return cell_logits(
            self.outward(h), self.last, ROWS, self.tokens.weight, self.bias, self.config.vocabulary, cells
        )

    def seen(self, length: int) -> Tensor | None:
        """What is added to scores: nothing while all columns may see all."""
        if self.training or length <= _BAND:
            return None
        place = torch.arange(length, device=self.bias.device)
        far = (place[:, None] - place[None]).abs() > _REACH
        return far.float() * _UNSEEN


def cell_logits(
    h: Tensor, last: nn.Linear, rows: int, table: Tensor, offsets: Tensor, vocabulary: TokenRanges, cells: Cells
) -> dict[str, Tensor]:
    """Logits of cells, each over the tokens that its row may hold.

    Cells are taken out before the last layers, so what nobody asked for costs nothing.

    Args:
        h: [B, L, inputs of `last`].
        last: makes the vectors [rows * cell] of a column's cells; the first rows are those of the six tracks.
        table: [V..., cell] vectors of tokens. offsets: [V...] their biases.
    Returns:
        For each role [M_r, n_r + 1], PAD last, and ``duration`` [M, lengths of the vocabulary].
    """
    tracks = len(ROLES)
    weight, bias = last.weight.reshape(rows, table.shape[1], -1), last.bias.reshape(rows, table.shape[1])
    columns, made = h.flatten(0, 1), {}
    for track, role in enumerate(ROLES):
        low, high = vocabulary.lows[track], vocabulary.lows[track] + vocabulary.counts[track]
        vectors = functional.linear(columns[cells.pitch[track]], weight[2 * track], bias[2 * track])
        choices = torch.cat([table[low:high], table[PAD : PAD + 1]])
        made[role] = functional.linear(vectors, choices, torch.cat([offsets[low:high], offsets[PAD : PAD + 1]]))
    lengths = weight[1:CELL_ROWS:2].flatten(0, 1), bias[1:CELL_ROWS:2].flatten(0, 1)
    vectors = functional.linear(h, *lengths).reshape(h.shape[0], h.shape[1], tracks, table.shape[1]).transpose(1, 2)
    vectors = vectors.flatten(0, 2)[cells.duration]
    parts = [values[: PAD + 1] for values in (table, offsets)]
    if len(vocabulary.lengths) > PAD + 1:
        more = slice(vocabulary.lengths[PAD + 1], vocabulary.lengths[-1] + 1)
        parts = [torch.cat([part, values[more]]) for part, values in zip(parts, (table, offsets), strict=True)]
    made["duration"] = functional.linear(vectors, *parts)
    return made


def as_cells(values: Mapping[str, Tensor] | Sequence[Tensor]) -> Cells:
    """`Cells` of named tensors ``cells_lead`` ... ``cells_string``, ``cells_duration``, or of seven in that order."""
    if isinstance(values, Mapping):
        values = [values[f"cells_{name}"] for name in (*ROLES, "duration")]
    return Cells(tuple(values[:-1]), values[-1])
