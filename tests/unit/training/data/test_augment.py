"""Crops of sound made faster, darker and wider are what they are said to be."""

import numpy as np

from training.data.augment import Variation, draw_variation, varied

PLAIN = Variation(1.0, (0.0,) * 6, False, 1.0)
RATE = 44100


def _sine(hz: float, samples: int) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)
    return np.stack([wave, -0.2 * wave]).astype(np.float32)


def _peak_hz(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound[0]))) * RATE / sound.shape[1])


def test_nothing_changed_is_the_sound_itself() -> None:
    sound = _sine(441.0, 4410)
    assert np.allclose(varied(sound, 4410, PLAIN, RATE), sound, atol=1e-5)


def test_twice_as_fast_is_an_octave_higher_and_as_loud() -> None:
    sound = _sine(441.0, 8820)
    made = varied(sound, 4410, Variation(2.0, (0.0,) * 6, False, 1.0), RATE)
    assert made.shape == (2, 4410)
    assert abs(_peak_hz(made) - 882.0) < 11.0
    assert np.isclose(np.abs(made).max(), 0.5, atol=0.01)


def test_gains_are_those_at_their_places() -> None:
    made = varied(_sine(600.0, 44100), 44100, Variation(1.0, (0.0, 0.0, -6.0, 0.0, 0.0, 0.0), False, 1.0), RATE)
    assert np.isclose(np.abs(made).max(), 0.5 * 10 ** (-6 / 20), atol=0.01)


def test_channels_change_places_and_no_width_is_mono() -> None:
    sound = _sine(441.0, 4410)
    assert np.allclose(varied(sound, 4410, Variation(1.0, (0.0,) * 6, True, 1.0), RATE), sound[::-1], atol=1e-5)
    mono = varied(sound, 4410, Variation(1.0, (0.0,) * 6, False, 0.0), RATE)
    assert np.allclose(mono[0], mono[1], atol=1e-6)


def test_the_same_numbers_draw_the_same_variation() -> None:
    assert draw_variation(np.random.default_rng(3)) == draw_variation(np.random.default_rng(3))
    assert all(0.6 < draw_variation(np.random.default_rng(seed)).speed < 1.6 for seed in range(50))
