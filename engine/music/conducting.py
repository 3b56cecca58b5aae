"""Musical time and harmony as numbers, for conducted models: the same functions in training and live.

A model that hears these features need not guess the beat: it is a function of them, so it follows any tempo, and any
chord, by construction.
"""

import math
from typing import Final

import numpy as np

from engine.music.arrays import F32, F64
from engine.music.units import TICKS_PER_BEAT

__all__ = [
    "CHARACTER",
    "CLOCK_FEATURES",
    "FRAME_FEATURES",
    "GATES",
    "GUIDED_FEATURES",
    "HARMONY_FEATURES",
    "STEP_FEATURES",
    "TIME_FEATURES",
    "chord_gates",
    "clock_features",
    "frame_features",
    "step_features",
    "tempo_value",
    "tempo_values",
]


# Decays and pitches by which the time since the last line is written, so that linear layers can draw the envelope
# of a drum (seconds) and the wave of its body (Hz) from them.
_BEAT_DECAYS_S: Final = (0.005, 0.02, 0.07, 0.25)
_STEP_DECAYS_S: Final = (0.005, 0.02, 0.07)
# Bodies of drums: sines that fall from `reach` above a resting pitch, as a struck membrane's do.
_REST_HZ: Final = (45.0, 52.0)
_REACH_HZ: Final = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0)
_FALL_S: Final = 0.03
_BODY_DECAY_S: Final = 0.15

CLOCK_FEATURES: Final = 10 + len(_BEAT_DECAYS_S) + len(_STEP_DECAYS_S) + 2 * len(_REST_HZ) * len(_REACH_HZ)
FRAME_FEATURES: Final = 10 + len(_BEAT_DECAYS_S) + len(_STEP_DECAYS_S) + 1 + 12
TIME_FEATURES: Final = FRAME_FEATURES - 12
"""Of `STEP_FEATURES`, the first: those that tell of beat, bar and tempo."""
HARMONY_FEATURES: Final = 36
"""Of `STEP_FEATURES`: those that tell of the chord, zeros where there is none."""
CHARACTER: Final = ("drums", "bass", "chords", "arp", "techno", "density", "brightness")
"""The last of `STEP_FEATURES`, -1..1: who plays, which of two genres, how dense and bright; 0 where unknown."""
GUIDED_FEATURES: Final = HARMONY_FEATURES + len(CHARACTER)
"""The last of `STEP_FEATURES` that are asked for rather than known, so that guidance can go away from them."""
STEP_FEATURES: Final = FRAME_FEATURES + 24 + len(CHARACTER)
GATES: Final = 6


def tempo_value(tempo_bpm: float) -> float:
    """Tempo as a model hears of it: log2(bpm / 120), 0 at 120 and 1 an octave faster."""
    return math.log2(tempo_bpm / 120.0)


def tempo_values(tempo_bpm: F32) -> F64:
    """`tempo_value` of each of [T] tempos."""
    return np.asarray(np.log2(tempo_bpm.astype(np.float64) / 120.0), np.float64)


def _phases(ticks: F64, bar_ticks: int) -> F64:
    """[10, F]: the turns of beat (1, 2, 4 to a beat) and bar (1, 2 to a bar) as cosine and sine."""
    beat, bar = ticks / TICKS_PER_BEAT, ticks / bar_ticks
    turns = np.stack([beat, 2 * beat, 4 * beat, bar, 2 * bar]) * (2.0 * np.pi)
    return np.concatenate([np.cos(turns), np.sin(turns)])


def _decays(ticks: F64, seconds_per_tick: F64, every: int, decays_s: tuple[float, ...]) -> F64:
    """[len(decays_s), F]: how far a sound struck at each multiple of `every` ticks has died away."""
    since = np.mod(ticks, every) * seconds_per_tick
    return np.asarray(np.exp(-since / np.array(decays_s)[:, None]), np.float64)


