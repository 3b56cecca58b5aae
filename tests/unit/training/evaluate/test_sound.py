"""Measurements find what was put into a sound, and do not find what was not."""

import numpy as np
import pytest

from engine.errors import ShapeError
from engine.music.beats import track_beats
from engine.music.harmony import NO_CHORD, Chord, parse_chord
from tests.unit.training.data.test_onsets import clicks
from training.evaluate.sound import (
    beat_report,
    chord_recovery,
    frechet,
    gaussian,
    log_mel_features,
    onset_rate,
)

RATE = 22050


def tones(chord: Chord, seconds: float) -> np.ndarray:
    """A chord with five harmonics to each tone, mono."""
    time = np.arange(int(seconds * RATE)) / RATE
    pitches = 440.0 * 2.0 ** ((np.array(chord.voiced(54)) - 69) / 12)
    return sum(0.1 / h * np.sin(2 * np.pi * h * pitch * time) for pitch in pitches for h in range(1, 6))


def test_frechet_of_equal_sets_is_zero_and_symmetric_otherwise() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((400, 6)).astype(np.float32)
    b = a @ rng.standard_normal((6, 6)).astype(np.float32) + 2.0
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-9)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)
    assert frechet(gaussian(a), b) == frechet(a, b)


def test_frechet_matches_the_closed_form_for_independent_columns() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((200_000, 2)).astype(np.float32)
    b = a * np.array([2.0, 3.0], np.float32) + np.array([1.0, 0.0], np.float32)
    # Sum of squared differences of means and of standard deviations: 1 + (1 - 2)^2 + (1 - 3)^2.
    assert frechet(a, b) == pytest.approx(6.0, rel=0.01)


def test_frechet_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(ShapeError, match="2 or more"):
        gaussian(np.zeros((1, 3), np.float32))
    with pytest.raises(ShapeError, match="columns"):
        frechet(np.zeros((5, 3), np.float32), np.zeros((5, 4), np.float32))


def test_features_order_sounds_by_likeness() -> None:
    rng = np.random.default_rng(0)
    noise, other = (rng.standard_normal((2, 3 * RATE)).astype(np.float32) * 0.1 for _ in range(2))
    music = np.stack([tones(parse_chord("Am"), 3.0)] * 2).astype(np.float32)
    reference = log_mel_features(noise, RATE)
    same, softer, unlike = (frechet(reference, log_mel_features(x, RATE)) for x in (other, other * 0.5, music))
    assert same < softer < unlike


def test_features_of_any_length_have_rows() -> None:
    assert log_mel_features(np.zeros((1, 10), np.float32), RATE).shape == (1, 192)
    with pytest.raises(ShapeError, match=r"\[C, N\]"):
        log_mel_features(np.zeros(10, np.float32), RATE)


def test_onset_rate_counts_onsets_per_second() -> None:
    assert onset_rate(clicks(np.array([0.0, 0.5, 0.8, 1.7, 2.0]), 3.0), RATE) == pytest.approx(5 / 3)
    assert onset_rate(np.zeros((2, RATE), np.float32), RATE) == 0.0


@pytest.mark.parametrize("bpm", [90.0, 120.0, 137.0])
def test_tracker_finds_tempo_and_beats(bpm: float) -> None:
    beats = np.arange(0.0, 12.0, 60.0 / bpm)
    report = beat_report(clicks(beats, 12.0), RATE, bpm, beats)
    assert report.tempo_error < 0.01
    assert report.f_measure > 0.95
    assert abs(report.lag_ms) < 12.0
    assert report.contrast > 10.0


def test_late_beats_are_reported_late_and_wrong_tempo_as_wrong() -> None:
    beats = np.arange(0.2, 12.0, 0.5)
    sound = clicks(beats, 12.0)
    assert beat_report(sound, RATE, 120.0, beats - 0.06).lag_ms == pytest.approx(60.0, abs=12.0)
    assert beat_report(sound, RATE, 120.0, beats - 0.25).contrast < 0.2
    wrong = beat_report(sound, RATE, 100.0, np.arange(0.0, 12.0, 0.6))
    assert wrong.tempo_error > 0.15
    assert wrong.f_measure < 0.5


def test_octave_error_forgives_double_tempo() -> None:
    beats = np.arange(0.0, 12.0, 0.5)
    report = beat_report(clicks(beats, 12.0), RATE, 60.0, beats[::2])
    assert report.octave_error < 0.01 < report.tempo_error


def test_silence_has_no_beat() -> None:
    assert len(track_beats(np.zeros((2, RATE), np.float32), RATE)[1]) == 0
    with pytest.raises(ShapeError, match="two or more"):
        beat_report(np.zeros((2, RATE), np.float32), RATE, 120.0, [0.0])


def test_chords_are_recovered_under_drums() -> None:
    chords = [parse_chord(name) for name in ("Am", "F", "C", "G", "E", "Bb", "F#m")]
    sound = np.concatenate([tones(chord, 1.5) for chord in chords]).astype(np.float32)[None]
    sound = sound + clicks(np.arange(0.0, 10.0, 0.25), sound.shape[1] / RATE)[:1, : sound.shape[1]]
    times = np.arange(len(chords)) * 1.5
    right = chord_recovery(sound, RATE, times, chords)
    assert (right.root, right.triad, right.spans) == (1.0, 1.0, 7)
    assert right.margin > 0.4
    wrong = chord_recovery(sound, RATE, times, [chord.transposed(1) for chord in chords])
    assert wrong.root < 0.3
    assert wrong.margin < 0.1


def test_chords_without_tones_are_left_out() -> None:
    sound = np.zeros((1, RATE), np.float32)
    assert chord_recovery(sound, RATE, [0.0], [NO_CHORD]).spans == 0
    with pytest.raises(ShapeError, match="as many or one more"):
        chord_recovery(sound, RATE, [0.0, 0.5], [NO_CHORD] * 3)
