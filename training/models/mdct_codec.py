"""Our codec: stereo sound as latents and residual codes, by a causal network that works once a frame.

No layer runs at the sample rate: sound becomes MDCT coefficients, blocks of a ConvNeXt-like network make latents of
them, and the decoder makes coefficients again. Every layer has a cache of what the next piece needs of this one, so
that a stream gives what the whole gives.

Source: frame-rate synthesis as in Siuzdak, "Vocos", 2023, with the MDCT in place of the complex spectrum, so that
frames do not overlap in what they say; blocks of Liu et al., "A ConvNet for the 2020s", 2022; quantiser of
Zeghidour et al., "SoundStream", 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.encodec import Quantiser
from training.models.mdct import Mdct

__all__ = ["MDCT_CODEC", "FrameBlock", "MdctCodec", "MdctCodecConfig", "MdctDecoder", "MdctEncoder"]

_CORNER_HZ: Final = 300.0  # coefficients of music fall by 6 dB an octave above it, measured on recordings
_LOUD: Final = 0.8  # and are about this large below it in a loud mix
_SIDE: Final = 0.5  # those of the side signal beside those of the middle
_SOFT: Final = 4.0  # coefficients a quarter as large as in a loud mix are compressed little
_MOST_GAIN: Final = 8.0  # the largest logarithm of a gain: from -70 dB to 70 dB
_FLOOR: Final = 1e-7  # power of a band that counts as silence


@dataclass(frozen=True, kw_only=True)
class MdctCodecConfig:
    """Sizes of one codec.

    Args:
        sample_rate: Hz. channels: 2.
        hop: samples of a frame.
        parts: MDCT blocks in a frame: more of them place attacks better, fewer tell tones apart better.
        bands: energies by which the encoder sees levels, and gains by which the decoder sets them, of each block.
        width: of a latent. codebooks: K. entries: codes of each.
        encoder, decoder: (width, blocks) of the networks. kernel: frames that a block sees. expansion: of its middle.
    """

    sample_rate: int = 44100
    channels: int = 2
    hop: int = 1024
    parts: int = 2
    bands: int = 48
    width: int = 64
    codebooks: int = 12
    entries: int = 1024
    encoder: tuple[int, int] = (256, 4)
    decoder: tuple[int, int] = (384, 6)
    kernel: int = 7
    expansion: int = 3

    @property
    def frame_rate(self) -> float:
        """Frames in a second."""
        return self.sample_rate / self.hop

    @property
    def block(self) -> int:
        """Coefficients of an MDCT block."""
        return self.hop // self.parts


MDCT_CODEC: Final = MdctCodecConfig()


def _scale(config: MdctCodecConfig) -> Tensor:
    """``[channels, block]``: how large coefficients of a loud mix are."""
    hz = (torch.arange(config.block) + 0.5) * (0.5 * config.sample_rate / config.block)
    middle = _LOUD / (1.0 + hz / _CORNER_HZ)
    return torch.stack([middle, _SIDE * middle])


def _bands(config: MdctCodecConfig) -> Tensor:
    """``[bands, block]``: triangles over coefficients, each coefficient's weights adding up to 1.

    Their centres lie a block's spacing apart at low frequencies and grow apart as hearing does.
    """
    places = torch.arange(config.block, dtype=torch.float64)
    steps = torch.linspace(0.0, 1.0, config.bands, dtype=torch.float64)
    curve = 60.0  # how much wider the last triangle is than the first
    centres = (config.block - 1) * (curve**steps - 1.0) / (curve - 1.0)
    after = torch.searchsorted(centres, places.clamp(max=float(centres[-1]))).clamp(1, config.bands - 1)
    low, high = centres[after - 1], centres[after]
    share = ((places - low) / (high - low)).clamp(0.0, 1.0)
    made = torch.zeros(config.bands, config.block, dtype=torch.float64)
    made[after - 1, places.long()] = 1.0 - share
    made[after, places.long()] += share
    return made.float()


def _compressed(x: Tensor) -> Tensor:
    """The inverse hyperbolic sine, of operators that a graph has: a line near zero, a logarithm far from it."""
    size = x.abs()
    return x.sign() * (size + (x.square() + 1.0).sqrt()).log()


class FrameBlock(nn.Module):
    """A convolution over time for each feature, then a small network of each frame, beside the frames themselves.

    Args:
        width: of its frames. kernel: frames that it sees. expansion: its middle is as many times wider.
    """

    def __init__(self, width: int, kernel: int, expansion: int) -> None:
        super().__init__()
        self.before = kernel - 1
        self.time = nn.Conv1d(width, width, kernel, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.3))

    def forward(self, x: Tensor, cache: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, T, width]`` and ``[B, kernel - 1, width]`` -> the same, moved on."""
        known = torch.cat([cache, x], dim=1)
        y = self.norm(self.time(known.transpose(1, 2)).transpose(1, 2))
        y = self.narrow(functional.gelu(self.wide(y), approximate="tanh"))
        return x + self.scale * y, known[:, -self.before :]


