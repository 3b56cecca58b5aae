"""EnCodec: a convolutional codec with a recurrent middle and residual vector quantisation.

Sound ``[B, channels, N]`` becomes latents ``[B, width, T]``, one frame every `EncodecConfig.hop` samples, and codes
``[B, K, T]``. The 32 kHz codec of MusicGen, the 24 and 48 kHz ones and our own causal one differ in `EncodecConfig`
alone. Names of modules follow the release, so that importing is a table.

Source: Defossez et al., "High Fidelity Neural Audio Compression", 2022, and its release.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "ENCODEC_24",
    "ENCODEC_32",
    "ENCODEC_48",
    "ENCODEC_LIVE",
    "Conv",
    "Encodec",
    "EncodecConfig",
    "EncodecDecoder",
    "EncodecEncoder",
    "Memory",
    "Quantiser",
    "QuantiserSizes",
    "Residual",
    "TransposedConv",
    "init_weights",
    "nearest",
    "parameters",
]

_KERNEL: Final = 7  # of the first and the last convolution
_RESIDUAL_KERNEL: Final = 3
_QUIET: Final = 0.05  # of the decoder's last layer at the beginning: music is about a tenth as large as latents are


@dataclass(frozen=True, kw_only=True)
class EncodecConfig:
    """Sizes of one codec; the defaults are MusicGen's at 32 kHz.

    Args:
        sample_rate: Hz. channels: of the sound.
        ratios: by how much each stage of the decoder lengthens, first to last; the encoder takes them in reverse.
        filters: channels beside the sound; every stage doubles them.
        width: of a latent. lstm: recurrent layers in the middle.
        codebooks: K. entries: codes of each.
        causal: padded on the left only, so that nothing hears the future.
        reflect: padding repeats the sound backwards instead of with zeros.
        shortcut: residual blocks have a convolution beside them instead of nothing.
        group_norm: normalised over channels and time after each convolution (48 kHz) instead of by weight.
        trim_right: share of what a transposed convolution has too much that is cut off at its end, where causal.
    """

    sample_rate: int = 32000
    channels: int = 1
    ratios: tuple[int, ...] = (8, 5, 4, 4)
    filters: int = 64
    width: int = 128
    lstm: int = 2
    codebooks: int = 4
    entries: int = 2048
    causal: bool = False
    reflect: bool = True
    shortcut: bool = False
    group_norm: bool = False
    trim_right: float = 1.0

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return math.prod(self.ratios)

    @property
    def frame_rate(self) -> float:
        """Frames in a second."""
        return self.sample_rate / self.hop


ENCODEC_32: Final = EncodecConfig()
ENCODEC_24: Final = EncodecConfig(
    sample_rate=24000,
    ratios=(8, 5, 4, 2),
    filters=32,
    codebooks=32,
    entries=1024,
    causal=True,
    shortcut=True,
)
ENCODEC_48: Final = EncodecConfig(
    sample_rate=48000,
    channels=2,
    ratios=(8, 5, 4, 2),
    filters=32,
    codebooks=16,
    entries=1024,
    shortcut=True,
    group_norm=True,
)
ENCODEC_LIVE: Final = EncodecConfig(
    filters=16,
    width=64,
    lstm=1,
    entries=1024,
    causal=True,
    reflect=False,
)
"""Ours: 2 kbit/s, no look-ahead, padded with zeros so that a stream begins as a whole sound does.

One channel: so few bits are spent on what is played rather than on where, and prompts, codes and tools are those of
the published 32 kHz codec.
"""


def _weighted(layer: nn.Module, config: EncodecConfig) -> nn.Module:
    """Weight normalisation, unless groups are normalised instead."""
    return layer if config.group_norm else nn.utils.parametrizations.weight_norm(layer)


class Conv(nn.Module):
    """A convolution that pads so that `T` becomes ``ceil(T / stride)``."""

    def __init__(self, config: EncodecConfig, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = _weighted(nn.Conv1d(inputs, outputs, kernel, stride), config)
        self.norm = nn.GroupNorm(1, outputs) if config.group_norm else nn.Identity()
        self.kernel, self.stride = kernel, stride
        self._causal, self._reflect = config.causal, config.reflect

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> ``[B, outputs, ceil(T / stride)]``."""
        total = self.kernel - self.stride
        extra = -x.shape[2] % self.stride if self.stride > 1 else 0  # completes the last frame
        right = 0 if self._causal else total // 2
        out: Tensor = self.norm(self.conv(_padded(x, total - right, right + extra, self._reflect)))
        return out


def _padded(x: Tensor, left: int, right: int, reflect: bool) -> Tensor:
    """Zeros, or the sound backwards; what is too short for that is lengthened with zeros first."""
    if not reflect:
        return functional.pad(x, (left, right))
    # The facts of a graph say how much it needs; shorter input never gets there.
    missing = 0 if torch.onnx.is_in_onnx_export() else max(left, right) - x.shape[2] + 1
    if missing <= 0:
        return functional.pad(x, (left, right), mode="reflect")
    wide = functional.pad(functional.pad(x, (0, missing)), (left, right), mode="reflect")
    return wide[:, :, : wide.shape[2] - missing]


