"""A pulse is heard where there is one, and where its bars begin if one of its beats is stronger."""

import numpy as np
import pytest

from engine.music.beats import detect_pulse

RATE = 22050


def clicks(times: np.ndarray, seconds: float, stressed: int = 0) -> np.ndarray:
    """Bursts of noise, every fourth louder."""
    rng = np.random.default_rng(1)
    sound = 1e-3 * rng.standard_normal(int(seconds * RATE))
    decay = np.exp(-np.arange(RATE // 10) / RATE * 80.0)
    for beat, time in enumerate(times):
        room = sound[round(time * RATE) :][: len(decay)]
        loud = 0.6 if beat % 4 == stressed else 0.05
        room += loud * (rng.standard_normal(len(decay)) * decay)[: len(room)]
    return np.tile(sound.astype(np.float32), (2, 1))


@pytest.mark.parametrize(("tempo", "first", "stressed"), [(100.0, 0.3, 0), (124.0, 0.05, 2), (140.0, 0.21, 3)])
def test_a_pulse_is_heard_with_its_bars(tempo: float, first: float, stressed: int) -> None:
    pulse = detect_pulse(clicks(np.arange(first, 7.9, 60.0 / tempo), 8.0, stressed), RATE)
    assert pulse is not None
    assert pulse.tempo_bpm == pytest.approx(tempo, rel=0.005)
    bar = 240.0 / tempo
    away = (pulse.bar_s - first - stressed * 60.0 / tempo + bar / 2) % bar - bar / 2
    assert abs(away) < 0.02


def test_no_pulse_is_heard_where_none_is() -> None:
    rng = np.random.default_rng(0)
    hum = 0.2 * np.sin(2 * np.pi * 220.0 * np.arange(8 * RATE) / RATE)
    uneven = clicks(np.cumsum(rng.uniform(0.15, 0.9, 14)), 8.0)
    for sound in (np.zeros((2, 4 * RATE)), np.tile(hum, (2, 1)), 0.1 * rng.standard_normal((1, 8 * RATE)), uneven):
        assert detect_pulse(sound.astype(np.float32), RATE) is None
    assert detect_pulse(clicks(np.arange(0.0, 1.4, 0.5), 1.5), RATE) is None  # too few beats
