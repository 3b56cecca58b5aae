"""Beats and onsets estimated from sound alone: in numpy, so that every machine gives the same result."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F32, F64
from engine.music.audio import Audio
from engine.music.spectrum import frames_in, hann, mel_matrix

__all__ = ["FLOOR_DB", "DetectedPulse", "detect_pulse", "log_mel", "onset_envelope", "power_frames", "track_beats"]


FLOOR_DB = -80.0
"""What silence is in `log_mel`."""

_LEAST: Final = 6  # beats that make a pulse
_STEADY_S: Final = 0.015  # beats of a pulse lie as near to an even row, half of them
_LOUD: Final = 1.0  # dB that half of its onsets have at least, the mean of all bands
_CHUNK = 2048  # frames transformed at once; bounds memory for hour-long recordings


def power_frames(audio: Audio, window: int, hop: int) -> Iterator[F32]:
    """Mean power over channels, [T, bins] piece by piece; short sound is padded to one frame."""
    if audio.ndim != 2:
        raise ShapeError(f"audio is [C, N], got shape {audio.shape}")
    if audio.shape[1] < window:
        audio = np.pad(audio, ((0, 0), (0, window - audio.shape[1])))
    shape = hann(window)
    for first in range(0, frames_in(audio.shape[1], window, hop), _CHUNK):
        piece = audio[:, first * hop : (first + _CHUNK - 1) * hop + window]
        frames = np.lib.stride_tricks.sliding_window_view(piece, window, axis=-1)[:, ::hop]
        spectrum = np.fft.rfft(frames * shape, axis=-1)
        yield (spectrum.real**2 + spectrum.imag**2).mean(axis=0).astype(np.float32)


def log_mel(audio: Audio, rate: int, window: int, hop: int, bands: int) -> F32:
    """[T, bands] in dB; a full-scale sine is near 0, silence is `FLOOR_DB`."""
    matrix = mel_matrix(rate, window, bands).T
    full_scale = np.float32((window / 4) ** 2)  # |X|^2 of a unit sine under a Hann window
    mel = np.concatenate([piece @ matrix for piece in power_frames(audio, window, hop)]) / full_scale
    return np.asarray(10.0 * np.log10(np.maximum(mel, 10.0 ** (FLOOR_DB / 10.0))), np.float32)


def onset_envelope(audio: Audio, rate: int) -> tuple[F32, float]:
    """Strength of note starts over time.

    Returns:
        [T] of 0 and more in dB per frame, averaged over 40 mel bands, and frames per second (about 172).
        Frame t is the change at t / fps seconds.
    """
    window = 1024 if rate >= 32000 else 512
    hop = window // 4
    # Half a window of silence in front: a frame is then centred on its time, and a start at 0 s is a start.
    padded = np.pad(audio, ((0, 0), (window // 2 + 2 * hop, window // 2)))
    mel = log_mel(padded, rate, window, hop, 40)
    lag = 2  # two hops are half a window: enough for the rise of an onset to show in full
    rise = np.maximum(mel[lag:] - mel[:-lag], 0.0).mean(axis=1)
    return np.asarray(rise, np.float32), rate / hop


def _tempo(envelope: F32, fps: float) -> float:
    """Beats per minute by autocorrelation, 40..240, with a preference for 120 (Ellis 2007)."""
    centred = envelope - envelope.mean()
    size = 1 << (2 * len(centred) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)
    lags = np.arange(int(60.0 * fps / 240.0), min(int(60.0 * fps / 40.0) + 1, len(centred) - 1))
    if len(lags) < 3 or correlation[0] <= 0.0:
        return 120.0
    unbiased = correlation[lags] / (len(centred) - lags)
    weighted = unbiased * np.exp(-0.5 * (np.log2(lags / fps * 2.0) / 0.9) ** 2)
    best = int(weighted.argmax())
    # The peak of a parabola through three lags: one lag alone is 1 % of a beat at 120 bpm.
    if 0 < best < len(lags) - 1:
        left, centre, right = unbiased[best - 1 : best + 2]
        curve = left - 2.0 * centre + right
        return float(60.0 * fps / (lags[best] + (0.5 * (left - right) / curve if curve < 0.0 else 0.0)))
    return float(60.0 * fps / lags[best])


def track_beats(audio: Audio, rate: int) -> tuple[float, F64]:
    """Tempo in bpm and beat times in seconds, estimated from the sound alone.

    Source:
        Ellis, Beat Tracking by Dynamic Programming, 2007: tempo by weighted autocorrelation, then the chain of beats
        with the greatest onset strength less 100 log^2(gap / period).
    """
    return _chain(*onset_envelope(audio, rate))


def _chain(envelope: F32, fps: float) -> tuple[float, F64]:
    """`track_beats` of an onset envelope [T]."""
    tempo = _tempo(envelope, fps)
    spread = float(envelope.std())
    if spread == 0.0:
        return tempo, np.zeros(0, np.float64)
    period = 60.0 * fps / tempo
    blur = np.exp(-0.5 * (np.arange(-round(period), round(period) + 1) * 32.0 / period) ** 2)
    strength = np.convolve(envelope / spread, blur, mode="same")[: len(envelope)]
    gaps = np.arange(round(period / 2), round(period * 2) + 1)
    cost = -100.0 * np.log(gaps / period) ** 2
    score, previous = strength.astype(np.float64).copy(), np.full(len(strength), -1)
    for now in range(int(gaps[0]), len(strength)):
        usable = gaps[gaps <= now]
        options = score[now - usable] + cost[: len(usable)]
        best = int(options.argmax())
        if options[best] > 0.0:
            score[now] += options[best]
            previous[now] = now - usable[best]
    beat = int(score[-len(gaps) :].argmax()) + len(score) - min(len(gaps), len(score))
    chain = [beat]
    while previous[chain[-1]] >= 0:
        chain.append(int(previous[chain[-1]]))
    return tempo, np.asarray(chain[::-1], np.float64) / fps


@dataclass(frozen=True, slots=True)
class DetectedPulse:
    """An even row of beats.

    Args:
        tempo_bpm: beats a minute. bar_s: seconds at which a bar begins, the first that is not before the sound.
    """

    tempo_bpm: float
    bar_s: float


def detect_pulse(audio: Audio, rate: int, beats_per_bar: int = 4) -> DetectedPulse | None:
    """The pulse of sound [C, N] that has one, else None.

    Bars begin on the strongest of their beats; in music that stresses none of them that is a guess.
    """
    envelope, fps = onset_envelope(audio, rate)
    tempo, beats = _chain(envelope, fps)
    if len(beats) < _LEAST:
        return None
    number = np.round((beats - beats[0]) * tempo / 60.0)
    period, first = (float(value) for value in np.polyfit(number, beats, 1))
    if period <= 0.0 or np.median(np.abs(beats - first - period * number)) > _STEADY_S:
        return None
    strengths = _strength(envelope, fps, first + period * number)
    if np.median(strengths) < _LOUD:  # of half of them: a sound's own beginning and end are onsets, too
        return None
    places = number.astype(int) % beats_per_bar
    strongest = max(set(places.tolist()), key=lambda place: float(strengths[places == place].mean()))
    return DetectedPulse(60.0 / period, (first + period * strongest) % (period * beats_per_bar))


def _strength(envelope: F32, fps: float, times: F64) -> F32:
    """[n] of onsets within two frames of given times."""
    frames = np.round(times * fps).astype(int)[:, None] + np.arange(-2, 3)
    strongest: F32 = envelope[np.clip(frames, 0, len(envelope) - 1)].max(axis=1)
    return strongest
