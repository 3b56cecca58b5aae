"""Rooms and tone: an impulse response drawn at random, and convolution of long sound in blocks."""

import numpy as np

from engine.music.arrays import F32
from engine.music.audio import Audio

__all__ = ["draw_room", "tone_curve", "with_room"]

_BLOCK = 1 << 17


def draw_room(rng: np.random.Generator, sample_rate: int) -> F32:
    """The impulse response [2, N] of a room: a few early reflections, then noise that dies away, the treble first.

    Its energy is 1 in each channel; reverberation takes 0.25 to 2.6 s.
    """
    decay_s = float(np.exp(rng.uniform(np.log(0.25), np.log(2.6))))
    count = int(min(1.1 * decay_s + 0.05, 2.2) * sample_rate)
    time = np.arange(count) / sample_rate
    before = int(rng.uniform(0.0, 0.03) * sample_rate)
    room = np.zeros((2, count + before))
    dull_hz = float(rng.uniform(2500.0, 9000.0))
    for channel in range(2):
        noise = rng.standard_normal(count)
        bins = np.fft.rfft(noise)
        hertz = np.fft.rfftfreq(count, 1.0 / sample_rate)
        bright = np.fft.irfft(bins * (hertz > 120.0), count)
        dark = np.fft.irfft(bins * (hertz > 120.0) / (1.0 + (hertz / dull_hz) ** 2), count)
        late = bright * 10.0 ** (-3.0 * time / (0.45 * decay_s)) * 0.6 + dark * 10.0 ** (-3.0 * time / decay_s)
        room[channel, before:] = late * np.minimum(time / 0.02, 1.0)
        for _ in range(6):
            at = before + int(rng.uniform(0.0, 0.045) * sample_rate)
            if at < room.shape[1]:
                room[channel, at] += float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.5, 2.5))
    room /= np.sqrt(np.square(room).sum(axis=1, keepdims=True))
    return np.asarray(room, np.float32)


def tone_curve(rng: np.random.Generator, hertz: F32) -> F32:
    """Gains at these frequencies: a tilt of up to 1 dB an octave, a broad bell of up to 3 dB, no rumble."""
    octaves = np.log2(np.maximum(hertz, 20.0) / 800.0)
    tilt_db = float(np.clip(rng.normal(0.0, 0.4), -1.0, 1.0)) * octaves
    middle, width = float(rng.uniform(-3.5, 3.5)), float(rng.uniform(0.7, 1.5))
    bell_db = float(rng.uniform(-3.0, 3.0)) * np.exp(-0.5 * ((octaves - middle) / width) ** 2)
    rumble = 1.0 / (1.0 + (25.0 / np.maximum(hertz, 1.0)) ** 4)
    return np.asarray(10.0 ** ((tilt_db + bell_db) / 20.0) * rumble, np.float32)


def with_room(dry: Audio, send: F32, room: F32, amount: float, rng: np.random.Generator, sample_rate: int) -> Audio:
    """The dry sound with a room around it and a tone of its own.

    Args:
        dry: [2, N].
        send: [N], what excites the room.
        room: [2, M] impulse response.
        amount: gain of the room.
        rng: draws the tone.
        sample_rate: Hz.
    Returns:
        [2, N].
    """
    step = _BLOCK - room.shape[1] - 1024
    hertz = np.fft.rfftfreq(_BLOCK, 1.0 / sample_rate).astype(np.float32)
    tone = _short(tone_curve(rng, hertz))
    echo = np.fft.rfft(room, _BLOCK, axis=1) * np.float32(amount)
    out = np.zeros((2, dry.shape[1] + 2 * _BLOCK), np.float32)
    for start in range(0, dry.shape[1], step):
        bins = np.fft.rfft(dry[:, start : start + step], _BLOCK, axis=1)
        bins += echo * np.fft.rfft(send[start : start + step], _BLOCK)
        out[:, start : start + _BLOCK] += np.fft.irfft(bins * tone, _BLOCK, axis=1)
    return out[:, : dry.shape[1]]


def _short(gains: F32) -> F32:
    """The causal response of 1024 samples with these gains, as bins: it must not wrap around a block."""
    pulse = np.fft.irfft(_minimum_phase(gains), _BLOCK)
    pulse[1024:] = 0.0
    pulse[512:1024] *= np.linspace(1.0, 0.0, 512, dtype=pulse.dtype)
    return np.asarray(np.fft.rfft(pulse), np.complex64)


def _minimum_phase(gains: F32) -> F32:
    """Bins with these gains and the phase of a causal filter, by the cepstrum."""
    cepstrum = np.fft.irfft(np.log(np.maximum(gains, 1e-3)), _BLOCK)
    cepstrum[1 : _BLOCK // 2] *= 2.0
    cepstrum[_BLOCK // 2 + 1 :] = 0.0
    return np.asarray(np.exp(np.fft.rfft(cepstrum)))
