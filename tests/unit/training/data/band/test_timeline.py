"""Every moment knows its beat, chord and players, and a record reads back as it was."""

import json

import numpy as np
import pytest

from engine.music.harmony import NO_CHORD, Key, parse_chord
from training.data.band.timeline import PartFacts, Timeline


def timeline(meter: tuple[int, int] = (3, 4)) -> Timeline:
    """Four bars of three beats, a beat half a second, from 0.1 s; the last bar is twice as slow."""
    beats = 0.1 + np.concatenate((0.5 * np.arange(10), 4.5 + 1.0 * np.arange(1, 4)))
    piano = np.array([[100, 400, 60, 80], [1600, 1450, 64, 80]])
    bass = np.array([[4600, 900, 40, 90]])
    return Timeline(
        beats_s=beats,
        meter=meter,
        key=Key(9, "minor"),
        style="waltz",
        chord_beats=np.array([0.0, 3.0, 4.5]),
        chords=(parse_chord("Am"), NO_CHORD, parse_chord("C/E")),
        parts=(PartFacts("piano", "piano", 0, piano), PartFacts("bass", "upright bass", 32, bass)),
        lufs=np.array([-20.0, -18.0, -17.0, -16.0], np.float32),
    )


def test_frames_follow_the_beats_at_any_hop() -> None:
    frames = timeline().frames([0.0, 0.1, 0.35, 1.6, 4.6, 5.1, 7.6, 8.1])
    assert frames.beat == pytest.approx([-0.2, 0.0, 0.5, 3.0, 9.0, 9.5, 12.0, 12.0])
    assert frames.beat_phase == pytest.approx([0.8, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.5], abs=1e-6)
    assert frames.bar_phase[:6] == pytest.approx([2.8 / 3, 0.0, 0.5 / 3, 0.0, 0.0, 0.5 / 3], abs=1e-6)
    assert frames.tempo_bpm == pytest.approx([120, 120, 120, 120, 60, 60, 60, 60])
    assert frames.lufs.tolist() == [-20.0, -20.0, -20.0, -18.0, -16.0, -16.0, -16.0, -16.0]


def test_chords_hold_from_their_beat_on() -> None:
    frames = timeline().frames([0.1, 1.59, 1.61, 2.34, 2.36])
    assert frames.chords.tolist() == [0, 0, 1, 1, 2]
    assert [sorted(np.flatnonzero(column)) for column in frames.chroma.T] == [[0, 4, 9]] * 2 + [[]] * 2 + [[0, 4, 7]]
    assert np.flatnonzero(frames.bass[:, -1]).tolist() == [4]


def test_who_plays_is_known_by_the_bar() -> None:
    music = timeline()
    assert music.plays.tolist() == [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]  # held into bar 2, let go before bar 3
    assert music.frames([0.2, 5.0]).plays.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert music.onsets_s.tolist() == [0.1, 1.6, 4.6]


def test_a_bar_of_six_eighths_has_two_beats() -> None:
    music = timeline((6, 8))
    assert music.beats_per_bar == 2
    frames = music.frames([0.35, 0.6, 1.1])
    assert frames.bar_phase == pytest.approx([0.25, 0.5, 0.0], abs=1e-6)
    assert frames.tempo_bpm == pytest.approx([180.0] * 3)  # quarter notes: one and a half a beat


def test_a_record_reads_back() -> None:
    music = timeline()
    record = music.record()
    again = Timeline.read(json.loads(json.dumps(record)))
    assert again.record() == record
    assert again.chords == music.chords
    assert again.key == music.key
    assert (again.parts[0].notes == music.parts[0].notes).all()
