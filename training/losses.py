"""What is minimised, and the differentiable way between waveforms and normalised log spectra.

`analyse`, `log_magnitude` and `synthesise` are `engine.music.spectrum` and Musika's normalisation once more, in torch:
a test holds the two against each other.
Source: Pasini and Schlueter 2022 for the losses, their release for the adaptive penalty and the constants.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "SPECTRAL_HOPS",
    "adversarial",
    "analyse",
    "hinge",
    "log_magnitude",
    "multiscale_spectral",
    "next_switch",
    "norm_penalty",
    "penalty_weight",
    "r1_penalty",
    "samples_for",
    "synthesise",
]

SPECTRAL_HOPS: Final = (64, 128, 256, 512, 1024)
"""Hops of the multi-scale distance, windows four times as long.

The paper's list is not known. Ours runs two octaves either side of the model's own hop 256: at 44.1 kHz windows of
5.8 ms show whether attacks are sharp, windows of 93 ms whether the phases of low notes agree.
"""

_FLOOR_POWER: Final = 1e-10  # of analysis: digital silence is -100 dB
_FLOOR_AMPLITUDE: Final = 1e-7  # of synthesis, added under the root
_FLOOR_DISTANCE: Final = 1e-3  # far below hearing; keeps the logarithm of the distance to silence finite


def samples_for(frames: int, hop: int = 256) -> int:
    """Samples that hold exactly `frames` frames of four hops each."""
    return (frames + 3) * hop


def _hann(window: int, like: Tensor) -> Tensor:
    # In double first: torch's own cosine in single precision differs from numpy's in the last bit.
    time = torch.arange(window, dtype=torch.float64)
    return (0.5 - 0.5 * torch.cos(2.0 * math.pi * time / window)).to(like.device, torch.float32)


def analyse(audio: Tensor, window: int = 1024, hop: int = 256) -> Tensor:
    """Spectrum [..., bins, T] (complex64) of [..., N], no centring, no padding."""
    with torch.autocast(audio.device.type, enabled=False):
        frames = audio.float().unfold(-1, window, hop)
        spectrum: Tensor = torch.fft.rfft(frames * _hann(window, audio), dim=-1)
        return spectrum.transpose(-1, -2)


def log_magnitude(audio: Tensor, hop: int = 256, mu: float = -25.0, sigma: float = 75.0) -> Tensor:
    """What the encoder sees of [..., N]: (dB - mu) / sigma, [..., 2 * hop + 1, T]; silence is -1, not clipped."""
    spectrum = analyse(audio, 4 * hop, hop)
    power = spectrum.real.square() + spectrum.imag.square()
    return (10.0 * torch.log10(power.clamp(min=_FLOOR_POWER)) - mu) / sigma


def synthesise(magnitude: Tensor, phase: Tensor, mu: float = -25.0, sigma: float = 75.0) -> Tensor:
    """Waveform of what the decoder says.

    Args:
        magnitude: [B, bins, T], normalised dB in -1..1.
        phase: [B, bins, T], in units of pi, -1..1.
    Returns:
        [B, (T + 3) * hop] with hop = (bins - 1) / 2; the first and last three hops are ramps, as in the engine.
    """
    window = 2 * (magnitude.shape[-2] - 1)
    hop = window // 4
    with torch.autocast(magnitude.device.type, enabled=False):
        decibels = sigma * magnitude.float() + mu
        amplitude = torch.sqrt(torch.pow(10.0, decibels / 10.0) + _FLOOR_AMPLITUDE)
        spectrum = torch.polar(amplitude, math.pi * phase.float())
        frames = torch.fft.irfft(spectrum.transpose(-1, -2), n=window, dim=-1)
        frames = frames * (_hann(window, magnitude) / 1.5)
        length = samples_for(frames.shape[-2], hop)
        folded = functional.fold(frames.transpose(-1, -2), (1, length), (1, window), stride=(1, hop))
        return folded[:, 0, 0]


def multiscale_spectral(target: Tensor, made: Tensor, hops: Sequence[int] = SPECTRAL_HOPS) -> Tensor:
    """Sum over hops of log || |STFT(target)| - |STFT(made)| ||_1, averaged over the batch.

    The norm is taken as a mean (a constant under the logarithm), with a floor so that silence stays finite.

    Args:
        target, made: [B, N], N at least four times the largest hop.
        hops: samples between frames; windows are four times as long.
    """
    total = target.new_zeros((), dtype=torch.float32)
    for hop in hops:
        difference = (analyse(target, 4 * hop, hop).abs() - analyse(made, 4 * hop, hop).abs()).abs()
        total = total + torch.log(difference.mean(dim=(-1, -2)) + _FLOOR_DISTANCE).mean()
    return total


def hinge(real: Tensor, fake: Tensor, weight: float = 1.0) -> Tensor:
    """Discriminator's loss: weight * (E max(0, 1 - real) + E max(0, 1 + fake)).

    Weight 1 is the autoencoder's, 1/2 the latent GAN's.
    """
    return weight * (functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean())


def adversarial(fake: Tensor) -> Tensor:
    """Generator's loss: -E fake."""
    return -fake.mean()


def _input_gradient(scores: Tensor, inputs: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(scores.float().sum(), inputs, create_graph=True)
    return gradient.float().flatten(1)


def r1_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    """Squared norm of the score's gradient at real data, averaged over the batch, without the usual 1/2.

    Args:
        scores: the discriminator's output for `inputs`, first axis batch.
        inputs: real data [B, ...] that required grad when `scores` was made.
    """
    return _input_gradient(scores, inputs).square().sum(dim=1).mean()


def norm_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    """Squared difference of the gradient's norm from one, at real data (the 22.05 kHz variant)."""
    norm = torch.sqrt(1e-6 + _input_gradient(scores, inputs).square().sum(dim=1))
    return (norm - 1.0).square().mean()


def penalty_weight(switch: float) -> float:
    """Weight of the R1 penalty at a switch position in -1..0: 10 at the start, 0 at the end."""
    return -10.0 * switch


def next_switch(switch: float, real_mean: float, fake_mean: float) -> float:
    """Move the switch by one training step.

    Args:
        switch: -1..0; training starts at -1.
        real_mean: the discriminator's mean score of real items.
        fake_mean: of generated ones.
    Returns:
        1e-4 lower while the discriminator is surer than 0.9 (its lead, clipped to 0..2, halved), else 1e-4 higher.
    """
    certainty = min(max(real_mean - fake_mean, 0.0), 2.0) / 2.0
    return min(max(switch + (-1e-4 if certainty > 0.9 else 1e-4), -1.0), 0.0)
