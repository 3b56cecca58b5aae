"""Musika: sizes, coordinates, the 44.1 kHz networks, and both variants as files.

A piece is made from coordinates (anchors joined by straight lines, beside a constant style vector): the generator
turns a patch of them into latents of both channels, two decoders turn blocks of latents of one channel into
magnitude and phase. Shapes are ``[B, C, T]``. Noise is one array ``[B, noise_length]``, cut into layers in order, or
None for none: random numbers come from the caller, so every result can be had again.

Source: Pasini & Schlueter, "Musika! Fast Infinite Waveform Music Generation", ISMIR 2022, and its release.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import safetensors.torch
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
    init_he,
    pixel_shuffle,
    pools,
    split_noise,
    time_major,
)
from training.models.musika22 import (
    Critic22,
    Decoder22,
    Encoder22,
    Generator22,
    LatentDecoder22,
    LatentEncoder22,
)

__all__ = [
    "M22",
    "M44",
    "M44_SMALL",
    "NETWORKS",
    "LatentDecoder",
    "LatentEncoder",
    "MusikaConfig",
    "MusikaCritic",
    "MusikaDecoder",
    "MusikaEncoder",
    "MusikaGenerator",
    "build",
    "interpolate",
    "load",
    "patch_positions",
    "save",
    "training_coordinates",
]

NETWORKS: Final = ("encoder", "encoder2", "decoder2", "decoder", "generator", "critic")
"""The networks of either variant, in the order in which sound passes them."""

_EPS: Final = 1e-5
_HALF: Final = 0.5**0.5


@dataclass(frozen=True, kw_only=True)
class MusikaConfig:
    """Sizes of one Musika; the defaults are the published 44.1 kHz model.

    Args:
        variant: ``m44`` (residual generator, no normalisation) or ``m22`` (the paper's networks).
        sample_rate: of the sound, in Hz.
        hop: samples between frames; the window is four hops, the spectrum has ``2 * hop + 1`` bins.
        level1: width of a level-1 latent, one for each frame.
        latent: width of a latent of one channel, also of anchors and style.
        seq_len: latents in a patch; 64 means the small generator of ``m44``.
        condition: further channels of the generator's coordinates (note density, tempo).
        critic_condition: the same for the discriminator's input.
        encoder, encoder2, decoder2, decoder, generator, critic: channels of the layers, in order.
        mu, sigma: a spectrum value in dB is ``sigma * value + mu``.
    """

    variant: Literal["m44", "m22"] = "m44"
    sample_rate: int = 44100
    hop: int = 256
    level1: int = 64
    latent: int = 64
    seq_len: int = 128
    condition: int = 0
    critic_condition: int = 0
    encoder: tuple[int, ...] = (1024, 1024, 1024, 1024, 1024)
    encoder2: tuple[int, ...] = (256, 384, 384, 512, 512, 768, 768)
    decoder2: tuple[int, ...] = (768, 640, 640, 512, 512, 384, 256)
    decoder: tuple[int, ...] = (768, 768, 512, 256)
    generator: tuple[int, ...] = (896, 768, 640, 512, 384, 256)
    critic: tuple[int, ...] = (384, 512, 640, 768, 896)
    mu: float = -25.0
    sigma: float = 75.0

    def __post_init__(self) -> None:
        if self.seq_len not in ((64, 128) if self.variant == "m44" else (128,)):
            raise ValueError(f"{self.variant} has no generator for patches of {self.seq_len} latents")

    @property
    def bins(self) -> int:
        """Frequencies of a frame, 0 Hz and the highest included."""
        return 2 * self.hop + 1

    @property
    def block(self) -> int:
        """Latents that are decoded together, into 64 frames."""
        return 4 if self.variant == "m44" else 8

    @property
    def frames_per_latent(self) -> int:
        """Level-1 latents, hence frames, in one latent."""
        return 64 // self.block

    @property
    def coordinates(self) -> int:
        """Channels of the generator's input: anchor, style, condition."""
        return 2 * self.latent + self.condition

    @property
    def anchor_spacing(self) -> int:
        """Latents from one anchor to the next."""
        return (3 if self.variant == "m44" else 2) * self.seq_len

    @property
    def first_position(self) -> float:
        """Where on the line through the anchors the first latent of patch 0 lies.

        The 44.1 kHz model was trained on half-integer positions with patches half a patch off the anchors only.
        """
        return self.seq_len / 2 + 0.5 if self.variant == "m44" else 0.0

    def to_json(self) -> str:
        """One line that `from_json` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "MusikaConfig":
        """Read what `to_json` wrote.

        Raises:
            ValueError: not such a text.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or set(values) != {f.name for f in fields(cls)}:
            raise ValueError("not the configuration of a Musika model: fields differ")
        taken: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**taken)


