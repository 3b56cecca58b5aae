"""The autoencoder's judge: two-dimensional convolutions with spectral normalisation over a log spectrogram.

Its layout was never published; this one is ours. What is known of the original is kept: 2-D convolutions, spectral
normalisation by one power iteration, a channel that says how high a row lies, and a span of two decoded blocks.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["SpectrogramCritic"]


class SpectrogramCritic(nn.Module):
    """Scores patches of a log spectrogram; a place in time and frequency is judged with what surrounds it.

    Args:
        widths: channels of the strided layers; each halves both axes (rounding up).
    """

    def __init__(self, widths: Sequence[int] = (64, 128, 256, 512, 512)) -> None:
        super().__init__()
        sizes = [2, *widths]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, (5, 3), stride=2, padding=(2, 1))) for a, b in pairwise(sizes)
        )
        self.score = spectral_norm(nn.Conv2d(sizes[-1], 1, 3, padding=1))

    def forward(self, spectrogram: Tensor) -> Tensor:
        """[B, bins, T] normalised log magnitude -> [B, P], one score for each patch, unbounded."""
        bins, frames = spectrogram.shape[-2:]
        # Convolutions do not know where they are, but a hiss at 10 kHz and one at 100 Hz are different sounds.
        height = torch.linspace(-1.0, 1.0, bins, device=spectrogram.device, dtype=spectrogram.dtype)
        h = torch.stack([spectrogram, height[:, None].expand(len(spectrogram), bins, frames)], dim=1)
        for layer in self.layers:
            h = functional.leaky_relu(layer(h), 0.2)
        scores: Tensor = self.score(h)
        return scores.flatten(1)