def clock_features(ticks: F64, tempo_bpm: F32, bar_ticks: int) -> F32:
    """Musical time as a decoder's input.

    Args:
        ticks: [F] tick of each decoder frame.
        tempo_bpm: [F] quarter notes a minute there.
        bar_ticks: ticks in a bar.
    Returns:
        [CLOCK_FEATURES, F], each within -1..1.
    """
    seconds_per_tick = 60.0 / (tempo_bpm.astype(np.float64) * TICKS_PER_BEAT)
    since = np.mod(ticks, TICKS_PER_BEAT) * seconds_per_tick
    fallen = _FALL_S * (1.0 - np.exp(-since / _FALL_S))
    cycles = [rest * since + reach * fallen for rest in _REST_HZ for reach in _REACH_HZ]
    wave = 2.0 * np.pi * np.stack(cycles)
    body = np.concatenate([np.cos(wave), np.sin(wave)]) * np.exp(-since / _BODY_DECAY_S)
    rows = [
        _phases(ticks, bar_ticks),
        _decays(ticks, seconds_per_tick, TICKS_PER_BEAT, _BEAT_DECAYS_S),
        _decays(ticks, seconds_per_tick, TICKS_PER_BEAT // 4, _STEP_DECAYS_S),
        body,
    ]
    return np.concatenate(rows).astype(np.float32)


def frame_features(ticks: F64, tempo_bpm: F32, bar_ticks: int, chroma: F32, bass: F32) -> F32:
    """Musical time and harmony as a generator's input, one column per latent frame.

    Args:
        ticks: [T] tick of each latent frame.
        tempo_bpm: [T].
        chroma, bass: [12, T] pitch classes of the chord and its bass (one-hot), zeros for none.
    Returns:
        [FRAME_FEATURES, T]: phases, decays, tempo as log2(bpm / 120), and the chord's intervals above its bass (so what
        is learned for one root holds for all).
    """
    seconds_per_tick = 60.0 / (tempo_bpm.astype(np.float64) * TICKS_PER_BEAT)
    rows: list[F64 | F32] = [
        _phases(ticks, bar_ticks),
        _decays(ticks, seconds_per_tick, TICKS_PER_BEAT, _BEAT_DECAYS_S),
        _decays(ticks, seconds_per_tick, TICKS_PER_BEAT // 4, _STEP_DECAYS_S),
        tempo_values(tempo_bpm)[None],
        _above_bass(chroma, bass),
    ]
    return np.concatenate(rows).astype(np.float32)


def step_features(
    ticks: F64, tempo_bpm: F32, bar_ticks: int, chroma: F32, bass: F32, character: F32 | None = None
) -> F32:
    """[STEP_FEATURES, T] the input of a language model of codes for each frame: `frame_features`, then the chord's
    pitch classes and its bass, since codes are of notes and not of intervals, and last `CHARACTER`.

    Args:
        character: [len(CHARACTER), T]; None: unknown. Others as there.
    """
    silent = np.zeros((len(CHARACTER), len(ticks)), np.float32) if character is None else character
    return np.concatenate([frame_features(ticks, tempo_bpm, bar_ticks, chroma, bass), chroma, bass, silent])


def _above_bass(chroma: F32, bass: F32) -> F32:
    """[12, T]: chroma turned so that row 0 is the bass; zeros where there is none."""
    index = (np.arange(12)[:, None] + bass.argmax(axis=0)[None]) % 12
    turned: F32 = np.take_along_axis(chroma, index, axis=0) * bass.max(axis=0)[None]
    return turned


def chord_gates(chroma: F32, bass: F32) -> F32:
    """Which pitch classes each layer of a gated decoder may play.

    Args:
        chroma, bass: [12, T], zeros for no chord.
    Returns:
        [GATES, 12, T] of 0 and 1: everything, where no chord is known; the bass; the first to fourth chord tone,
        counted upwards from the bass.
    """
    frames = chroma.shape[1]
    turned = _above_bass(chroma, bass)
    rank = np.cumsum(turned, axis=0) * turned  # 1 for the first tone upwards from the bass, 2 for the second, ...
    back = (np.arange(12)[:, None] - bass.argmax(axis=0)[None]) % 12
    gates = np.zeros((GATES, 12, frames), np.float32)
    gates[0] = 1.0 - bass.max(axis=0)
    gates[1] = bass
    for tone in range(4):
        gates[2 + tone] = np.take_along_axis((rank == tone + 1).astype(np.float32), back, axis=0)
    return gates