M44: Final = MusikaConfig()
M44_SMALL: Final = MusikaConfig(seq_len=64)
M22: Final = MusikaConfig(
    variant="m22",
    sample_rate=22050,
    level1=128,
    encoder=(544, 576, 640, 704, 768),
    encoder2=(256, 512, 640, 640, 768, 768),
    decoder2=(768, 768, 640, 512, 384),
    decoder=(768, 512, 384, 320, 1280),
    critic=(384, 512, 640, 768, 896, 1024),
)


class MusikaEncoder(nn.Sequential):
    """Level 1: one latent for each frame of a normalised spectrogram, frame by frame."""

    def __init__(self, bins: int, widths: Sequence[int], level1: int) -> None:
        sizes = [bins, *widths]
        steps = [Step(a, b) for a, b in zip(sizes, widths, strict=False)]
        super().__init__(*steps, Step(sizes[-1], level1, activation="tanh"))


class LatentEncoder(nn.Sequential):
    """Level 2: sixteen level-1 latents to one, blocks never seeing each other."""

    def __init__(self, level1: int, widths: Sequence[int], latent: int) -> None:
        sizes = [level1, *widths]
        plan = ((3, 1, False), (3, 2, True), (3, 1, False), (3, 2, True), (3, 1, False), (3, 1, True), (1, 1, False))
        steps = [
            Step(a, b, kernel, stride, valid=valid)
            for a, b, (kernel, stride, valid) in zip(sizes, widths, plan, strict=False)
        ]
        super().__init__(*steps, Step(sizes[-1], latent, activation="tanh"))


class LatentDecoder(StepStack):
    """Level 2 back: ``[B, latent, 4]`` to ``[B, level1, 64]``, blocks never seeing each other."""

    noise_lengths = (4, 8, 8, 16, 16, 32, 64)

    def __init__(self, latent: int, widths: Sequence[int], level1: int) -> None:
        super().__init__()
        sizes = [latent, *widths]
        ups = (False, True, False, True, False, True, True)
        self.steps = nn.ModuleList(
            Step(a, b, 3, up=up, noise=True) for a, b, up in zip(sizes, widths, ups, strict=False)
        )
        self.out = Step(sizes[-1], level1, activation="none")


