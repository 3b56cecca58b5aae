"""T5's encoder as one graph: ``pieces`` and ``mask`` [B, L] to ``vectors`` [B, L, width]."""

import onnx
import torch
from torch import Tensor, nn

from export.trace import trace
from training.models.t5 import T5Encoder, buckets

__all__ = ["LONGEST", "Words", "text_graph"]

LONGEST = 256
"""Pieces of the longest text that the graph takes."""


class Words(nn.Module):
    """The encoder with its relative positions worked out for the longest text, of which shorter ones take a corner."""

    def __init__(self, encoder: T5Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("near", encoder.near(buckets(LONGEST)).permute(2, 0, 1)[None].detach(), persistent=False)
        self.near: Tensor

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """As `T5Encoder`."""
        length = pieces.shape[1]
        bias = self.near[:, :, :length, :length]
        bias = bias + (1.0 - mask)[:, None, None] * torch.finfo(bias.dtype).min
        x = self.encoder.embedding(pieces)
        for block in self.encoder.blocks:
            x = block(x, bias)
        out: Tensor = self.encoder.norm(x)
        return out


def text_graph(encoder: T5Encoder) -> tuple[onnx.ModelProto, Words, tuple[Tensor, Tensor]]:
    """The graph, what was traced, and inputs to compare them with."""
    words = Words(encoder).eval()
    rng = torch.Generator().manual_seed(0)
    pieces, mask = torch.randint(0, encoder.config.pieces, (2, 9), generator=rng), torch.ones(2, 9)
    mask[1, 5:] = 0.0
    free = {name: {0: "B", 1: "L"} for name in ("pieces", "mask", "vectors")}
    return trace(words, (pieces, mask), ["pieces", "mask"], ["vectors"], free), words, (pieces, mask)
