"""What musika-live's encoder hears: spectra of each 2048 samples, and how strongly each chord tone sounds.

Torch, so that features are made in batches; the encoder exists for training alone and is not exported.
"""

import torch
from torch import Tensor, nn

from engine.music.conducting import GATES
from engine.music.spectrum import mel_matrix
from training.models.musika_live import HOP, SUBFRAMES

__all__ = ["FEATURES", "LiveFeatures", "oscillator_phase"]

BANDS = 56
LOWEST, SEMITONES = 36, 60  # MIDI 36..95
_OCTAVES = SEMITONES // 12
FEATURES = SUBFRAMES * BANDS * 2 + 2 * (GATES - 1) * _OCTAVES


class LiveFeatures(nn.Module):
    """[B, 2, N] sound and [B, GATES, 12, F] gates to [B, FEATURES, T]."""

    mel: Tensor
    semitones: Tensor
    window: Tensor
    long_window: Tensor

    def __init__(self, sample_rate: int = 44100) -> None:
        super().__init__()
        self.register_buffer("mel", torch.from_numpy(mel_matrix(sample_rate, 1024, BANDS)), persistent=False)
        hz = torch.arange(2049) * sample_rate / 4096
        note = 69.0 + 12.0 * torch.log2(hz.clamp(min=1.0) / 440.0)
        distance = (note[None] - (LOWEST + torch.arange(SEMITONES))[:, None]).abs()
        width = torch.clamp(12.0 * sample_rate / 4096 / (hz.clamp(min=1.0) * 0.6931), min=1.0)
        self.register_buffer("semitones", torch.clamp(1.0 - distance / width[None], min=0.0), persistent=False)
        self.register_buffer("window", torch.hann_window(1024), persistent=False)
        self.register_buffer("long_window", torch.hann_window(4096), persistent=False)

    def forward(self, audio: Tensor, gates: Tensor) -> Tensor:
        batch, _, samples = audio.shape
        frames = samples // HOP
        picture = torch.stack([audio.mean(dim=1), 0.5 * (audio[:, 0] - audio[:, 1])], dim=1)
        flat = nn.functional.pad(picture.flatten(0, 1), (384, 384))
        spectrum = torch.stft(flat, 1024, 256, window=self.window, center=False, return_complex=True).abs()
        mel = level(torch.matmul(self.mel, spectrum * spectrum)[..., : frames * SUBFRAMES])
        mel = mel.reshape(batch, 2, BANDS, frames, SUBFRAMES).permute(0, 1, 2, 4, 3).flatten(1, 3)
        middle = nn.functional.pad(picture[:, 0], (1536, 1536))
        long = torch.stft(middle, 4096, 1024, window=self.long_window, center=False, return_complex=True).abs()
        notes = torch.matmul(self.semitones, long * long)[..., : 2 * frames]
        octaves = notes.reshape(batch, 1, _OCTAVES, 12, frames, 2)
        open_gates = gates[:, 1:, :, SUBFRAMES // 2 :: SUBFRAMES]
        tones = level((octaves * open_gates[:, :, None, :, :, None]).sum(dim=3))
        tones = tones.permute(0, 1, 2, 4, 3).flatten(1, 3)
        return torch.cat([mel, tones], dim=1)


def level(power: Tensor) -> Tensor:
    """Power to about -1..1: decibels, 50 to the unit, centred at -20 dB, floored."""
    return torch.log10(power + 1e-6) * 0.2 + 0.2


def oscillator_phase(hz: Tensor, start: Tensor, frames: int, subhop: int, sample_rate: int) -> Tensor:
    """Cosine and sine [B, 2, F, oscillators] of oscillators that run since sample 0, at frames from `start` [B] on."""
    samples = start.double()[:, None] + subhop * torch.arange(frames, dtype=torch.float64)
    turns = torch.remainder(samples[..., None] * (hz / sample_rate), 1.0) * (2.0 * torch.pi)
    return torch.stack([torch.cos(turns), torch.sin(turns)], dim=1).float()
