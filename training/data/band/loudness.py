"""Loudness and peaks of stereo sound: ITU-R BS.1770 weighting, and peaks between samples."""

from functools import lru_cache
from typing import Final

import numpy as np

from engine.music.arrays import F32, F64
from engine.music.audio import Audio

__all__ = ["LoudnessMeter", "true_peak"]

_WINDOW: Final = 16384
_SILENT_LUFS: Final = -70.0


@lru_cache(maxsize=4)
def _weights(sample_rate: int) -> F32:
    """Power gain of the K-weighting on the bins of one window: a shelf of 4 dB above 1.5 kHz, no bass below 40 Hz.

    The two analogue filters that BS.1770's coefficients are made from, so that any sample rate will do.
    """
    s = 2j * np.pi * np.fft.rfftfreq(_WINDOW, 1.0 / sample_rate)
    shelf, cut = 2.0 * np.pi * 1681.974450955533, 2.0 * np.pi * 38.13547087602444
    gain, q_shelf, q_cut = 10.0 ** (3.999843853973347 / 20.0), 0.7071752369554196, 0.5003270373238773
    middle = gain**0.4996667741545416
    high = (gain * s**2 + middle * shelf / q_shelf * s + shelf**2) / (s**2 + shelf / q_shelf * s + shelf**2)
    low = s**2 / (s**2 + cut / q_cut * s + cut**2)
    return np.asarray(np.abs(high * low) ** 2, np.float32)


class LoudnessMeter:
    """Weighted power of sound in windows of 0.37 s (at 44.1 kHz), and what follows from it.

    Args:
        audio: [2, N].
        sample_rate: Hz.
        hop: samples from one window to the next; above 16384 some sound is left out, which is quicker.
    """

    def __init__(self, audio: Audio, sample_rate: int, hop: int = 8192) -> None:
        self._rate, self._hop = sample_rate, hop
        window = np.hanning(_WINDOW + 1)[:_WINDOW].astype(np.float32)
        weights = _weights(sample_rate) * np.float32(2.0 / (_WINDOW * np.square(window, dtype=np.float64).sum()))
        starts = range(-_WINDOW // 2, audio.shape[1] - _WINDOW // 2 + 1, hop)
        self.power: F64 = np.array([_power_of(_window(audio, start) * window, weights) for start in starts])

    def lufs(self) -> float:
        """Integrated loudness in LUFS, gated as in BS.1770; -70 for silence."""
        loud = self.power[self.power > _power(_SILENT_LUFS)]
        if not len(loud):
            return _SILENT_LUFS
        kept = loud[loud > loud.mean() * 0.1]
        return _lufs(float(kept.mean()))

    def between(self, start_s: float, end_s: float) -> float:
        """Loudness in LUFS of a stretch, not gated; at least -70."""
        first, last = (round(time * self._rate / self._hop) for time in (start_s, end_s))
        part = self.power[first : max(last, first + 1)]
        return max(_SILENT_LUFS, _lufs(float(part.mean()))) if len(part) else _SILENT_LUFS


def _window(audio: Audio, start: int) -> Audio:
    """[2, _WINDOW] from `start` on, with silence outside the sound."""
    cut = audio[:, max(start, 0) : start + _WINDOW]
    missing = _WINDOW - cut.shape[1]
    if not missing:
        return cut
    before = min(max(-start, 0), missing)
    return np.pad(cut, ((0, 0), (before, missing - before)))


def _power_of(cut: Audio, weights: F32) -> float:
    bins = np.fft.rfft(cut, axis=1)
    return float(((bins.real**2 + bins.imag**2) @ weights).sum())


def _lufs(power: float) -> float:
    return -0.691 + 10.0 * float(np.log10(max(power, 1e-12)))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))


def true_peak(audio: Audio, block: int = 4096) -> float:
    """The highest absolute value between samples, by four times oversampling where samples come near it."""
    samples = np.abs(audio).max(axis=0)
    count = -(-len(samples) // block)
    peaks = np.pad(samples, (0, count * block - len(samples))).reshape(count, block).max(axis=1)
    highest = float(peaks.max(initial=0.0))
    for place in np.flatnonzero(peaks > 0.7 * highest):
        cut = audio[:, max(0, place * block - 64) : (place + 1) * block + 64]
        highest = max(highest, float(np.abs(_oversampled(cut)).max(initial=0.0)))
    return highest


def _oversampled(cut: Audio) -> Audio:
    """Four times as many samples, by the Fourier transform of a stretch with soft ends."""
    count = cut.shape[1]
    soft = np.ones(count, np.float32)
    ramp = min(32, count // 2)
    soft[:ramp] = np.linspace(0.0, 1.0, ramp, dtype=np.float32)
    soft[count - ramp :] = soft[:ramp][::-1]
    bins = np.fft.rfft(cut * soft, axis=1)
    return np.asarray(np.fft.irfft(bins, 4 * count, axis=1) * 4.0, np.float32)
