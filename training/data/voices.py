"""One sound of each instrument, as mono float32: short, dry, the same every time it is asked for.

Tones are one cycle of integer harmonics read at the note's pitch, so they are band-limited and exactly in tune;
brightness is a lowpass over those harmonics. Drums are swept sines and fixed noise.
"""

from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.music.arrays import F32
from training.data.piece import Style

__all__ = ["STEMS", "Sound", "drum", "tone"]

Sound = F32
"""[N] float32; a voice's peak is near 1 before its level in the mix."""

# instrument -> the stem it is mixed into.
STEMS: Final = MappingProxyType(
    {
        **dict.fromkeys(("kick", "clap", "open_hat", "hat", "rim", "pulse", "shaker"), "drums"),
        **dict.fromkeys(("bass", "sub"), "bass"),
        **dict.fromkeys(("pad", "stab", "warm"), "chords"),
        "arp": "arp",
    }
)

_CYCLE: Final = 4096


@lru_cache(maxsize=4096)
def _cycle(pitch: int, full: float, cutoff_hz: float, sample_rate: int) -> Sound:
    """One cycle [_CYCLE] of a tone whose harmonics fall as 1/k, even ones scaled by `full`, under a lowpass.

    The lowpass is 24 dB an octave above `cutoff_hz`; harmonics end at 16 kHz or at 0.45 of the rate.
    Its power is 1/2, that of a sine, at any cutoff: brightness changes colour, not loudness.
    """
    hertz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    k = np.arange(1, max(2, int(min(16000.0, 0.45 * sample_rate) / hertz)) + 1)
    gains = np.where(k % 2 == 0, full, 1.0) / k / (1.0 + (k * hertz / cutoff_hz) ** 4)
    spectrum = np.zeros(_CYCLE // 2 + 1, np.complex128)
    # Phases that grow with the square of k spread the peaks of a cycle (Schroeder 1970).
    spectrum[k] = gains * np.exp(-1j * np.pi * k * (k - 1) / max(len(k), 8))
    cycle = np.fft.irfft(spectrum, _CYCLE)
    return np.asarray(cycle * np.sqrt(0.5 / np.mean(cycle**2)), np.float32)


def _read(cycle: Sound, pitch: float, count: int, sample_rate: int) -> Sound:
    """The cycle repeated at `pitch` for `count` samples, from its start, by 32-bit phase arithmetic."""
    step = round(440.0 * 2.0 ** ((pitch - 69) / 12.0) / sample_rate * 2**32)
    phase = np.arange(count, dtype=np.uint32) * np.uint32(step)
    sound: Sound = cycle[phase >> np.uint32(20)]
    return sound


def _decay(count: int, time_s: float, sample_rate: int) -> Sound:
    """exp(-t / time_s) for `count` samples."""
    curve: Sound = np.exp(np.arange(count, dtype=np.float32) * np.float32(-1.0 / (time_s * sample_rate)))
    return curve


def _edges(sound: Sound, attack_s: float, release_s: float, sample_rate: int) -> Sound:
    """Raised-cosine fades at both ends, in place."""
    for time_s, part in ((attack_s, slice(None)), (release_s, slice(None, None, -1))):
        count = min(len(sound), max(2, round(time_s * sample_rate)))
        fade = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, count, dtype=np.float32))
        sound[part][:count] *= fade
    return sound


@lru_cache(maxsize=256)
def _noise(low_hz: float, high_hz: float, count: int, sample_rate: int) -> Sound:
    """Fixed noise with a 12 dB an octave band from `low_hz` to `high_hz`, of power 1/10."""
    f = np.fft.rfftfreq(count, 1.0 / sample_rate) + 1.0
    band = 1.0 / (1.0 + (low_hz / f) ** 4) / (1.0 + (f / high_hz) ** 4)
    angles = np.random.default_rng(count).uniform(0.0, 2.0 * np.pi, len(f))
    noise = np.fft.irfft(band * np.exp(1j * angles), count)
    return np.asarray(noise * np.sqrt(0.1 / np.mean(noise**2)), np.float32)


