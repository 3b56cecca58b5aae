"""Measurements of sound for model cards: distance between two sets, beats, chords and onset density.

All of it is numpy and needs no trained network, so the same numbers can be had on every machine; `beat_report` can
use librosa's tracker as an independent witness where librosa is installed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F32, F64
from engine.music.audio import Audio
from engine.music.beats import FLOOR_DB, log_mel, onset_envelope, track_beats
from engine.music.chroma import pitch_classes
from engine.music.harmony import NO_CHORD, Chord
from training.data.onsets import onset_times

__all__ = [
    "BeatReport",
    "ChordReport",
    "Gaussian",
    "beat_report",
    "chord_recovery",
    "frechet",
    "gaussian",
    "log_mel_features",
    "onset_rate",
]


MEL_BANDS = 64
CONTEXT = (0, 4, 8)  # frames within one feature: at 44.1 kHz now, 93 ms and 186 ms later, so rhythm leaves a trace


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Mean [D] and covariance [D, D] of a set of feature rows."""

    mean: F64
    cov: F64


@dataclass(frozen=True, slots=True)
class BeatReport:
    """How well sound keeps the beat it was asked for.

    Attributes:
        tempo_bpm: tempo found by the tracker.
        tempo_error: |found - asked| / asked.
        octave_error: the same against asked tempo times 1/2, 2/3, 1, 3/2 or 2, whichever is nearest.
        f_measure: of tracked beats against given ones, hits within 70 ms (0..1).
        lag_ms: shift of the onset envelope against the given beats that fits best, within a quarter beat;
            positive is late.
        contrast: onset strength on the given beats over that half-way between them; 1 means no beat there.
    """

    tempo_bpm: float
    tempo_error: float
    octave_error: float
    f_measure: float
    lag_ms: float
    contrast: float


@dataclass(frozen=True, slots=True)
class ChordReport:
    """How well given chords are recognised.

    Attributes:
        root: share of spans whose best triad has the given root (chance 1/12).
        triad: share whose best triad has root and third right (chance 1/24); chords without a third are left out.
        cosine: mean cosine between measured and given pitch classes.
        margin: that, less the mean cosine to the eleven transpositions; 0 means the chord is not there.
        spans: how many spans were judged.
    """

    root: float
    triad: float
    cosine: float
    margin: float
    spans: int


def log_mel_features(audio: Audio, rate: int) -> F32:
    """Rows for `frechet`: three log-mel frames side by side.

    Args:
        audio: [C, N]; channels are averaged in power.
        rate: Hz; sets that are compared must have the same one.
    Returns:
        [T, 192]: 64 bands in dB / 20 at frames t, t + 4 and t + 8 (window 2048, hop 1024), one row every hop;
        always at least one row.
    """
    mel = log_mel(audio, rate, 2048, 1024, MEL_BANDS) / np.float32(20.0)
    missing = CONTEXT[-1] + 1 - len(mel)
    if missing > 0:
        mel = np.pad(mel, ((0, missing), (0, 0)), constant_values=FLOOR_DB / 20.0)
    rows = len(mel) - CONTEXT[-1]
    return np.concatenate([mel[offset : offset + rows] for offset in CONTEXT], axis=1)


