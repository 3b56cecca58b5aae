"""Short-time Fourier transforms: the numpy reference that torch code must match.

Source: Musika's analysis and synthesis (Pasini and Schlueter 2022, official code): periodic Hann window of 1024,
hop 256, no centring, no padding; synthesis window divided by 1.5, the overlap sum of its square at 75 % overlap.
"""

import numpy as np
import numpy.typing as npt

from engine.music.arrays import C64, F32, F64
from engine.music.audio import Audio

__all__ = ["frames_in", "hann", "istft_frames", "mel_matrix", "overlap_add", "stft"]


def hann(window: int) -> F32:
    """Periodic Hann window [window]."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)).astype(np.float32)


def frames_in(samples: int, window: int = 1024, hop: int = 256) -> int:
    """Whole frames that fit in `samples` without padding."""
    return 0 if samples < window else 1 + (samples - window) // hop


def stft(audio: Audio, window: int = 1024, hop: int = 256) -> C64:
    """Spectrum [C, window // 2 + 1, T] of [C, N], no centring, no padding."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, window, axis=-1)[..., ::hop, :]
    return np.fft.rfft(frames * hann(window), axis=-1).astype(np.complex64).swapaxes(-1, -2)


def istft_frames(spectrum: C64, window: int = 1024) -> F32:
    """Windowed time frames [C, T, window] of a spectrum [C, bins, T], ready for `overlap_add`.

    Each frame is weighted by hann / 1.5, so analysis and synthesis at 75 % overlap multiply to one.
    """
    frames = np.fft.irfft(spectrum.swapaxes(-1, -2), n=window, axis=-1).astype(np.float32)
    return frames * (hann(window) / np.float32(1.5))


def overlap_add(frames: F32, hop: int, tail: F32) -> tuple[Audio, F32]:
    """Add frames in time order onto what earlier ones left over.

    Args:
        frames: [C, T, window].
        hop: samples between frames.
        tail: [C, window - hop], what is still open from earlier frames (zeros at the start).
    Returns:
        [C, T * hop] finished samples, and the next tail. One routine for live and offline keeps both equal.
    """
    channels, count, window = frames.shape
    buffer = np.zeros((channels, count * hop + window - hop), np.float32)
    buffer[:, : window - hop] = tail
    for index in range(count):
        buffer[:, index * hop : index * hop + window] += frames[:, index]
    return buffer[:, : count * hop], buffer[:, count * hop :].copy()


def mel_matrix(sample_rate: int, window: int, bands: int, low_hz: float = 30.0, high_hz: float | None = None) -> F32:
    """Triangular mel filters [bands, window // 2 + 1] (HTK mel scale, 2595 log10(1 + f / 700)), each of unit sum."""
    high = sample_rate / 2 if high_hz is None else high_hz

    def to_mel(f: npt.ArrayLike) -> F64:
        return np.asarray(2595.0 * np.log10(1.0 + np.asarray(f, np.float64) / 700.0))

    edges = 700.0 * (10.0 ** (np.linspace(to_mel(low_hz), to_mel(high), bands + 2) / 2595.0) - 1.0)
    freqs = np.arange(window // 2 + 1) * sample_rate / window
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.maximum(0.0, np.minimum((freqs - left) / (centre - left), (right - freqs) / (right - centre)))
    # A narrow filter may fall between two bins: give it the nearest bin, so no band is ever deaf.
    empty = weights.sum(axis=1) == 0.0
    weights[empty, np.abs(freqs - centre[empty]).argmin(axis=1)] = 1.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
