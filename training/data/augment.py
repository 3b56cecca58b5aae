"""Other sounds out of those there are: faster or slower, brighter or darker, elsewhere in the room, over each other.

A codec that was trained so knows more instruments and rooms than its corpus has.
"""

from dataclasses import dataclass

import numpy as np

from engine.music.arrays import F32, F64
from engine.music.audio import Audio

__all__ = ["Variation", "draw_variation", "varied"]


@dataclass(frozen=True, slots=True)
class Variation:
    """What is done to one crop.

    Args:
        speed: 1.2 is a fifth faster, and as much higher.
        gains_db: at `_PLACES` of the spectrum.
        swapped: left and right change places. width: of the stereo image; 0 is mono.
    """

    speed: float
    gains_db: tuple[float, ...]
    swapped: bool
    width: float


_PLACES = (60.0, 200.0, 600.0, 2000.0, 6000.0, 16000.0)  # Hz
_MOST_DB = 6.0


def draw_variation(rng: np.random.Generator) -> Variation:
    """A random variation: most pieces keep their width, speeds lie within a fifth."""
    gains = rng.normal(0.0, 0.5 * _MOST_DB, len(_PLACES)).clip(-_MOST_DB, _MOST_DB)
    width = 1.0 if rng.random() < 0.6 else float(rng.choice([0.0, rng.uniform(0.0, 1.0), rng.uniform(1.0, 1.6)]))
    return Variation(float(2.0 ** rng.uniform(-0.58, 0.58)), tuple(map(float, gains)), bool(rng.random() < 0.5), width)


def varied(sound: Audio, length: int, variation: Variation, sample_rate: int) -> F32:
    """A crop ``[2, about length * speed]`` as ``[2, length]`` at the same rate.

    Speed and spectrum change in one Fourier transform of the whole crop, so its two ends run into each other.
    """
    spectrum = np.fft.rfft(sound.astype(np.float64))
    bins = length // 2 + 1
    out = np.zeros((sound.shape[0], bins), np.complex128)
    shared = min(bins, spectrum.shape[1])
    out[:, :shared] = spectrum[:, :shared]
    made = np.fft.irfft(out * _curve(bins, sample_rate, variation), length) * (length / sound.shape[1])
    left, right = made[::-1] if variation.swapped else made
    middle, side = 0.5 * (left + right), 0.5 * variation.width * (left - right)
    return np.stack([middle + side, middle - side]).astype(np.float32)


def _curve(bins: int, sample_rate: int, variation: Variation) -> F64:
    """``[bins]``: gains between those given, straight over octaves."""
    hz = np.linspace(0.0, 0.5 * sample_rate, bins).clip(min=1.0)
    gains_db = np.interp(np.log(hz), np.log(_PLACES), variation.gains_db)
    return np.asarray(10.0 ** (gains_db / 20.0), np.float64)
