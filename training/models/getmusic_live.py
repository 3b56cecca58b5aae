"""Our GETMusic network for playing live: small, conducted, and with a past that is read once.

What it keeps of GETDiff: a grid of 14 rows, a column as one vector, hidden cells found by diffusion. What differs:

- A finished bar sees itself and earlier bars only, so its keys and values never change and are kept; the open columns
  (one or two bars) see one another and the past. A pass costs the window, not the song.
- Conditions of a column: place in the bar, chord, and density and register (`engine.music.bandfeatures`).
- A token's vector is its own plus what its pitches say, so chords that were seldom seen are known by their notes.

Shapes: B batch, L columns, V tokens of the dictionary, F features.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.music.bandfeatures import BAND_FEATURES, COLUMNS
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from training.models.getmusic import CELL_ROWS, ROWS, Cells, TokenRanges, cell_logits, rotary, sinusoids

__all__ = ["GetmusicLive", "GetmusicLiveConfig", "bars_before"]

_TIME: Final = 128
_LEVELS: Final = 2 * len(ROLES)
"""The last features: densities and registers, below 0 where nobody asked."""
_PARTS: Final = 128 + 128 + 3 * 12
"""What a token's pitches are written as: pitches, drums, pitch classes of all, of the lowest, of the highest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GetmusicLiveConfig:
    """Sizes.

    Args:
        cell: width of one cell. width, layers, heads, ff: of the transformer. dropout: while training.
        window: the most open columns, whole bars. context: the most columns, open ones and past together.
    """

    cell: int = 48
    width: int = 256
    layers: int = 6
    heads: int = 4
    ff: int = 1024
    dropout: float = 0.1
    window: int = 32
    context: int = 256


def bars_before(length: int) -> Tensor:
    """[L, L] which finished column (row) may look at which: its own bar and earlier ones."""
    bars = torch.arange(length) // COLUMNS
    return bars[:, None] >= bars[None]


def _parts(dictionary: Dictionary) -> Tensor:
    """[V + 2, _PARTS] the notes of every token, each group of unit length; roots of chords are pitch classes."""
    made = np.zeros((dictionary.size + 2, _PARTS), np.float32)
    for role in ROLES:
        for token in dictionary.ranges[role]:
            pitches = [pitch for pitch in dictionary.pitches(token) if pitch >= 0]
            size = max(1, len(pitches)) ** -0.5
            if role == "drum":
                made[token, [128 + pitch for pitch in pitches]] = size
            elif pitches:
                made[token, pitches] = size
                made[token, [256 + pitch % 12 for pitch in pitches]] = size
                made[token, [268 + pitches[0] % 12, 280 + pitches[-1] % 12]] = 1.0
    for pitch, token in enumerate(dictionary.roots):
        made[token, 256 + pitch] = 1.0
    return torch.from_numpy(made)


def _turn(x: Tensor, sines: Tensor, cosines: Tensor) -> Tensor:
    """Turn the halves of [B, heads, L, size] against each other by the angles of [L, size / 2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


class GetmusicLiveLayer(nn.Module):
    """Norm, attention; norm, two linear layers; each added to what came in."""

    def __init__(self, config: GetmusicLiveConfig) -> None:
        super().__init__()
        width = config.width
        self.heads, self.size, self.dropout = config.heads, width // config.heads, config.dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, config.ff), nn.Linear(config.ff, width)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, h: Tensor, angles: tuple[Tensor, Tensor], allowed: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[B, L, width], and its turned keys and its values [B, heads, L, size]."""
        shape = (h.shape[0], h.shape[1], 3, self.heads, self.size)
        query, key, value = self.mix(self.norm1(h)).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        query, key = _turn(query, *angles), _turn(key, *angles)
        keys, values = key, value
        if past is not None:
            keys, values = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
        drop = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(query, keys, values, allowed, drop)
        h = h + self.drop(self.out(mixed.transpose(1, 2).flatten(2)))
        h = h + self.drop(self.down(functional.gelu(self.up(self.norm2(h)))))
        return h, key, value


