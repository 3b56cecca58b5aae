"""Stems to a mix as on a record: levels, places, width, drive, a room, compression, and mastering below a ceiling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import F32
from engine.music.audio import Audio
from training.data.band.loudness import LoudnessMeter, true_peak
from training.data.band.room import draw_room, with_room

__all__ = ["Mastered", "mix"]

_LEVELS_DB: Final = {"drum": -1.0, "bass": -2.5, "lead": 0.0, "guitar": -5.0, "piano": -4.5, "string": -6.5}
_SENDS: Final = {"drum": 0.35, "bass": 0.08, "lead": 1.0, "guitar": 0.8, "piano": 0.9, "string": 1.2}
_SPREAD: Final = {"drum": 0.05, "bass": 0.05, "lead": 0.2, "guitar": 0.6, "piano": 0.35, "string": 0.35}
_CEILING: Final = 0.84  # -1.5 dB; peaks between samples lie a little higher
_TRUE_PEAK: Final = 0.885  # -1.06 dB
_ROUGH: Final = 40960  # hop of loudness that need not be exact: two fifths of the sound
_PIECE: Final = 64  # samples that share one step of a gain


@dataclass(frozen=True, slots=True)
class Mastered:
    """A finished piece.

    Args:
        audio: [2, N] float32, true peak below -1 dB.
        lufs: its loudness.
        true_peak_db: its highest peak between samples, in dB of full scale.
        meter: its loudness over time.
    """

    audio: Audio
    lufs: float
    true_peak_db: float
    meter: LoudnessMeter


def mix(
    stems: F32, roles: Sequence[str], drives: Sequence[float], rng: np.random.Generator, sample_rate: int
) -> Mastered:
    """Mix and master.

    Args:
        stems: [P, 2, N]; used as working memory.
        roles: of the stems.
        drives: 0 clean .. 1 driven hard, of each stem.
        rng: draws everything else.
        sample_rate: Hz.
    """
    dry = np.zeros(stems.shape[1:], np.float32)
    send = np.zeros(stems.shape[2], np.float32)
    for stem, role, drive in zip(stems, roles, drives, strict=True):
        _place(stem, role, drive, rng, sample_rate)
        dry += stem
        send += (stem[0] + stem[1]) * np.float32(0.5 * _SENDS[role])
    amount = float(rng.uniform(0.05, 0.5)) * float(rng.random() < 0.92)
    sound = with_room(dry, send, draw_room(rng, sample_rate), amount, rng, sample_rate)
    if rng.random() < 0.5:
        _compress(sound, ratio=float(rng.uniform(1.5, 4.0)), release=int(rng.integers(40, 200)))
    return _master(sound, float(np.clip(rng.normal(-15.0, 3.2), -24.0, -10.0)), sample_rate)


def _place(stem: Audio, role: str, drive: float, rng: np.random.Generator, sample_rate: int) -> None:
    """Level, drive, width and place of one stem, in it."""
    lufs = LoudnessMeter(stem, sample_rate, _ROUGH).lufs()
    if lufs > -69.0:
        stem *= np.float32(10.0 ** ((-20.0 - lufs) / 20.0))
    if drive > 0.0:
        stem *= np.float32(1.0 + 12.0 * drive)
        stem /= np.sqrt(1.0 + stem * stem)
        stem *= np.float32(1.0 / (1.0 + 6.0 * drive))
    width = float(rng.uniform(0.3, 1.25)) if role not in ("bass",) else float(rng.uniform(0.0, 0.6))
    pan = float(np.clip(rng.normal(0.0, _SPREAD[role]), -0.85, 0.85))
    gain = 10.0 ** ((_LEVELS_DB[role] + float(np.clip(rng.normal(0.0, 2.2), -5.0, 5.0))) / 20.0)
    angle = np.pi / 4.0 * (1.0 + pan)
    left, right = np.sqrt(2.0) * np.cos(angle) * gain, np.sqrt(2.0) * np.sin(angle) * gain
    middle = (stem[0] + stem[1]) * np.float32(0.5)
    side = (stem[0] - stem[1]) * np.float32(0.5 * width)
    stem[0] = (middle + side) * np.float32(left)
    stem[1] = (middle - side) * np.float32(right)


def _scale(sound: Audio, gains: F32) -> None:
    """Multiply by a gain that is given every `_PIECE` samples (one more at the end), straight lines between."""
    count = len(gains) - 1
    whole = sound[:, : count * _PIECE].reshape(2, count, _PIECE)
    ramp = np.arange(_PIECE, dtype=np.float32) / np.float32(_PIECE)
    whole *= gains[:-1, None] + (gains[1:] - gains[:-1])[:, None] * ramp
    sound[:, count * _PIECE :] *= gains[-1]


def _peaks(sound: Audio) -> F32:
    """The highest absolute value of both channels in each `_PIECE` samples, rounded up in number."""
    count = -(-sound.shape[1] // _PIECE)
    padded = np.pad(np.abs(sound).max(axis=0), (0, count * _PIECE - sound.shape[1]))
    return np.asarray(padded.reshape(count, _PIECE).max(axis=1), np.float32)


def _smooth(values: F32, width: int) -> F32:
    """Mean over `width` steps around each."""
    padded = np.pad(values.astype(np.float64), (width // 2 + 1, width - width // 2 - 1), mode="edge")
    sums = np.cumsum(padded)
    return np.asarray((sums[width:] - sums[:-width]) / width, np.float32)[: len(values)]


def _compress(sound: Audio, ratio: float, release: int) -> None:
    """Bus compression above the usual level, in place: the envelope is power, smoothed over `release` steps."""
    count = sound.shape[1] // _PIECE
    power = np.square(sound[:, : count * _PIECE]).reshape(2, count, _PIECE).mean(axis=(0, 2))
    level = np.sqrt(_smooth(power, release)) + np.float32(1e-6)
    usual = float(np.sqrt(np.mean(power))) + 1e-6
    gains = np.minimum(1.0, (level / usual) ** np.float32(1.0 / ratio - 1.0))
    _scale(sound, np.append(gains, gains[-1:]).astype(np.float32))


def _limit(sound: Audio) -> None:
    """A limiter that sees 6 ms ahead, in place: no sample is above the ceiling afterwards."""
    ahead = 4
    need = np.minimum(1.0, _CEILING / np.maximum(_peaks(sound), 1e-9)).astype(np.float32)
    if float(need.min(initial=1.0)) >= 1.0:
        return
    reach = 2 * ahead + 2
    padded = np.pad(need, (reach, reach), constant_values=1.0)
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    gains = _smooth(np.asarray(lowest, np.float32), 2 * ahead + 1)
    _scale(sound, np.append(gains, gains[-1:])[: sound.shape[1] // _PIECE + 1])


def _master(sound: Audio, target_lufs: float, sample_rate: int) -> Mastered:
    """To a loudness, below the ceiling; a piece whose peaks forbid the loudness comes out as loud as it can be."""
    fade = min(sound.shape[1], sample_rate // 2)
    sound[:, sound.shape[1] - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    for turn in range(2):
        lufs = LoudnessMeter(sound, sample_rate, _ROUGH).lufs()
        most_db = 9.0 if turn == 0 else 3.0  # how far peaks may be pushed into the limiter
        peak = float(np.abs(sound).max(initial=1e-9))
        gain_db = min(target_lufs - lufs, most_db - 20.0 * float(np.log10(peak)))
        sound *= np.float32(10.0 ** (gain_db / 20.0))
        _limit(sound)
    peak = true_peak(sound)
    if peak > _TRUE_PEAK:
        sound *= np.float32(_TRUE_PEAK / peak)
        peak = _TRUE_PEAK
    meter = LoudnessMeter(sound, sample_rate)
    return Mastered(sound, meter.lufs(), 20.0 * float(np.log10(max(peak, 1e-9))), meter)