class MusikaDecoder(Hourglass):
    """Level 1 back: 64 level-1 latents to 64 frames of magnitude and phase, both in -1..1.

    A U-Net with two ways up: the first makes magnitude, the second starts from the first and makes phase.
    """

    noise_lengths = (64, 32, 16, 8, 16, 32, 64, 32, 64)

    def __init__(self, level1: int, widths: Sequence[int], bins: int) -> None:
        super().__init__()
        w0, w1, w2, w3 = widths
        self.g0 = Step(level1, w0, 3, noise=True)
        self.g1 = Step(w0, w1, 3, 2, noise=True)
        self.g2 = Step(w1, w2, 3, 2, noise=True)
        self.g3 = Step(w2, w3, 3, 2, noise=True)
        self.u1 = Step(w3, w2, up=True, noise=True)
        self.u2 = Step(w2, w1, up=True, noise=True)
        self.u3 = Step(w1, w0, up=True, noise=True)
        self.p1 = Step(w2, w1, up=True, noise=True)
        self.p2 = Step(w1, w0, up=True, noise=True)
        self.magnitude = Step(w0, bins, activation="clip")
        self.phase = Step(w0, bins, activation="clip")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``[B, level1, 64]`` -> magnitude and phase, ``[B, bins, 64]`` each."""
        n = split_noise(noise, self.noise_lengths)
        g0, u1, u2, u3 = self.trunk(x, n)
        p2 = self.p2(self.p1(u1, n[7]) + u2, n[8])
        return self.magnitude(u3 + g0), self.phase(p2 + u3)


class _Stage(nn.Module):
    """Two generator layers beside a shortcut; twice as long where it `lifts`."""

    def __init__(self, inputs: int, outputs: int, coordinates: int, lifts: bool) -> None:
        super().__init__()
        self.lifts = lifts
        first: nn.Module = UpConv(inputs, outputs) if lifts else SameConv(inputs, outputs, 1)
        self.first = AdaINBlock(first, outputs, coordinates, _EPS)
        self.second = AdaINBlock(SameConv(outputs, outputs, 4 if lifts else 1), outputs, coordinates, _EPS)
        self.short = nn.Conv1d(inputs // 2 if lifts else inputs, outputs, 1)

    def forward(self, h: Tensor, modulator: Tensor, noise: Sequence[Tensor | None]) -> Tensor:
        y = self.first(h, modulator, noise[0]) * _HALF
        y = self.second(y, modulator, noise[1]) * _HALF
        out: Tensor = y + self.short(pixel_shuffle(h) if self.lifts else h)
        return out


class MusikaGenerator(nn.Module):
    """One patch of latents of both channels from coordinates.

    Args:
        coordinates: channels of the input.
        widths: channels of the stem, the four residual stages and the last stage.
        outputs: latents of both channels.
        small: patches of 64 latents; the first stage then keeps its length.
    """

    def __init__(self, coordinates: int, widths: Sequence[int], outputs: int, small: bool = False) -> None:
        super().__init__()
        self._stem = widths[0]
        self._depth = 5 if small else 6
        lengths = (4, 8, 16, 32) if small else (8, 16, 32, 64)
        self.noise_lengths = (4, *(n for length in lengths for n in (length, length)), 2 * lengths[-1])
        self.dense = nn.Linear(2 * coordinates, 4 * widths[0])
        self.stem = AdaINBlock(nn.Identity(), widths[0], coordinates, _EPS)
        self.stages = nn.ModuleList(
            _Stage(a, b, coordinates, lifts=index > 0 or not small) for index, (a, b) in enumerate(pairwise(widths[:5]))
        )
        self.last = AdaINBlock(UpConv(widths[4], widths[5]), widths[5], coordinates, _EPS)
        self.out = SameConv(widths[5], outputs, 4)

    def forward(self, coordinates: Tensor, noise: Tensor | None = None) -> Tensor:
        """``[B, coordinates, L]`` -> ``[B, outputs, L]``, unbounded, left channel first."""
        e = pools(coordinates, self._depth)
        n = split_noise(noise, self.noise_lengths)
        h = self.dense(time_major(e[self._depth])).reshape(-1, 4, self._stem).transpose(1, 2)
        h = self.stem(h, e[self._depth - 1], n[0])
        for index, stage in enumerate(self.stages):
            h = stage(h, e[4 - index], n[1 + 2 * index : 3 + 2 * index])
        h = self.last(h, e[0], n[9])
        out: Tensor = self.out(h)
        return out


class MusikaCritic(nn.Module):
    """Discriminator over two patches side by side; no normalisation of any kind."""

    def __init__(self, channels: int, widths: Sequence[int], small: bool = False) -> None:
        super().__init__()
        self.first = SameConv(channels, widths[0], 4, 2)
        blocks = [DownBlock(a, b, 4, 4) for a, b in pairwise(widths)]
        if not small:
            blocks.append(DownBlock(widths[-1], widths[-1], 1, 4))
        self.blocks = nn.ModuleList(blocks)
        self.last = SameConv(widths[-1], widths[-1], 3)
        self.score = nn.Linear(4 * widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, channels, 2 * L]`` -> ``[B, 1]``, unbounded."""
        h = functional.leaky_relu(self.first(x), 0.2)
        for block in self.blocks:
            h = block(h)
        h = functional.leaky_relu(self.last(h), 0.2)
        out: Tensor = self.score(time_major(h))
        return out


