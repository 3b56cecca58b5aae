"""Playing keeps to the beat as far as people do, and swings where a style swings."""

from dataclasses import replace

import numpy as np
import pytest

from training.data.band.grooves import group_of, humanise
from training.data.band.performance import perform, swung
from training.data.band.songs import BandSong, draw_song
from training.data.band.tune_books import TuneBook


def song(style: str) -> BandSong:
    """The first song of a style."""
    return next(s for number in range(400) if (s := draw_song(9, number, TuneBook())).band.style == style)


def test_swing_delays_the_second_of_two_and_nothing_else() -> None:
    places = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
    assert swung(places, 2 / 3, 8) == pytest.approx([0.0, 1 / 3, 2 / 3, 5 / 6, 1.0, 5 / 3, 2.0])
    assert swung(places, 0.6, 16) == pytest.approx([0.0, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0])
    assert swung(places, 0.5, 8) == pytest.approx(places)


def test_machines_play_exactly_on_the_sixteenths() -> None:
    played = song("techno")
    made = perform(played, np.random.default_rng(1))
    step = 15.0 / played.band.tempo_bpm
    places = np.array([note.start_s for note in made.parts["drum"]]) - made.quarters_s[0]
    assert np.abs(places / step - np.round(places / step)).max() < 1e-6


def test_people_play_near_the_beat_and_never_exactly() -> None:
    played = song("rock")
    made = perform(played, np.random.default_rng(1))
    for track in played.score.tracks:
        written = np.interp([n.start / 480 for n in track.notes], np.arange(len(made.quarters_s)), made.quarters_s)
        late = np.sort([n.start_s for n in made.parts[track.name]]) - np.sort(written)
        assert 0.002 < late.std() < 0.03, track.name
        assert abs(late.mean()) < 0.03, track.name
    lengths = np.diff(made.quarters_s) * played.band.tempo_bpm / 60.0
    assert lengths[:-4] == pytest.approx(np.ones(len(lengths) - 4), abs=0.03)


def test_all_notes_are_played_with_velocities_of_their_own() -> None:
    for style in ("funk", "waltz", "ballad_68"):
        played = song(style)
        made = perform(played, np.random.default_rng(2))
        assert {name: len(part) for name, part in made.parts.items()} == {
            track.name: len(track.notes) for track in played.score.tracks
        }
        assert all(1 <= note.velocity <= 127 and note.length_s >= 0.02 for p in made.parts.values() for note in p)
        assert made.duration_s == made.quarters_s[-1] + 2.0


def test_beats_are_of_any_length() -> None:
    made = perform(song("waltz"), np.random.default_rng(3))
    assert (made.beats_s(1.0) == made.quarters_s).all()
    assert made.beats_s(3.0) == pytest.approx(made.quarters_s[::3])


def test_the_same_stream_gives_the_same_performance() -> None:
    played = song("jazz")
    one, two = (perform(played, np.random.default_rng(7)) for _ in range(2))
    assert one.parts == two.parts
    assert perform(replace(played, swing=0.5), np.random.default_rng(7)).parts != one.parts


def test_drummers_accent_as_measured_and_machines_do_not() -> None:
    rng = np.random.default_rng(0)
    keys = np.full(4000, 38.0)
    places = np.tile([0.25, 0.3125], 2000)  # beat two, and the sixteenth after it
    late, loud = humanise(keys, places, np.full(4000, 80.0), 1.0, rng)
    assert loud[::2].mean() / loud[1::2].mean() == pytest.approx(1.135 / 0.905, abs=0.03)
    assert late[1::2].mean() - late[::2].mean() == pytest.approx(0.006, abs=0.001)
    late, loud = humanise(keys, places, np.full(4000, 80.0), 0.0, rng)
    assert (late == 0.0).all()
    assert (loud == 80.0).all()
    assert [group_of(key) for key in (36, 38, 42, 46, 51, 49)] == ["kick", "snare", "hat", "open", "ride", ""]
