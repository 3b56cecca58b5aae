"""T5's encoder: text pieces to vectors, as MusicGen was trained to hear them.

The published one is only ever imported, never trained; a small one learns together with a language model of ours.

Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", 2020, the
first version of its encoder (ReLU, unscaled attention, relative positions shared by all layers).
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["T5_BASE", "T5Config", "T5Encoder", "buckets"]

_BUCKETS: Final = 32
_FARTHEST: Final = 128
_EPS: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class T5Config:
    """Sizes; the defaults are t5-base.

    Args:
        pieces: rows of the embedding. width: D. heads: of `head` values each. inner: width of the layer between.
        layers: blocks.
    """

    pieces: int = 32128
    width: int = 768
    heads: int = 12
    head: int = 64
    inner: int = 3072
    layers: int = 12


T5_BASE: Final = T5Config()


def buckets(length: int) -> Tensor:
    """``[length, length]``: the bucket 0..31 of key minus query position; sixteen each way, wider the farther."""
    away = torch.arange(length)[None] - torch.arange(length)[:, None]
    half, exact = _BUCKETS // 2, _BUCKETS // 4
    size = away.abs()
    # The logarithm in float, as published: it decides where buckets begin.
    far = exact + (torch.log(size.float().clamp(min=1) / exact) / math.log(_FARTHEST / exact) * (half - exact)).long()
    return torch.where(size < exact, size, far.clamp(max=half - 1)) + half * (away > 0)


class _Norm(nn.Module):
    """Divides by the root of the mean square; nothing is taken off or added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + _EPS)


class _Block(nn.Module):
    """Attention, then a layer between; each beside a shortcut."""

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        inside = config.heads * config.head
        self.heads = config.heads
        self.norm1, self.norm2 = _Norm(config.width), _Norm(config.width)
        self.q, self.k, self.v = (nn.Linear(config.width, inside, bias=False) for _ in range(3))
        self.o = nn.Linear(inside, config.width, bias=False)
        self.wi = nn.Linear(config.width, config.inner, bias=False)
        self.wo = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """`x` ``[B, L, D]``, `bias` ``[B, heads, L, L]`` on what attends to what."""
        h = self.norm1(x)
        q, k, v = (p(h).reshape(*h.shape[:2], self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = functional.scaled_dot_product_attention(q, k, v, bias, scale=1.0)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        out: Tensor = x + self.wo(functional.relu(self.wi(self.norm2(x))))
        return out


class T5Encoder(nn.Module):
    """Pieces ``[B, L]`` to vectors ``[B, L, D]``."""

    def __init__(self, config: T5Config = T5_BASE) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.pieces, config.width)
        self.near = nn.Embedding(_BUCKETS, config.heads)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.layers))
        self.norm = _Norm(config.width)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """`mask` ``[B, L]``: 1 where there is text, 0 behind its end; nothing attends to what is behind."""
        bias = self.near(buckets(pieces.shape[1]).to(pieces.device)).permute(2, 0, 1)[None]
        bias = bias + (1.0 - mask.to(bias.dtype))[:, None, None] * torch.finfo(bias.dtype).min
        x = self.embedding(pieces)
        for block in self.blocks:
            x = block(x, bias)
        out: Tensor = self.norm(x)
        return out
