"""The 22.05 kHz networks of the Musika paper: batch normalisation, SLE gates, cross-channel mixing.

Shapes are ``[B, C, T]``. Noise is one array ``[B, noise_length]``, cut into layers in order, or None for none.
Source: musika.md of the original release's ``22kHz`` folder; Pasini & Schlueter, ISMIR 2022.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import (
    AdaINBlock,
    DownBlock,
    Hourglass,
    SameConv,
    Step,
    StepStack,
    UpConv,
    pools,
    split_noise,
    time_major,
)

__all__ = ["Critic22", "Decoder22", "Encoder22", "Generator22", "LatentDecoder22", "LatentEncoder22", "Reconstructor"]

_EPS = 1e-7


class Encoder22(nn.Sequential):
    """Level 1: one latent for each spectrogram frame, frame by frame."""

    def __init__(self, bins: int, widths: Sequence[int], level1: int) -> None:
        sizes = [bins, *widths]
        steps = [Step(a, b, norm=True) for a, b in zip(sizes, widths, strict=False)]
        super().__init__(*steps, Step(sizes[-1], level1, activation="tanh"))


class LatentEncoder22(nn.Sequential):
    """Level 2: eight level-1 latents to one."""

    def __init__(self, level1: int, widths: Sequence[int], latent: int) -> None:
        sizes = [level1, *widths]
        kernels = (1, 3, 3, 1, 3, 2)
        steps = [Step(a, b, k, valid=True, norm=True) for a, b, k in zip(sizes, widths, kernels, strict=False)]
        super().__init__(*steps, Step(sizes[-1], latent, activation="tanh"))


class LatentDecoder22(StepStack):
    """Level 2 back: ``[B, latent, 8]`` to ``[B, level1, 64]``."""

    noise_lengths = (8, 16, 32, 32, 64)

    def __init__(self, latent: int, widths: Sequence[int], level1: int) -> None:
        super().__init__()
        sizes = [latent, *widths]
        ups = (False, True, True, False, True)
        self.steps = nn.ModuleList(
            Step(a, b, 4, up=up, noise=True, norm=True) for a, b, up in zip(sizes, widths, ups, strict=False)
        )
        self.out = Step(sizes[-1], level1, activation="tanh")


class Decoder22(Hourglass):
    """Level 1 back: 64 level-1 latents to 64 frames of magnitude and phase, both in -1..1."""

    noise_lengths = (64, 32, 16, 8, 16, 32, 64, 64)

    def __init__(self, level1: int, widths: Sequence[int], bins: int) -> None:
        super().__init__()
        w0, w1, w2, w3, wide = widths
        self.g0 = Step(level1, w0, noise=True, norm=True)
        self.g1 = Step(w0, w1, 3, 2, noise=True, norm=True)
        self.g2 = Step(w1, w2, 3, 2, noise=True, norm=True)
        self.g3 = Step(w2, w3, 3, 2, noise=True, norm=True)
        self.u1 = Step(w3, w2, up=True, noise=True, norm=True)
        self.u2 = Step(w2, w1, up=True, noise=True, norm=True)
        self.u3 = Step(w1, w0, up=True, noise=True, norm=True)
        self.wide = Step(w0, wide, noise=True, norm=True)
        self.magnitude = Step(wide, bins, activation="clip")
        self.phase = Step(wide, bins, activation="clip")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``[B, level1, 64]`` -> magnitude and phase, ``[B, bins, 64]`` each."""
        n = split_noise(noise, self.noise_lengths)
        g0, _, _, u3 = self.trunk(x, n)
        h = self.wide(u3 + g0, n[7])
        return self.magnitude(h), self.phase(h)


class _Gate(nn.Module):
    """Skip-layer excitation: the mean over time of an early layer scales the channels of a late one."""

    def __init__(self, source: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(source, channels, 1)
        self.second = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor, source: Tensor) -> Tensor:
        weights: Tensor = self.second(functional.silu(self.first(source.mean(dim=2, keepdim=True))))
        return x * torch.sigmoid(weights)