def _cutoff(brightness: float, lowest_hz: float) -> float:
    """Lowpass of an instrument in Hz: `lowest_hz` at brightness 0, five octaves above it at 1."""
    return float(lowest_hz * 2.0 ** (5.0 * brightness))


def tone(instrument: str, pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    """A pitched sound with its tail.

    Args:
        instrument: bass, sub, pad, stab, warm or arp.
        duration_s: time from its start to its release.
        brightness: 0..1, moves the lowpass.
    """
    return _TONES[instrument](pitch, duration_s, style, brightness, sample_rate)


def _bass(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    count = round((duration_s + 0.02) * sample_rate)
    base = _cutoff(brightness, 130.0 + 120.0 * style.bass_tone)
    soft = _read(_cycle(pitch, 0.6, base, sample_rate), pitch, count, sample_rate)
    hard = _read(_cycle(pitch, 0.6, 2.0 * base, sample_rate), pitch, count, sample_rate)
    pluck = _decay(count, 0.07, sample_rate)
    sound = soft + (hard - soft) * pluck
    return _edges(sound * (0.65 + 0.35 * pluck), 0.004, 0.02, sample_rate)


def _sub(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    count = round((duration_s + 0.06) * sample_rate)
    cycle = _cycle(pitch, 0.8, _cutoff(0.6 * brightness, 90.0 + 60.0 * style.bass_tone), sample_rate)
    swell = 0.75 + 0.25 * _decay(count, 0.4, sample_rate)
    return _edges(_read(cycle, pitch, count, sample_rate) * swell, 0.02, 0.08, sample_rate)


def _pad(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    count = round((duration_s + 0.04) * sample_rate)
    cycle = _cycle(pitch, style.chord_tone, _cutoff(brightness, 300.0), sample_rate)
    # Two readers three cents apart: one slow beat, no chorus.
    sound = _read(cycle, pitch - 0.015, count, sample_rate) + _read(cycle, pitch + 0.015, count, sample_rate)
    return _edges(0.5 * sound, 0.015, 0.06, sample_rate)


def _warm(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    count = round((duration_s + 0.12) * sample_rate)
    cycle = _cycle(pitch, style.chord_tone, _cutoff(brightness, 260.0), sample_rate)
    sound = _read(cycle, pitch - 0.02, count, sample_rate) + _read(cycle, pitch + 0.02, count, sample_rate)
    sound *= 0.38 + 0.12 * _decay(count, 0.5, sample_rate)
    return _edges(sound, 0.06, 0.18, sample_rate)


def _stab(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    count = round((duration_s + 0.05) * sample_rate)
    base = _cutoff(brightness, 350.0)
    soft = _read(_cycle(pitch, style.chord_tone, base, sample_rate), pitch, count, sample_rate)
    hard = _read(_cycle(pitch, style.chord_tone, 2.5 * base, sample_rate), pitch, count, sample_rate)
    sound = soft + (hard - soft) * _decay(count, 0.05, sample_rate)
    sound *= _decay(count, 0.08 + 0.35 * style.chord_length, sample_rate)
    return _edges(sound, 0.003, 0.05, sample_rate)


def _arp(pitch: int, duration_s: float, style: Style, brightness: float, sample_rate: int) -> Sound:
    ring_s = 0.08 + 0.22 * style.arp_length
    count = round(max(duration_s, 2.5 * ring_s) * sample_rate)
    base = _cutoff(brightness, 500.0)
    soft = _read(_cycle(pitch, style.arp_tone, base, sample_rate), pitch, count, sample_rate)
    hard = _read(_cycle(pitch, style.arp_tone, 2.0 * base, sample_rate), pitch, count, sample_rate)
    sound = soft + (hard - soft) * _decay(count, 0.04, sample_rate)
    return _edges(sound * _decay(count, ring_s, sample_rate), 0.003, 0.05, sample_rate)


_TONES: Final[dict[str, Callable[[int, float, Style, float, int], Sound]]] = {
    "bass": _bass,
    "sub": _sub,
    "pad": _pad,
    "stab": _stab,
    "warm": _warm,
    "arp": _arp,
}


def drum(instrument: str, style: Style, brightness: float, sample_rate: int) -> Sound:
    """An unpitched sound with its tail.

    Args:
        instrument: kick, pulse, clap, hat, open_hat, rim or shaker.
        brightness: 0..1, level and band of all that is noise.
    """
    if instrument in ("kick", "pulse"):
        return _kick(instrument == "pulse", style, brightness, sample_rate)
    if instrument == "clap":
        return _clap(style, brightness, sample_rate)
    low_hz, time_s, attack_s = {
        "hat": (5000.0 + 3000.0 * style.hat_tone, 0.014 + 0.022 * style.hat_length, 0.001),
        "open_hat": (4000.0 + 3000.0 * style.hat_tone, 0.045 + 0.065 * style.hat_length, 0.001),
        "shaker": (3500.0 + 2500.0 * style.hat_tone, 0.025 + 0.02 * style.hat_length, 0.012),
        "rim": (1200.0 + 800.0 * style.hat_tone, 0.012 + 0.01 * style.hat_length, 0.0005),
    }[instrument]
    count = round((6.0 * time_s + attack_s) * sample_rate)
    tilt = 0.3 + 0.7 * brightness
    high_hz = 2200.0 if instrument == "rim" else 3000.0 * 2.0 ** (2.4 * brightness)
    sound = _noise(low_hz * tilt, high_hz, count, sample_rate) * _decay(count, time_s, sample_rate)
    return _edges(sound * np.float32(0.35 + 0.85 * brightness), attack_s, 2.0 * time_s, sample_rate)


def _kick(soft: bool, style: Style, brightness: float, sample_rate: int) -> Sound:
    """A sine that falls from `reach` above 48 Hz, zero-mean, under a click: short in techno, a soft brush in ambient.

    The click spans the spectrum, because ears and beat trackers both find the beat by it, not by the sine. The fall is
    the same in every style: the wave then is a function of the time since the beat, which a model that is given the
    beat can learn to the sample; a fall that differed from kick to kick would be blurred.
    """
    length_s = (0.09 if soft else 0.075) + 0.05 * style.kick_length
    reach, fall_s = (70.0, 0.045) if soft else (200.0, 0.026)
    count = round(4.0 * length_s * sample_rate)
    t = np.arange(count) / sample_rate
    cycles = 48.0 * t + reach * fall_s * (1.0 - np.exp(-t / fall_s))
    envelope = _decay(count, length_s, sample_rate)
    sound = np.asarray(np.sin(2.0 * np.pi * cycles), np.float32) * envelope
    low_hz, decay_s, level = (250.0, 0.022, 0.75) if soft else (400.0, 0.012, 0.8 + 0.6 * style.kick_tone)
    click = _noise(low_hz, 3500.0 * 2.0 ** (2.0 * brightness), count, sample_rate)
    sound += click * _decay(count, decay_s, sample_rate) * np.float32(level * (0.6 + 0.4 * brightness))
    _edges(sound, 0.004 if soft else 0.001, 0.03, sample_rate)
    window = _edges(envelope.copy(), 0.004, 0.03, sample_rate)
    sound -= window * (sound.sum() / window.sum())
    return sound


def _clap(style: Style, brightness: float, sample_rate: int) -> Sound:
    """Three bursts eleven milliseconds apart, the last with the tail."""
    count = round(0.25 * sample_rate)
    gap = round(0.011 * sample_rate)
    envelope = np.zeros(count, np.float32)
    envelope[:gap] += 0.7 * _decay(gap, 0.004, sample_rate)
    envelope[gap : 2 * gap] += 0.8 * _decay(gap, 0.004, sample_rate)
    envelope[2 * gap :] += _decay(count - 2 * gap, 0.03 + 0.03 * style.hat_length, sample_rate)
    noise = _noise(900.0 + 500.0 * style.hat_tone, 2500.0 + 5000.0 * brightness, count, sample_rate)
    return _edges(noise * envelope * np.float32(0.8 + 0.4 * brightness), 0.001, 0.05, sample_rate)
