"""The synthesizer plays every role's notes at their time and pitch, the same each time."""

import numpy as np
import pytest

from training.data.arrange.instruments import KITS, RANGES
from training.data.band.fluid import PlayedNote
from training.data.band.songs import draw_song
from training.data.band.synthesizer import SYNTHESIZED, render_synth
from training.data.band.tune_books import TuneBook

RATE = 44100


@pytest.mark.parametrize("role", SYNTHESIZED)
def test_a_note_begins_at_its_time_and_ends(role: str) -> None:
    notes = [PlayedNote(0.5, 0.2, 38 if role == "drum" else 57, 100)]
    sound = render_synth(role, notes, 3.0, np.random.default_rng(1))
    level = np.abs(sound).max(axis=0)
    assert sound.shape == (2, 3 * RATE)
    begun = np.flatnonzero(level > 0.01 * level.max())
    assert begun[0] / RATE == pytest.approx(0.5, abs=0.02)
    assert begun[-1] / RATE < 2.0
    assert (sound == render_synth(role, notes, 3.0, np.random.default_rng(1))).all()


@pytest.mark.parametrize("role", [role for role in SYNTHESIZED if role != "drum"])
def test_tones_are_in_tune(role: str) -> None:
    sound = render_synth(role, [PlayedNote(0.0, 1.0, 57, 100)], 1.0, np.random.default_rng(2)).sum(axis=0)
    bins = np.abs(np.fft.rfft(sound[: RATE // 2] * np.hanning(RATE // 2)))
    assert 2.0 * bins[100:125].argmax() + 200.0 == pytest.approx(220.0, abs=3.0)


def test_louder_notes_are_louder_and_late_ones_are_cut() -> None:
    def peak(velocity: int) -> float:
        notes = [PlayedNote(0.1, 0.2, 40, velocity)]
        return float(np.abs(render_synth("bass", notes, 0.2, np.random.default_rng(3))).max())

    assert peak(120) > 2.0 * peak(60) > 0.0
    late = [PlayedNote(5.0, 0.2, 40, 90)]
    assert np.abs(render_synth("bass", late, 0.2, np.random.default_rng(3))).max() == 0.0


def test_synthesized_parts_are_in_electronic_styles_under_the_programs_they_are_nearest_to() -> None:
    songs = [song for number in range(150) if (song := draw_song(21, number, TuneBook())).synthesized]
    assert songs
    for song in songs:
        assert song.band.style not in ("folk", "jazz", "rock", "waltz")
        programs = {track.name: track.program for track in song.score.tracks}
        assert {role: programs[role] for role in song.synthesized} == {r: SYNTHESIZED[r] for r in song.synthesized}
    assert all(number in (KITS if role == "drum" else RANGES) for role, number in SYNTHESIZED.items())
