"""musika-live: Musika for the stage. Conducted, local in time, causal, 46 ms a step.

What it keeps of Musika (Pasini and Schlueter 2022): an autoencoder to slow latents, and a latent GAN driven by a
coordinate that moves between random anchors and by a style vector that modulates every layer.

What differs, and why:

- One latent frame is 2048 samples and every network is causal, so a change sounds within the next 46 ms.
- Style modulates each frame by itself; nothing is averaged over a patch, so there are no patches.
- MusikaLiveGenerator and decoder are *conducted*: they are given the phase of beat and bar and the sounding chord
  (`engine.music.conducting`), so tempo and harmony are followed, not guessed.
- The decoder makes sines, transients and noise (Serra and Smith 1990; Verma and Meng 2000; Engel et al. 2020)
  instead of magnitude and phase: oscillators that never stop have no phase to learn, so tones stay in tune for ever.

Shapes: B batch, T latent frames, F = 8 T decoder frames of 256 samples, N = 2048 T samples.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.models.musika_live.facts import MusikaLiveFacts
from engine.music.conducting import CLOCK_FEATURES, FRAME_FEATURES, GATES

__all__ = [
    "HOP",
    "NOISE_ROW",
    "OSCILLATORS",
    "SUBFRAMES",
    "SUBHOP",
    "MusikaLiveConfig",
    "MusikaLiveCritic",
    "MusikaLiveDecoder",
    "MusikaLiveEncoder",
    "MusikaLiveGenerator",
    "SynthParts",
    "oscillator_hz",
]

HOP: Final = 2048
SUBHOP: Final = 256
SUBFRAMES: Final = HOP // SUBHOP
WINDOW: Final = 2 * SUBHOP
LOWEST_NOTE: Final = 24
NOTES: Final = 73  # fundamentals, MIDI 24..96
OSCILLATORS: Final = 103  # partials, MIDI 24..126 (32.7 Hz..11.8 kHz)
PARTIALS: Final = 16
SHIFTS: Final = tuple(round(12 * math.log2(k + 1)) for k in range(PARTIALS))  # semitones of each partial
BANDS: Final = 48
NOISE_ROW: Final = 2 * (WINDOW // 2 + 1)  # normal numbers a decoder frame and channel: real, then imaginary
STRIKE_WAVES: Final = 32  # cosines of a transient frame, 43 Hz apart, up to 1.3 kHz


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaLiveConfig:
    """Widths of musika-live.

    Args:
        latent: channels of the latents, both sides of the stereo picture together.
        width: of the decoder. layers: parallel tone layers (as bass, chords, melody).
        dilations: of the decoder's causal convolutions, in decoder frames.
        style, coordinate: channels of the style vector and of the wandering coordinate.
        controls: channels of density, brightness and genre.
        generator, critic: their widths; generator_dilations: of its causal convolutions, in latent frames.
    """

    latent: int = 32
    width: int = 128
    layers: int = 3
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    style: int = 16
    coordinate: int = 16
    controls: int = 3
    generator: int = 192
    generator_dilations: tuple[int, ...] = (1, 2, 4, 8)
    critic: int = 128
    sample_rate: int = 44100

    def facts(self, spacing: int) -> MusikaLiveFacts:
        """What whoever plays these networks must know.

        Args:
            spacing: latent frames between two anchors of the coordinate in training.
        """
        return MusikaLiveFacts(
            sample_rate=self.sample_rate,
            hop=HOP,
            subframes=SUBFRAMES,
            latent=self.latent,
            style=self.style,
            coordinate=self.coordinate,
            controls=("density", "brightness", "genre"),
            generator_noise=len(self.generator_dilations),
            decoder_noise=NOISE_ROW,
            oscillator_hz=tuple(float(hz) for hz in oscillator_hz()),
            anchor_spacing=spacing,
            truncation=1.5,
        )


@dataclass(frozen=True, slots=True)
class SynthParts:
    """Sound by kind, [B, C, N]: `tones` from the oscillators (2), `strikes` (1), and `hiss`, the noise (2)."""

    tones: Tensor
    strikes: Tensor
    hiss: Tensor

    @property
    def beats(self) -> Tensor:
        return self.strikes + self.hiss

    @property
    def audio(self) -> Tensor:
        return self.tones + self.beats


def oscillator_hz() -> Tensor:
    """Frequencies [OSCILLATORS] of the equal-tempered oscillators."""
    return 440.0 * 2.0 ** ((torch.arange(OSCILLATORS, dtype=torch.float64) + LOWEST_NOTE - 69) / 12.0)


class CausalBlock(nn.Module):
    """x + pointwise(silu(causal dilated convolution(normed x) [modulated])). [B, C, T] to [B, C, T].

    `step` does the same to the next frames, given the last 2 x dilation normed inputs as its cache.
    """

    def __init__(self, width: int, dilation: int, modulation: int = 0) -> None:
        super().__init__()
        self.dilation = dilation
        self.scale = nn.Parameter(torch.ones(width, 1))
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation)
        self.point = nn.Conv1d(width, width, 1)
        self.modulate = nn.Conv1d(modulation, 2 * width, 1) if modulation else None
        nn.init.zeros_(self.point.weight)
        _fill(self.point, 0.0)

    def step(self, x: Tensor, cache: Tensor, modulation: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[B, C, T], cache [B, C, 2 x dilation] -> [B, C, T], next cache."""
        normed = x * torch.rsqrt((x * x).mean(dim=1, keepdim=True) + 1e-5) * self.scale
        joined = torch.cat([cache, normed], dim=2)
        y = self.conv(joined)
        if self.modulate is not None and modulation is not None:
            gain, shift = self.modulate(modulation).chunk(2, dim=1)
            y = y * (1.0 + gain) + shift
        out = x + self.point(functional.silu(y))
        return out, joined[:, :, -2 * self.dilation :]

    def forward(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """[B, C, T] -> [B, C, T], silence before the first frame."""
        empty = x.new_zeros(x.shape[0], x.shape[1], 2 * self.dilation)
        return self.step(x, empty, modulation)[0]


class MusikaLiveEncoder(nn.Module):
    """Spectra, clock and chord of each 2048 samples, with a neighbour on either side, to latents in -1..1."""

    def __init__(self, config: MusikaLiveConfig, features: int) -> None:
        super().__init__()
        width = 256
        self.into = nn.Conv1d(features + FRAME_FEATURES + config.controls, width, 1)
        self.conv = nn.Conv1d(width, width, 3, padding=1)
        self.mix = nn.Conv1d(width, width, 1)
        self.out = nn.Conv1d(width, config.latent, 1)

    def forward(self, features: Tensor, frame: Tensor, controls: Tensor) -> Tensor:
        """[B, features, T], [B, FRAME_FEATURES, T], [B, controls, T] -> [B, latent, T]."""
        h = functional.silu(self.into(torch.cat([features, frame, controls], dim=1)))
        h = h + functional.silu(self.conv(h))
        h = h + functional.silu(self.mix(h))
        return torch.tanh(self.out(h))


class MusikaLiveDecoder(nn.Module):
    """Latents, clock and chord gates to sines, transients and noise. Causal; frame f's values hold at its end."""

    sources: Tensor
    note_class: Tensor
    turns: Tensor
    bands: Tensor
    basis: Tensor
    waves: Tensor

    def __init__(self, config: MusikaLiveConfig) -> None:
        super().__init__()
        self.config = config
        self.stepping = False
        width, layers = config.width, config.layers
        self.into = nn.ConvTranspose1d(config.latent, width, SUBFRAMES, stride=SUBFRAMES)
        self.clock = nn.Conv1d(CLOCK_FEATURES, width, 1)
        self.blocks = nn.ModuleList(CausalBlock(width, d) for d in config.dilations)
        self.notes = nn.Conv1d(width, layers * GATES * NOTES, 1)
        self.partials = nn.Conv1d(width, layers * PARTIALS, 1)
        self.filters = nn.Conv1d(width, layers * OSCILLATORS, 1)
        self.pan = nn.Conv1d(width, layers * 12, 1)
        self.noise = nn.Conv1d(width, 2 * BANDS, 1)
        self.strike = nn.Sequential(
            nn.Conv1d(width + CLOCK_FEATURES, 192, 1), nn.SiLU(), nn.Conv1d(192, 192, 1), nn.SiLU(),
            nn.Conv1d(192, STRIKE_WAVES, 1),
        )  # fmt: skip
        _fill(self.notes, -3.0)
        _fill(self.noise, -4.0)
        self._tables()

    def _tables(self) -> None:
        """Constants: where partials lie, the oscillators over one frame, noise bands, windowed inverse transform."""
        source = torch.arange(OSCILLATORS)[None] - torch.tensor(SHIFTS)[:, None]
        source = torch.where((source >= 0) & (source < NOTES), source, NOTES)  # NOTES: the padding, silent
        self.register_buffer("sources", source.reshape(-1), persistent=False)
        classes = (torch.arange(OSCILLATORS) + LOWEST_NOTE) % 12
        self.register_buffer("note_class", classes[:NOTES].clone(), persistent=False)
        rate = self.config.sample_rate
        turn = 2.0 * torch.pi * oscillator_hz()[:, None] / rate * torch.arange(SUBHOP, dtype=torch.float64)
        ramp = (torch.arange(SUBHOP, dtype=torch.float64) + 1.0) / SUBHOP
        rows = [
            torch.cos(turn) * (1 - ramp),
            torch.sin(turn) * (1 - ramp),
            torch.cos(turn) * ramp,
            torch.sin(turn) * ramp,
        ]
        self.register_buffer("turns", torch.cat(rows).float(), persistent=False)
        bins = WINDOW // 2 + 1
        hz = torch.arange(bins) * rate / WINDOW
        centres = torch.logspace(2.0, 4.3, BANDS)
        centres = centres.clamp(max=rate / 2)
        place = torch.searchsorted(centres, hz.clamp(centres[0], centres[-1])).clamp(1, BANDS - 1)
        share = (
            (hz.clamp(centres[0], centres[-1]) - centres[place - 1]) / (centres[place] - centres[place - 1])
        ).clamp(0, 1)
        bands = torch.zeros(BANDS, bins)
        bands[place - 1, torch.arange(bins)] += 1 - share
        bands[place, torch.arange(bins)] += share
        # Below, strikes alone are heard: noise there would cover the body of a drum.
        bands[:, hz < 300.0] = 0.0
        self.register_buffer("bands", bands, persistent=False)
        n = torch.arange(WINDOW, dtype=torch.float64)
        angle = 2.0 * torch.pi * torch.arange(bins, dtype=torch.float64)[:, None] * n / WINDOW
        window = 0.5 - 0.5 * torch.cos(2.0 * torch.pi * n / WINDOW)
        basis = torch.cat([torch.cos(angle), -torch.sin(angle)]) * window / bins**0.5
        self.register_buffer("basis", basis.float(), persistent=False)
        order = torch.arange(1, STRIKE_WAVES + 1, dtype=torch.float64)[:, None]
        waves = torch.cos(torch.pi * order * (n + 0.5) / WINDOW) * window
        self.register_buffer("waves", waves.float(), persistent=False)

    def hidden(self, latents: Tensor, clock: Tensor, caches: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """[B, latent, T], [B, CLOCK_FEATURES, F] -> [B, width, F] and the next caches."""
        h = self.into(latents) + self.clock(clock)
        after = []
        for index, block in enumerate(self._causal_blocks()):
            h, cache = block.step(h, caches[index])
            after.append(cache)
        return h, after

    def _causal_blocks(self) -> list[CausalBlock]:
        return [block for block in self.blocks if isinstance(block, CausalBlock)]

    def empty_caches(self, batch: int, like: Tensor) -> list[Tensor]:
        """The caches of a start from silence."""
        return [like.new_zeros(batch, self.config.width, 2 * d) for d in self.config.dilations]

    def amplitudes(self, h: Tensor, gates: Tensor) -> Tensor:
        """Oscillator amplitudes [B, 2, F, OSCILLATORS] of hidden [B, width, F] under gates [B, GATES, 12, F]."""
        batch, _, frames = h.shape
        layers = self.config.layers
        notes = positive(self.notes(h)).reshape(batch, layers, GATES, NOTES, frames)
        open_notes = (notes * gates[:, None, :, self.note_class, :]).sum(dim=2)
        partials = positive(self.partials(h)).reshape(batch, layers, PARTIALS, frames)
        side = 0.9 * torch.tanh(self.pan(h)).reshape(batch, layers, 12, frames)[:, :, self.note_class, :]
        stereo = torch.stack([open_notes * (1.0 + side), open_notes * (1.0 - side)], dim=1)
        lines = self.lines(stereo.transpose(3, 4), partials.transpose(2, 3)[:, None])
        filters = positive(self.filters(h) + 2.0).reshape(batch, layers, OSCILLATORS, frames).transpose(2, 3)
        return (lines * filters[:, None]).sum(dim=2)

    def lines(self, notes: Tensor, partials: Tensor) -> Tensor:
        """Each note's partials at their oscillators: [..., NOTES] and [..., PARTIALS] to [..., OSCILLATORS].

        The same sum in two ways: sixteen shifted additions are fastest over long stretches, one gathered product
        over the eight frames of a step.
        """
        if self.stepping:
            # Rows last: each index then moves a whole run of memory.
            rows = functional.pad(notes, (0, 1)).reshape(-1, NOTES + 1).t()
            weights = partials.expand(*notes.shape[:-1], PARTIALS).reshape(-1, PARTIALS).t()
            gathered = rows[self.sources].reshape(PARTIALS, OSCILLATORS, -1)
            return (gathered * weights[:, None]).sum(dim=0).t().reshape(*notes.shape[:-1], OSCILLATORS)
        padded = functional.pad(notes, (SHIFTS[-1], OSCILLATORS - NOTES))
        total = padded[..., SHIFTS[-1] :] * partials[..., :1]
        for k, shift in enumerate(SHIFTS[1:], start=1):
            first = SHIFTS[-1] - shift
            total = total + padded[..., first : first + OSCILLATORS] * partials[..., k : k + 1]
        return total

    def tones(self, amplitudes: Tensor, before: Tensor, phase: Tensor) -> Tensor:
        """Sines [B, 2, N].

        Args:
            amplitudes: [B, 2, F, OSCILLATORS] at each frame's end; before: [B, 2, OSCILLATORS] at the first's start.
            phase: [B, 2, F, OSCILLATORS] cosine and sine of each oscillator at each frame's start.
        """
        starts = torch.cat([before[:, :, None], amplitudes[:, :, :-1]], dim=2)
        cos, sin = phase[:, None, 0], phase[:, None, 1]
        rows = torch.cat([starts * sin, starts * cos, amplitudes * sin, amplitudes * cos], dim=-1)
        return torch.matmul(rows, self.turns).flatten(2)

    def hiss(self, h: Tensor, noise: Tensor) -> Tensor:
        """Windowed frames [B, 2, F, WINDOW] of noise, for overlap-add by SUBHOP.

        Args:
            noise: [B, 2, F, 2 x bins] standard normal, real then imaginary parts.
        """
        bands = positive(self.noise(h)).reshape(h.shape[0], 2, BANDS, -1).transpose(2, 3)
        magnitude = torch.matmul(bands, self.bands)
        return torch.matmul(noise * torch.cat([magnitude, magnitude], dim=-1), self.basis)

    def strikes(self, h: Tensor, clock: Tensor) -> Tensor:
        """Windowed frames [B, 1, F, WINDOW] of transients, the waves of drums, for overlap-add by SUBHOP."""
        weights: Tensor = self.strike(torch.cat([h, clock], dim=1)).transpose(1, 2)
        return torch.matmul(weights, self.waves)[:, None]

    def forward(self, latents: Tensor, clock: Tensor, gates: Tensor, phase: Tensor, noise: Tensor) -> SynthParts:
        """A whole stretch from silence: see `hidden`, `amplitudes`, `tones` and `hiss` for the shapes."""
        h, _ = self.hidden(latents, clock, self.empty_caches(len(latents), latents))
        amplitudes = self.amplitudes(h, gates)
        tones = self.tones(amplitudes, torch.zeros_like(amplitudes[:, :, 0]), phase)
        return SynthParts(tones, overlap_add(self.strikes(h, clock)), overlap_add(self.hiss(h, noise)))


class MusikaLiveGenerator(nn.Module):
    """Coordinate, style, controls and conducting to latents; a frame sees the past only."""

    def __init__(self, config: MusikaLiveConfig) -> None:
        super().__init__()
        self.config = config
        width, local = config.generator, config.style + config.coordinate + config.controls
        self.into = nn.Conv1d(FRAME_FEATURES + local, width, 1)
        self.blocks = nn.ModuleList(CausalBlock(width, d, local) for d in config.generator_dilations)
        self.gains = nn.Parameter(torch.zeros(len(config.generator_dilations)))
        self.mid = nn.Conv1d(width + FRAME_FEATURES + local, 2 * width, 1)
        self.deep = nn.Conv1d(2 * width, width, 1)
        self.out = nn.Conv1d(width, config.latent, 1)

    def _causal_blocks(self) -> list[CausalBlock]:
        return [block for block in self.blocks if isinstance(block, CausalBlock)]

    def step(self, place: Tensor, frame: Tensor, noise: Tensor, caches: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The next frames.

        Args:
            place: [B, coordinate + style + controls, T].
            frame: [B, FRAME_FEATURES, T].
            noise: [B, blocks, T] standard normal, one row a noise layer, shared by its channels.
            caches: of each block, [B, width, 2 x dilation].
        Returns:
            latents [B, latent, T] in -1..1, and the next caches.
        """
        conditions = torch.cat([frame, place], dim=1)
        h = self.into(conditions)
        after = []
        for index, block in enumerate(self._causal_blocks()):
            h, cache = block.step(h, caches[index], place)
            h = h + self.gains[index] * noise[:, index : index + 1]
            after.append(cache)
        h = h + functional.silu(self.deep(functional.silu(self.mid(torch.cat([h, conditions], dim=1)))))
        return torch.tanh(self.out(h)), after

    def forward(self, place: Tensor, frame: Tensor, noise: Tensor) -> Tensor:
        """`step` from an empty past: [B, latent, T]."""
        caches = [place.new_zeros(len(place), self.config.generator, 2 * d) for d in self.config.generator_dilations]
        return self.step(place, frame, noise, caches)[0]


class MusikaLiveCritic(nn.Module):
    """Are these latents real, given their conditions? [B, latent + conditions, T] to scores [B, T / 8]."""

    def __init__(self, config: MusikaLiveConfig) -> None:
        super().__init__()
        conditions = FRAME_FEATURES + config.style + config.controls
        w = config.critic
        self.net = nn.Sequential(
            nn.Conv1d(config.latent + conditions, w, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Conv1d(w, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv1d(w, w, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv1d(w, 2 * w, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv1d(2 * w, 1, 1),
        )  # fmt: skip

    def forward(self, latents: Tensor, conditions: Tensor) -> Tensor:
        scores: Tensor = self.net(torch.cat([latents, conditions], dim=1))
        return scores[:, 0]


def _fill(layer: nn.Conv1d, value: float) -> None:
    """Start a layer's biases at one value."""
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)


def positive(x: Tensor) -> Tensor:
    """Any number to 0..2, steep near zero, so small levels are as easy to reach as great ones.

    Source: the exponentiated sigmoid of DDSP (Engel et al. 2020), 2 sigmoid(x)^ln(10) + 1e-7.
    """
    return 2.0 * torch.exp(2.302585 * functional.logsigmoid(x)) + 1e-7


def overlap_add(frames: Tensor) -> Tensor:
    """[B, C, F, 2 x SUBHOP] to [B, C, F x SUBHOP]: each frame's second half lies on the next one's first."""
    first, second = frames[..., :SUBHOP], frames[..., SUBHOP:]
    late = torch.cat([torch.zeros_like(second[:, :, :1]), second[:, :, :-1]], dim=2)
    return (first + late).flatten(2)
