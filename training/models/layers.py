"""Layers that several networks share: TensorFlow's padding, noise, modulation, residual blocks.

Everything works on ``[B, C, T]``.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "AdaIN",
    "AdaINBlock",
    "DownBlock",
    "Hourglass",
    "Noise",
    "SameConv",
    "Step",
    "StepStack",
    "UpConv",
    "activate",
    "init_he",
    "pixel_shuffle",
    "pools",
    "same_padding",
    "split_noise",
    "time_major",
]

_HALF: Final = math.sqrt(0.5)


def same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Zeros left and right that TensorFlow's SAME puts around a length that `stride` divides.

    The odd zero goes to the right: (0, 1) for kernel 3 stride 2, (1, 2) for kernel 4 stride 1.
    """
    total = max(kernel - stride, 0)
    return total // 2, total - total // 2


def pixel_shuffle(x: Tensor) -> Tensor:
    """Channels to time, factor 2: ``[B, C, T]`` -> ``[B, C/2, 2T]`` with ``out[k, 2t+f] = in[2k+f, t]``."""
    batch, channels, length = x.shape
    return x.reshape(batch, channels // 2, 2, length).transpose(2, 3).reshape(batch, channels // 2, 2 * length)


def pools(x: Tensor, count: int) -> list[Tensor]:
    """`x` and `count` further copies, each half as long as the one before (averages of pairs)."""
    copies = [x]
    for _ in range(count):
        copies.append(functional.avg_pool1d(copies[-1], 2))
    return copies


def time_major(x: Tensor) -> Tensor:
    """``[B, C, T]`` -> ``[B, T*C]`` with flat index ``t*C + c``, the order in which Keras flattens."""
    return x.transpose(1, 2).flatten(1)


def split_noise(noise: Tensor | None, lengths: Sequence[int]) -> list[Tensor | None]:
    """One ``[B, T]`` array for each noise layer out of one ``[B, sum of lengths]``; all None for None.

    Raises:
        RuntimeError: the width is not the sum of `lengths` (torch's own message names both).
    """
    if noise is None:
        return [None] * len(lengths)
    return list(torch.split(noise, list(lengths), dim=-1))


def init_he(module: nn.Module) -> None:
    """He-uniform weights and zero biases, as Keras computes them.

    Source:
        Keras takes the fan-in from the last but one axis of a kernel, which for transposed convolutions is the
        output axis: bound sqrt(6 / (k * C_out)) there, sqrt(6 / (k * C_in)) elsewhere.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
            fan = layer.weight[0].numel()  # Conv1d [out, in, k], Linear [out, in]; ConvTranspose1d [in, out, k]
            bound = math.sqrt(6.0 / fan)
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SameConv(nn.Module):
    """Convolution with TensorFlow's SAME padding, or none."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, valid: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.padding = (0, 0) if valid else same_padding(kernel, stride)
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> ``[B, outputs, T/stride]`` (shorter where valid)."""
        if any(self.padding):
            x = functional.pad(x, self.padding)
        out: Tensor = self.conv(x)
        return out


class UpConv(nn.Module):
    """Transposed convolution of kernel 4 and stride 2: twice as long."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(inputs, outputs, 4, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> ``[B, outputs, 2T]``."""
        out: Tensor = self.conv(x)
        return out


class Noise(nn.Module):
    """Adds noise that all channels share, times one learned gain that starts at zero."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Add ``gain * noise``, noise ``[B, T]``; None adds nothing."""
        return x if noise is None else x + self.gain * noise.unsqueeze(1)


class AdaIN(nn.Module):
    """Divide by the standard deviation over time, multiply by a projection of a modulating sequence.

    No mean is taken off and nothing is added after.
    """

    def __init__(self, modulator: int, channels: int, eps: float) -> None:
        super().__init__()
        self.project = nn.Conv1d(modulator, channels, 1)
        self.eps = eps

    def forward(self, x: Tensor, modulator: Tensor) -> Tensor:
        """`x` ``[B, C, T]`` modulated by ``[B, M, T]``."""
        centred = x - x.mean(dim=2, keepdim=True)
        deviation = centred.square().mean(dim=2, keepdim=True).sqrt()
        out: Tensor = x / (deviation + self.eps) * self.project(modulator)
        return out


class Step(nn.Module):
    """One layer of a decoder or encoder: convolution, noise, batch normalisation, activation.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: taps; ignored where `up`.
        stride: 1 or 2.
        up: transposed convolution of kernel 4 and stride 2 instead.
        valid: no padding.
        noise: has a noise layer.
        norm: has batch normalisation (epsilon 1e-3, as Keras).
        activation: ``silu``, ``tanh``, ``clip`` (to -1..1) or ``none``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        up: bool = False,
        valid: bool = False,
        noise: bool = False,
        norm: bool = False,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.body: SameConv | UpConv = (
            UpConv(inputs, outputs) if up else SameConv(inputs, outputs, kernel, stride, valid)
        )
        self.noise = Noise() if noise else None
        self.norm = nn.BatchNorm1d(outputs, eps=1e-3, momentum=0.01) if norm else None
        self.activation = activation

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """`x` ``[B, C, T]``, noise ``[B, T out]`` or None."""
        x = self.body(x)
        if self.noise is not None:
            x = self.noise(x, noise)
        if self.norm is not None:
            x = self.norm(x)
        return activate(x, self.activation)


class StepStack(nn.Module):
    """Layers with noise, one after the other, and a last one without."""

    noise_lengths: tuple[int, ...]
    steps: nn.ModuleList
    out: Step

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """``[B, C, T]`` through all layers; `noise` ``[B, sum of noise_lengths]`` or None for none."""
        for step, part in zip(self.steps, split_noise(noise, self.noise_lengths), strict=True):
            x = step(x, part)
        out: Tensor = self.out(x)
        return out


class Hourglass(nn.Module):
    """What both decoders of level 1 have in common: one layer, three that halve, three that double, and shortcuts."""

    g0: Step
    g1: Step
    g2: Step
    g3: Step
    u1: Step
    u2: Step
    u3: Step

    def trunk(self, x: Tensor, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Outputs of ``g0``, ``u1``, ``u2`` and ``u3`` for ``[B, level1, T]``, T divisible by 8.

        Args:
            noise: of these seven layers, in the order of the fields; more may follow.
        """
        g0 = self.g0(x, noise[0])
        g1 = self.g1(g0, noise[1])
        g2 = self.g2(g1, noise[2])
        u1 = self.u1(self.g3(g2, noise[3]), noise[4])
        u2 = self.u2(u1 + g2, noise[5])
        return g0, u1, u2, self.u3(u2 + g1, noise[6])


def activate(x: Tensor, name: str) -> Tensor:
    """Apply the activation called `name`: ``silu``, ``tanh``, ``clip`` or ``none``."""
    match name:
        case "silu":
            return functional.silu(x)
        case "tanh":
            return torch.tanh(x)
        case "clip":
            return x.clamp(-1.0, 1.0)
        case _:
            return x


class AdaINBlock(nn.Module):
    """One layer of a generator: convolution, noise, AdaIN, SiLU."""

    def __init__(self, body: nn.Module, channels: int, modulator: int, eps: float) -> None:
        super().__init__()
        self.body = body
        self.noise = Noise()
        self.adain = AdaIN(modulator, channels, eps)

    def forward(self, x: Tensor, modulator: Tensor, noise: Tensor | None) -> Tensor:
        """`x` ``[B, C, T]``, modulator ``[B, M, T out]``, noise ``[B, T out]`` or None."""
        return functional.silu(self.adain(self.noise(self.body(x), noise), modulator))


class DownBlock(nn.Module):
    """Residual block of a discriminator: half as long, two convolutions beside averaged pairs.

    Args:
        inputs: channels in.
        outputs: channels out; where they differ, the shortcut has a projection without bias.
        first: kernel of the first convolution.
        kernel: kernel of the second, which has stride 2.
    """

    def __init__(self, inputs: int, outputs: int, first: int, kernel: int) -> None:
        super().__init__()
        self.c0 = SameConv(inputs, inputs, first)
        self.c1 = SameConv(inputs, outputs, kernel, 2)
        self.c3 = nn.Conv1d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inputs, T]`` -> ``[B, outputs, T/2]``."""
        y = functional.leaky_relu(self.c0(x), 0.2) * _HALF
        y = functional.leaky_relu(self.c1(y), 0.2) * _HALF
        short = functional.avg_pool1d(x, 2)
        return y + (short if self.c3 is None else self.c3(short))