class GetmusicLive(nn.Module):
    """The network.

    Args:
        dictionary: gives the tokens and what they sound; the weights belong to it.
        config: sizes.
    """

    def __init__(self, dictionary: Dictionary, config: GetmusicLiveConfig | None = None) -> None:
        super().__init__()
        c = self.config = config or GetmusicLiveConfig()
        self.vocabulary = TokenRanges.of(dictionary)
        self.tokens = nn.Embedding(dictionary.size + 2, c.cell)
        self.parts = nn.Linear(_PARTS, c.cell, bias=False)
        self.flags = nn.Embedding(2, c.cell)
        self.inward = nn.Linear(ROWS * c.cell, c.width)
        self.time = nn.Sequential(nn.Linear(_TIME, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        conditions = BAND_FEATURES + _LEVELS
        self.features = nn.Sequential(nn.Linear(conditions, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.drop = nn.Dropout(c.dropout)
        self.layers = nn.ModuleList(GetmusicLiveLayer(c) for _ in range(c.layers))
        self.norm = nn.LayerNorm(c.width)
        self.outward = nn.Sequential(nn.Linear(c.width, c.width), nn.SiLU())
        self.last = nn.Linear(c.width, CELL_ROWS * c.cell)
        self.bias = nn.Parameter(torch.zeros(dictionary.size))
        self.register_buffer("notes", _parts(dictionary), persistent=False)
        self.register_buffer("places", rotary(4 * c.context, c.width // c.heads), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.flags.weight, std=0.02)
        nn.init.normal_(self.parts.weight, std=0.2)

    def table(self) -> Tensor:
        """[V + 2, cell] the vector of every token."""
        made: Tensor = self.tokens.weight + self.parts(self.get_buffer("notes"))
        return made

    def begin(self, tokens: Tensor, given: Tensor, t: Tensor, features: Tensor, table: Tensor) -> Tensor:
        """[B, L, width] columns before the first layer; arguments as of `forward`, `table` as `table()` gives it."""
        x = functional.embedding(tokens, table) + self.flags(given)
        levels = features[:, -_LEVELS:]
        known = (levels >= 0).to(levels.dtype)
        conditions = torch.cat([features[:, :-_LEVELS], levels * known, known], dim=1).transpose(1, 2)
        h = self.inward(x.transpose(1, 2).flatten(2)) + self.time(sinusoids(t)) + self.features(conditions)
        made: Tensor = self.drop(h)
        return made

    def run(
        self, h: Tensor, places: Tensor, allowed: Tensor | None, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """All layers.

        Args:
            h: [B, L, width]. places: int64 [L] of the columns in the song. allowed: bool [L, P + L], None for all.
            past: keys and values [B, layers, heads, P, size] of columns that come before.
        Returns:
            [B, L, width], and keys and values [B, layers, heads, L, size] of these columns.
        """
        sines, cosines = self.get_buffer("places")[places].chunk(2, dim=1)
        keys, values = [], []
        for index, layer in enumerate(self.layers):
            before = None if past is None else (past[0][:, index], past[1][:, index])
            h, key, value = layer(h, (sines, cosines), allowed, before)
            keys.append(key)
            values.append(value)
        return h, torch.stack(keys, dim=1), torch.stack(values, dim=1)

    def logits(self, h: Tensor, cells: Cells, table: Tensor) -> dict[str, Tensor]:
        """What cells may hold, of [B, L, width]: for each role [M_r, n_r + 1], PAD last, and ``duration``."""
        h = self.outward(self.norm(h))
        return cell_logits(h, self.last, CELL_ROWS, table, self.bias, self.vocabulary, cells)

    def forward(
        self,
        tokens: Tensor,
        given: Tensor,
        t: Tensor,
        features: Tensor,
        places: Tensor,
        allowed: Tensor | None,
        cells: Cells,
    ) -> dict[str, Tensor]:
        """What the cells that are asked for may hold.

        Args:
            tokens: int64 [B, 14, L], MASK where hidden, EMPTY where a track is not.
            given: int64 [B, 14, L], 1 for conditions and whatever is finished.
            t: int64 [B, L], 0..99, 0 for finished columns.
            features: [B, F, L].
            places: int64 [L] where each column lies in the song; two columns may share a place.
            allowed: bool [L, L] which column (row) may look at which; None for all.
        Returns:
            As `logits`.
        """
        table = self.table()
        h, _, _ = self.run(self.begin(tokens, given, t, features, table), places, allowed)
        return self.logits(h, cells, table)

    def past(self, tokens: Tensor, given: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [B, layers, heads, P, size] of finished columns [B, 14, P], the first of them place 0."""
        length = tokens.shape[2]
        t = torch.zeros_like(tokens[:, 0])
        h = self.begin(tokens, given, t, features, self.table())
        _, keys, values = self.run(h, torch.arange(length, device=h.device), bars_before(length).to(h.device))
        return keys, values

    def window(
        self,
        tokens: Tensor,
        given: Tensor,
        t: Tensor,
        features: Tensor,
        past: tuple[Tensor, Tensor],
        cells: Cells,
    ) -> dict[str, Tensor]:
        """As `forward` for the open columns only, [B, 14, W] and t [B], after a past that `past` has read."""
        table = self.table()
        h = self.begin(tokens, given, t[:, None].expand(-1, tokens.shape[2]), features, table)
        before = past[0].shape[3]
        places = torch.arange(before, before + tokens.shape[2], device=h.device)
        h, _, _ = self.run(h, places, None, past)
        return self.logits(h, cells, table)