class TransposedConv(nn.Module):
    """A transposed convolution of kernel ``2 * stride``, cut so that `T` becomes ``stride * T``."""

    def __init__(self, config: EncodecConfig, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = _weighted(nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride), config)
        self.norm = nn.GroupNorm(1, outputs) if config.group_norm else nn.Identity()
        self.stride = stride
        self._right = math.ceil(stride * config.trim_right) if config.causal else stride // 2
        self._left = stride - self._right

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> ``[B, outputs, stride * T]``."""
        out: Tensor = self.norm(self.conv(x))
        return out[:, :, self._left : out.shape[2] - self._right]


class Residual(nn.Module):
    """Two convolutions of half the width beside the sound itself."""

    def __init__(self, config: EncodecConfig, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ELU(),
            Conv(config, width, width // 2, _RESIDUAL_KERNEL),
            nn.ELU(),
            Conv(config, width // 2, width, 1),
        )
        self.shortcut = Conv(config, width, width, 1) if config.shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> the same."""
        out: Tensor = self.shortcut(x) + self.block(x)
        return out


class Memory(nn.Module):
    """Recurrent layers beside the latents themselves."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> the same."""
        out: Tensor = self.lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0) + x
        return out


class EncodecEncoder(nn.Sequential):
    """Sound ``[B, channels, N]`` to latents ``[B, width, ceil(N / hop)]``."""

    def __init__(self, config: EncodecConfig) -> None:
        width = config.filters
        layers: list[nn.Module] = [Conv(config, config.channels, width, _KERNEL)]
        for ratio in reversed(config.ratios):
            layers += [Residual(config, width), nn.ELU(), Conv(config, width, 2 * width, 2 * ratio, ratio)]
            width *= 2
        layers += [Memory(width, config.lstm), nn.ELU(), Conv(config, width, config.width, _KERNEL)]
        super().__init__(*layers)


class EncodecDecoder(nn.Sequential):
    """Latents ``[B, width, T]`` to sound ``[B, channels, hop * T]``, unbounded."""

    def __init__(self, config: EncodecConfig) -> None:
        width = config.filters << len(config.ratios)
        layers: list[nn.Module] = [Conv(config, config.width, width, _KERNEL), Memory(width, config.lstm)]
        for ratio in config.ratios:
            layers += [nn.ELU(), TransposedConv(config, width, width // 2, ratio), Residual(config, width // 2)]
            width //= 2
        layers += [nn.ELU(), Conv(config, width, config.channels, _KERNEL)]
        super().__init__(*layers)


def nearest(rest: Tensor, book: Tensor) -> Tensor:
    """Codes ``[...]`` of the entries of `book` ``[entries, width]`` that lie nearest to `rest` ``[..., width]``."""
    # |r|^2 is the same for all entries, so it need not be added.
    return (rest @ book.T - 0.5 * book.square().sum(dim=1)).argmax(dim=-1)


class QuantiserSizes(Protocol):
    """What a quantiser must know of its codec: K codebooks of `entries` codes, latents of `width`."""

    @property
    def codebooks(self) -> int: ...

    @property
    def entries(self) -> int: ...

    @property
    def width(self) -> int: ...


class Quantiser(nn.Module):
    """Each codebook says what the ones before it left over.

    Codebooks are buffers: they are not learned by gradients but follow what is encoded
    (`training.tasks.encodec_books`).
    """

    def __init__(self, config: QuantiserSizes) -> None:
        super().__init__()
        self.books: Tensor
        self.register_buffer("books", torch.zeros(config.codebooks, config.entries, config.width))

    def encode(self, latents: Tensor, count: int | None = None) -> Tensor:
        """Codes ``[B, K, T]`` of latents ``[B, width, T]``; `count` codebooks, all if None."""
        rest, codes = latents.transpose(1, 2), []
        for book in self.books[:count]:
            code = nearest(rest, book)
            rest = rest - book[code]
            codes.append(code)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Latents ``[B, width, T]`` of codes ``[B, K, T]``, fewer codebooks allowed."""
        parts = [book[code] for book, code in zip(self.books, codes.unbind(dim=1), strict=False)]
        return torch.stack(parts).sum(dim=0).transpose(1, 2)


class Encodec(nn.Module):
    """The whole codec."""

    def __init__(self, config: EncodecConfig = ENCODEC_32) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder, self.quantiser = EncodecEncoder(config), EncodecDecoder(config), Quantiser(config)

    def encode(self, audio: Tensor, count: int | None = None) -> Tensor:
        """Codes ``[B, K, ceil(N / hop)]`` of sound ``[B, channels, N]`` in -1..1; `count` codebooks, all if None."""
        return self.quantiser.encode(self.encoder(audio), count)

    def decode(self, codes: Tensor) -> Tensor:
        """Sound ``[B, channels, hop * T]`` of codes ``[B, K, T]``; louder than 1 at times."""
        out: Tensor = self.decoder(self.quantiser.decode(codes))
        return out


def init_weights(codec: Encodec) -> None:
    """Begin so that sound keeps its size through all layers; torch's own beginning leaves next to nothing of it.

    Source: He et al. 2015, with the gain of an ELU, about the root of 3 / 2; a transposed convolution hears two inputs.
    """
    for module in codec.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            kernel = 2 if isinstance(module, nn.ConvTranspose1d) else module.kernel_size[0]
            module.weight = torch.randn_like(module.weight) * math.sqrt(1.5 / (module.in_channels * kernel))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if module is _last(codec):
                module.weight = module.weight.detach() * _QUIET


def _last(codec: Encodec) -> nn.Module:
    """The convolution that makes sound."""
    layer = codec.decoder[-1]
    assert isinstance(layer, Conv)
    return layer.conv


def parameters(modules: Sequence[nn.Module]) -> int:
    """Trained values, each convolution counted with its normalisation folded in."""
    total = 0
    for module in modules:
        for part in module.modules():
            if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
                total += part.weight.numel() + (0 if part.bias is None else part.bias.numel())
            elif isinstance(part, nn.LSTM):
                total += sum(value.numel() for value in part.parameters())
    return total