def gaussian(features: F32) -> Gaussian:
    """Mean and covariance of [T, D], in double precision.

    Raises:
        ShapeError: fewer than two rows.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ShapeError(f"features are [T, D] with T of 2 or more, got {features.shape}: measure longer sound")
    exact = features.astype(np.float64)
    centred = exact - exact.mean(axis=0)
    return Gaussian(exact.mean(axis=0), centred.T @ centred / (len(exact) - 1))


def _root(matrix: F64) -> F64:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def frechet(features_a: F32 | Gaussian, features_b: F32 | Gaussian) -> float:
    """Distance between two sets of features seen as Gaussians; 0 for equal ones.

    Args:
        features_a: [T, D] rows, or their `gaussian`.
        features_b: the same, any number of rows.
    Returns:
        |ma - mb|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).
    Source:
        Dowson and Landau 1982; the form with A^1/2 on both sides keeps the inner matrix symmetric, so `eigh` will do.
        With log-mel features it compares timbre and loudness, not musical sense: for numbers of one model over time.
    """
    a = features_a if isinstance(features_a, Gaussian) else gaussian(features_a)
    b = features_b if isinstance(features_b, Gaussian) else gaussian(features_b)
    if a.mean.shape != b.mean.shape:
        raise ShapeError(f"features have {a.mean.size} and {b.mean.size} columns: measure both in the same way")
    root_a = _root(a.cov)
    inner = root_a @ b.cov @ root_a
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh((inner + inner.T) / 2.0), 0.0)).sum()
    distance = ((a.mean - b.mean) ** 2).sum() + np.trace(a.cov) + np.trace(b.cov) - 2.0 * cross
    return max(0.0, float(distance))


def onset_rate(audio: Audio, rate: int) -> float:
    """Note starts per second of [C, N]; onsets at one time, such as those of a chord, count once."""
    return float(len(onset_times(audio, rate)) * rate / max(1, audio.shape[1]))


def _librosa_beats(audio: Audio, rate: int) -> tuple[float, F64]:
    import librosa

    tempo, beats = librosa.beat.beat_track(y=audio.mean(axis=0), sr=rate, units="time")
    return float(np.atleast_1d(tempo)[0]), np.asarray(beats, np.float64)


def _f_measure(found: F64, wanted: F64, reach_s: float = 0.07) -> float:
    """Both lists ascending; every beat may be matched once."""
    hits, left, right = 0, 0, 0
    while left < len(found) and right < len(wanted):
        if abs(found[left] - wanted[right]) <= reach_s:
            hits, left, right = hits + 1, left + 1, right + 1
        elif found[left] < wanted[right]:
            left += 1
        else:
            right += 1
    return 2.0 * hits / max(1, len(found) + len(wanted))


def beat_report(
    audio: Audio, rate: int, tempo_bpm: float, beat_times: Sequence[float] | F64,
    tracker: Literal["own", "librosa"] = "own",
) -> BeatReport:  # fmt: skip
    """Compare the tempo and beats of a sound with those that were asked for.

    Args:
        audio: [C, N].
        rate: Hz.
        tempo_bpm: tempo asked for.
        beat_times: seconds of the beats asked for, ascending, two or more.
        tracker: who finds the beats; "librosa" needs the `dev` extra.
    Raises:
        ShapeError: fewer than two beats.
    """
    wanted = np.asarray(beat_times, np.float64)
    if len(wanted) < 2:
        raise ShapeError(f"got {len(wanted)} beats, wanted two or more: measure longer sound")
    tempo, found = track_beats(audio, rate) if tracker == "own" else _librosa_beats(audio, rate)
    envelope, fps = onset_envelope(audio, rate)
    period = float(np.median(np.diff(wanted)))

    def around(shift_s: float) -> F32:
        frames = np.round((wanted + shift_s) * fps).astype(int)[:, None] + np.arange(-2, 3)
        kept: F32 = envelope[frames[np.all((frames >= 0) & (frames < len(envelope)), axis=1)]]
        return kept if len(kept) else np.zeros((1, 5), np.float32)

    def strength(shift_s: float) -> float:
        return float(around(shift_s).max(axis=1).mean())

    bell = np.array([0.1, 0.5, 1.0, 0.5, 0.1])  # a plain maximum would be as good two frames away
    shifts = np.arange(-round(period * fps / 4), round(period * fps / 4) + 1) / fps
    lag = max(shifts, key=lambda shift: (round(float((around(float(shift)) @ bell).mean()), 6), -abs(shift)))
    octaves = (0.5, 2 / 3, 1.0, 1.5, 2.0)
    return BeatReport(
        tempo_bpm=tempo,
        tempo_error=abs(tempo - tempo_bpm) / tempo_bpm,
        octave_error=min(abs(tempo - tempo_bpm * factor) / (tempo_bpm * factor) for factor in octaves),
        f_measure=_f_measure(found, wanted),
        lag_ms=float(lag) * 1000.0,
        contrast=strength(0.0) / max(strength(period / 2), 1e-3),
    )


def _third(chord: Chord) -> int:
    tones = {(tone - chord.root) % 12 for tone in chord.pitch_classes}
    return 4 if 4 in tones else 3 if 3 in tones else 0


def chord_recovery(audio: Audio, rate: int, bar_times: Sequence[float] | F64, chords: Sequence[Chord]) -> ChordReport:
    """Listen for given chords, each in its span of time.

    Args:
        audio: [C, N].
        rate: Hz.
        bar_times: seconds at which each chord begins; one more may say where the last ends, else the sound's end.
        chords: one for each span; spans of `NO_CHORD` or shorter than 0.2 s are left out.
    Returns:
        Shares over the judged spans; all 0 if there are none.
    Raises:
        ShapeError: times and chords do not fit together.
    """
    times = [float(time) for time in bar_times]
    if len(times) == len(chords):
        times.append(audio.shape[1] / rate)
    if len(times) != len(chords) + 1:
        raise ShapeError(f"got {len(bar_times)} times for {len(chords)} chords, wanted as many or one more")
    triads = np.stack([Chord(root, kind, root).chroma() for kind in ("maj", "min") for root in range(12)]) / np.sqrt(3)
    roots, thirds, cosines, margins = [], [], [], []
    for chord, start, end in zip(chords, times[:-1], times[1:], strict=True):
        span = audio[:, max(0, round(start * rate)) : round(end * rate)]
        if chord == NO_CHORD or chord.quality == "none" or span.shape[1] < 0.2 * rate:
            continue
        measured = pitch_classes(span, rate)
        best = int((triads @ measured).argmax())
        roots.append(best % 12 == chord.root)
        if _third(chord):
            thirds.append(roots[-1] and (3 if best >= 12 else 4) == _third(chord))
        given = chord.chroma() / np.linalg.norm(chord.chroma())
        turns = [float(np.roll(given, turn) @ measured) for turn in range(12)]
        cosines.append(turns[0])
        margins.append(turns[0] - float(np.mean(turns[1:])))
    if not roots:
        return ChordReport(0.0, 0.0, 0.0, 0.0, 0)
    triad = float(np.mean(thirds)) if thirds else 0.0
    return ChordReport(float(np.mean(roots)), triad, float(np.mean(cosines)), float(np.mean(margins)), len(roots))
