"""The modified discrete cosine transform (MDCT): sound as blocks of coefficients and back, exactly.

Block `t` of `size` coefficients covers the `2 * size` samples around sample ``t * size``: it ends with the samples
that came with it. The inverse gives the samples before the middle of its newest block, so the sound leaves one block
after it came in.

Source: Princen and Bradley 1986; computed as a folded block through a DCT-IV (Malvar 1992), with the sine window.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["Mdct"]


class Mdct(nn.Module):
    """The transform, piece by piece: what a piece needs of the one before it is its cache.

    Args:
        size: coefficients of a block, even; samples from one block to the next.
    """

    cosine: Tensor
    window: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        places = torch.arange(size, dtype=torch.float64) + 0.5
        cosine = math.sqrt(2.0 / size) * torch.cos(math.pi / size * torch.outer(places, places))
        self.register_buffer("cosine", cosine.float(), persistent=False)
        rise = torch.sin(0.5 * math.pi / size * places)
        self.register_buffer("window", rise.float(), persistent=False)

    def forward(self, audio: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """The next blocks.

        Args:
            audio: ``[..., n * size]``. cache: ``[..., size]``, the samples before it; zeros at the beginning.
        Returns:
            Coefficients ``[..., n, size]``, and the next cache.
        """
        rows = torch.cat([cache, audio], dim=-1)
        rows = rows.reshape(*rows.shape[:-1], -1, self.size)
        return self._folded(rows[..., :-1, :], rows[..., 1:, :]) @ self.cosine, rows[..., -1, :]

    def _folded(self, before: Tensor, after: Tensor) -> Tensor:
        """``[..., n, size]``: both halves of each block, windowed, with their mirror images."""
        half = self.size // 2
        before, after = before * self.window, after * self.window.flip(0)
        first, second = before[..., :half], before[..., half:]
        third, fourth = after[..., :half], after[..., half:]
        return torch.cat([-third.flip(-1) - fourth, first - second.flip(-1)], dim=-1)

    def inverse(self, blocks: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """The sound that is complete after these blocks.

        Args:
            blocks: ``[..., n, size]``. cache: ``[..., size]``, the newest block's second half; zeros at the beginning.
        Returns:
            ``[..., n * size]``, one block late, and the next cache.
        """
        half = self.size // 2
        folded = blocks @ self.cosine
        mirrored, rest = folded[..., :half], folded[..., half:]
        rise = torch.cat([rest, -rest.flip(-1)], dim=-1) * self.window
        fall = torch.cat([-mirrored.flip(-1), -mirrored], dim=-1) * self.window.flip(0)
        falls = torch.cat([cache[..., None, :], fall], dim=-2)
        return (rise + falls[..., :-1, :]).flatten(-2), falls[..., -1, :]