def build(config: MusikaConfig, name: str) -> nn.Module:
    """A network of `NETWORKS` with fresh weights (He-uniform, from torch's own random state)."""
    c, paper, stereo = config, config.variant == "m22", 2 * config.latent
    network: nn.Module
    match name:
        case "encoder":
            network = (Encoder22 if paper else MusikaEncoder)(c.bins, c.encoder, c.level1)
        case "encoder2":
            network = (LatentEncoder22 if paper else LatentEncoder)(c.level1, c.encoder2, c.latent)
        case "decoder2":
            network = (LatentDecoder22 if paper else LatentDecoder)(c.latent, c.decoder2, c.level1)
        case "decoder":
            network = (Decoder22 if paper else MusikaDecoder)(c.level1, c.decoder, c.bins)
        case "generator" if paper:
            network = Generator22(c.coordinates, c.generator, stereo)
        case "generator":
            network = MusikaGenerator(c.coordinates, c.generator, stereo, c.seq_len == 64)
        case "critic" if paper:
            network = Critic22(stereo, c.critic, c.critic_condition)
        case "critic":
            network = MusikaCritic(stereo + c.critic_condition, c.critic, c.seq_len == 64)
        case _:
            raise ValueError(f"Musika has no network '{name}'; there are {', '.join(NETWORKS)}")
    init_he(network)
    return network


def save(path: Path, config: MusikaConfig, networks: Mapping[str, nn.Module], notes: Mapping[str, Any]) -> None:
    """Write weights as ``path`` (safetensors) and what they are as JSON beside it.

    Args:
        path: ends in ``.safetensors``; the JSON file has the same name with ``.json``.
        networks: any of `NETWORKS`.
        notes: what else is worth keeping: where the weights come from, under which licence.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {f"{name}.{key}": v.contiguous() for name, n in networks.items() for key, v in n.state_dict().items()}
    safetensors.torch.save_file(weights, path, {"family": "musika"})
    about = {"family": "musika", "config": asdict(config), "notes": dict(notes)}
    path.with_suffix(".json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")


def load(path: Path) -> tuple[MusikaConfig, dict[str, nn.Module], dict[str, Any]]:
    """Read what `save` wrote: the sizes, the networks that are there in evaluation mode, the notes.

    Raises:
        ValueError: not a Musika checkpoint, or its weights do not fit its sizes.
    """
    about = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if about.get("family") != "musika":
        raise ValueError(f"{path} is a checkpoint of '{about.get('family')}', not of musika")
    config = MusikaConfig.from_json(json.dumps(about["config"]))
    weights = safetensors.torch.load_file(path)
    networks = {}
    for name in NETWORKS:
        own = {key.removeprefix(f"{name}."): v for key, v in weights.items() if key.startswith(f"{name}.")}
        if own:
            networks[name] = build(config, name)
            try:
                networks[name].load_state_dict(own)
            except RuntimeError as error:
                raise ValueError(f"{path}: weights of the {name} do not fit: {error}") from None
            networks[name].eval()
    return config, networks, about["notes"]


def interpolate(anchors: Tensor, positions: Tensor, spacing: int) -> Tensor:
    """Points on the straight lines that join anchors.

    Args:
        anchors: ``[B, K, D]``; anchor k lies at position ``k * spacing``.
        positions: ``[P]``, 0..(K - 1) * spacing.
        spacing: latents from one anchor to the next.
    Returns:
        ``[B, D, P]``.
    """
    left = (positions / spacing).floor().clamp(0, anchors.shape[1] - 2).long()
    share = (positions / spacing - left).to(anchors.dtype).unsqueeze(-1)
    points = anchors[:, left] * (1 - share) + anchors[:, left + 1] * share
    return points.transpose(1, 2)


def patch_positions(config: MusikaConfig, patch: int) -> Tensor:
    """Where the latents of patch number `patch` (from 0) lie on the line through the anchors, ``[seq_len]``."""
    return config.first_position + patch * config.seq_len + torch.arange(config.seq_len)


def training_coordinates(config: MusikaConfig, batch: int, generator: torch.Generator) -> Tensor:
    """Coordinates of two patches side by side for every item, without condition.

    Each item has its own style and three anchors from N(0, 1); where the window lies between the anchors is drawn once
    for the batch: on one of three places for the 44.1 kHz model, anywhere for the paper's.

    Returns:
        ``[batch, 2 * latent, 2 * seq_len]``.
    """
    span, length = config.anchor_spacing, config.seq_len
    drawn = torch.randn(batch, 4, config.latent, generator=generator)
    if config.variant == "m44":
        first = config.first_position + length * int(torch.randint(3, (), generator=generator))
    else:
        first = float(torch.randint(2 * span - 2 * length + 1, (), generator=generator))
    line = interpolate(drawn[:, :3], first + torch.arange(2 * length), span)
    return torch.cat([line, drawn[:, 3].unsqueeze(-1).expand(-1, -1, 2 * length)], dim=1)