class Generator22(nn.Module):
    """One patch of 128 latents of both channels from coordinates, with SLE gates and a tanh at the end."""

    noise_lengths = (4, 8, 8, 16, 16, 32, 32, 64, 64, 128)

    def __init__(self, coordinates: int, widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        w0, w1, w2, w3, w4, w5 = widths
        self._stem = w0
        self.dense = nn.Linear(2 * coordinates, 4 * w0)
        self.stem = AdaINBlock(nn.Identity(), w0, coordinates, _EPS)
        plan = (
            (UpConv(w0, w1), w1), (SameConv(w1, w1, 1), w1),
            (UpConv(w1, w2), w2), (SameConv(w2, w2, 3), w2),
            (UpConv(w2, w3), w3), (SameConv(w3, w3, 3), w3),
            (UpConv(w3, w4), w4), (SameConv(w4, w4, 3), w4),
            (UpConv(w4, w5), w5),
        )  # fmt: skip
        self.blocks = nn.ModuleList(AdaINBlock(body, width, coordinates, _EPS) for body, width in plan)
        self.gates = nn.ModuleList(_Gate(a, b) for a, b in ((w1, w3), (w1, w3), (w2, w4), (w2, w4)))
        self.out = nn.Conv1d(w5, outputs, 1)

    def forward(self, coordinates: Tensor, noise: Tensor | None = None) -> Tensor:
        """``[B, coordinates, 128]`` -> ``[B, outputs, 128]`` in -1..1, left channel first."""
        e = pools(coordinates, 6)
        n = split_noise(noise, self.noise_lengths)
        h = self.dense(time_major(e[6])).reshape(-1, 4, self._stem).transpose(1, 2)
        h = self.stem(h, e[5], n[0])
        early: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            h = block(h, e[4 - index // 2], n[index + 1])
            if 4 <= index < 8:
                h = self.gates[index - 4](h, early[index - 4])
            early.append(h)
        return torch.tanh(self.out(h))


class Critic22(nn.Module):
    """Discriminator over two patches: a frozen random mixing of channels, then residual blocks.

    Args:
        channels: latents of both channels.
        widths: channels after the first convolution and after each block.
        condition: channels at the end of the input that pass by the mixing.
    """

    def __init__(self, channels: int, widths: Sequence[int], condition: int = 0) -> None:
        super().__init__()
        self._channels = channels
        self.mix = nn.Conv1d(channels, 2 * channels, 1, bias=False)
        self.mix.weight.requires_grad_(False)
        self.first = SameConv(2 * channels + condition, widths[0], 3, 2)
        pairs = list(pairwise(widths))
        self.blocks = nn.ModuleList(
            DownBlock(a, b, 1 if index == len(pairs) - 1 else 3, 3) for index, (a, b) in enumerate(pairs)
        )
        self.score = nn.Linear(4 * widths[-1], 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, channels + condition, 256]`` -> score ``[B, 1]`` and features ``[B, widths[-1], 4]``."""
        mixed = torch.cat([self.mix(x[:, : self._channels]), x[:, self._channels :]], dim=1)
        h = functional.leaky_relu(self.first(mixed), 0.2)
        for block in self.blocks:
            h = block(h)
        return self.score(time_major(h)), h


class Reconstructor(nn.Module):
    """Rebuilds real latents from the discriminator's features, which keeps those features honest."""

    def __init__(self, features: int, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        sizes = [features, *widths]
        self.ups = nn.ModuleList(UpConv(a, b) for a, b in zip(sizes, widths, strict=False))
        self.out = nn.Conv1d(sizes[-1], channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, features, 4]`` -> ``[B, channels, 256]`` in -1..1."""
        for up in self.ups:
            x = functional.leaky_relu(up(x), 0.2)
        return torch.tanh(self.out(x))