class _FrameBlocks(nn.Module):
    """Blocks of one width, with a cache each."""

    def __init__(self, config: MdctCodecConfig, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.width, count = sizes
        self.blocks = nn.ModuleList(FrameBlock(self.width, config.kernel, config.expansion) for _ in range(count))
        self.norm = nn.LayerNorm(self.width)
        self.before = config.kernel - 1

    def empty(self, batch: int) -> list[Tensor]:
        """Caches of a stream that begins."""
        like = self.norm.weight
        return [like.new_zeros(batch, self.before, self.width) for _ in self.blocks]

    def forward(self, x: Tensor, caches: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        following = []
        for block, cache in zip(self.blocks, caches, strict=True):
            x, kept = block(x, cache)
            following.append(kept)
        return self.norm(x), following


class _CachedHalf(nn.Module):
    """What encoder and decoder have in common: the transform, scales, bands, and blocks with their caches.

    Args:
        sizes: (width, blocks) of its network.
    """

    scale: Tensor
    bands: Tensor

    def __init__(self, config: MdctCodecConfig, sizes: tuple[int, int]) -> None:
        super().__init__()
        self.config, self.mdct = config, Mdct(config.block)
        self.register_buffer("scale", _scale(config), persistent=False)
        self.register_buffer("bands", _bands(config), persistent=False)
        self.network = _FrameBlocks(config, sizes)

    def empty(self, batch: int) -> list[Tensor]:
        """Caches of a stream that begins."""
        return [self.scale.new_zeros(batch, self.config.channels, self.config.block), *self.network.empty(batch)]


class MdctEncoder(_CachedHalf):
    """Sound to latents."""

    def __init__(self, config: MdctCodecConfig) -> None:
        super().__init__(config, config.encoder)
        rows = config.parts * config.channels * (config.block + config.bands)
        self.begin = nn.Linear(rows, config.encoder[0])
        self.end = nn.Linear(config.encoder[0], config.width)
        self.direct = nn.Linear(rows, config.width)  # phases pass in a straight line, so they are learned first

    def step(self, audio: Tensor, caches: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The next latents ``[B, width, n]`` of sound ``[B, 2, n * hop]``, and the next caches.

        A frame's latent is known when its last sample is; it describes the samples around the frame's beginning.
        """
        left, right = audio[:, 0], audio[:, 1]
        sides = torch.stack([0.5 * (left + right), 0.5 * (left - right)], dim=1)
        blocks, kept = self.mdct(sides, caches[0])  # [B, 2, n * parts, block]
        blocks = blocks / self.scale[:, None]
        # Levels of bands, about -2..1 between silence and a loud mix.
        levels = 0.15 * (blocks.square() @ self.bands.T / self.bands.sum(dim=1).clamp(min=0.1) + _FLOOR).log()
        rows = torch.cat([_compressed(_SOFT * blocks), levels], dim=3)
        batch, channels, _, row = rows.shape
        rows = rows.reshape(batch, channels, -1, self.config.parts, row).permute(0, 2, 3, 1, 4).flatten(2)
        x, following = self.network(self.begin(rows), caches[1:])
        return (self.end(x) + self.direct(rows)).transpose(1, 2), [kept, *following]

    def forward(self, audio: Tensor) -> Tensor:
        """Latents ``[B, width, T]`` of sound ``[B, 2, N]``, N up to whole frames filled with silence."""
        audio = functional.pad(audio, (0, -audio.shape[2] % self.config.hop))
        out: Tensor = self.step(audio, self.empty(audio.shape[0]))[0]
        return out


class MdctDecoder(_CachedHalf):
    """Latents to sound."""

    def __init__(self, config: MdctCodecConfig) -> None:
        super().__init__(config, config.decoder)
        width, coefficients = config.decoder[0], config.parts * config.channels * config.block
        self.begin = nn.Linear(config.width, width)
        self.shape = nn.Linear(width, coefficients)
        self.direct = nn.Linear(config.width, coefficients)
        self.gain = nn.Linear(width, config.parts * config.channels * config.bands)

    def step(self, latents: Tensor, caches: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Sound ``[B, 2, n * hop]`` of latents ``[B, width, n]``, `MdctCodec.delay` late, and the next caches."""
        config = self.config
        frames = latents.transpose(1, 2)
        x, following = self.network(self.begin(frames), caches[1:])
        sizes = (config.parts, config.channels)
        shapes, gains = (
            part.unflatten(2, (*sizes, -1)).transpose(2, 3).transpose(1, 2).flatten(2, 3)  # [B, 2, n * parts, ...]
            for part in (self.shape(x) + self.direct(frames), self.gain(x))
        )
        blocks = self.scale[:, None] * shapes * (_MOST_GAIN * torch.tanh(gains @ self.bands / _MOST_GAIN)).exp()
        sides, kept = self.mdct.inverse(blocks, caches[0])
        middle, side = sides[:, 0], sides[:, 1]
        return torch.stack([middle + side, middle - side], dim=1), [kept, *following]

    def forward(self, latents: Tensor) -> Tensor:
        """Sound ``[B, 2, hop * T]`` of latents ``[B, width, T]``, in time with what was encoded.

        Of the last block only the first half is known: it fades out over `MdctCodec.delay`.
        """
        audio, caches = self.step(latents, self.empty(latents.shape[0]))
        rest = caches[0]
        middle, side = rest[:, 0], rest[:, 1]
        tail = torch.stack([middle + side, middle - side], dim=1)
        return torch.cat([audio[:, :, self.config.block :], tail], dim=2)


class MdctCodec(nn.Module):
    """The whole codec."""

    def __init__(self, config: MdctCodecConfig = MDCT_CODEC) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = MdctEncoder(config), MdctDecoder(config)
        self.quantiser = Quantiser(config)
        nn.init.normal_(self.decoder.gain.weight, std=0.01)
        nn.init.zeros_(self.decoder.gain.bias)

    @property
    def delay(self) -> int:
        """Samples by which a stream's sound leaves later than its latents are known."""
        return self.config.block

    def encode(self, audio: Tensor, count: int | None = None) -> Tensor:
        """Codes ``[B, K, ceil(N / hop)]`` of sound ``[B, 2, N]`` in -1..1; `count` codebooks, all if None."""
        return self.quantiser.encode(self.encoder(audio), count)

    def decode(self, codes: Tensor) -> Tensor:
        """Sound ``[B, 2, hop * T]`` of codes ``[B, K, T]``; louder than 1 at times."""
        out: Tensor = self.decoder(self.quantiser.decode(codes))
        return out
