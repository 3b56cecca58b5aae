"""A piece sounds as its record says: notes where they are written, on keys that the font has, in true words."""

from pathlib import Path

import numpy as np
import pytest

from training.data.band.fluid import PlayedNote
from training.data.band.palette import instrument_names
from training.data.band.piece import make_piece, playable
from training.data.band.songs import draw_song
from training.data.band.soundfonts import FONTS, Preset
from training.data.band.timeline import Timeline
from training.data.band.tune_books import TuneBook
from training.data.pieces import side_of


def notes(*pitches: int) -> list[PlayedNote]:
    return [PlayedNote(0.1 * index, 0.1, pitch, 90) for index, pitch in enumerate(pitches)]


def test_notes_outside_are_moved_by_octaves_and_counted() -> None:
    kept, moved, dropped = playable(notes(20, 40, 60, 100), Preset("", tuple(range(30, 73))), 28, 60, False)
    assert [note.pitch for note in kept] == [32, 40, 60, 52]
    assert (moved, dropped) == (2, 0)
    kept, moved, dropped = playable(notes(30), Preset("", tuple(range(40, 73))), 28, 60, False)
    assert ([note.pitch for note in kept], moved, dropped) == ([42], 1, 0)


def test_drums_that_a_kit_has_not_are_played_on_another() -> None:
    kept, moved, dropped = playable(notes(36, 54, 75), Preset("", (36, 37, 38, 42)), 0, 127, True)
    assert [note.pitch for note in kept] == [36, 42, 37]
    assert (moved, dropped) == (2, 0)
    assert playable(notes(54), Preset("", (36,)), 0, 127, True) == ([], 0, 1)


@pytest.mark.usefixtures("tiny_fonts")
@pytest.mark.parametrize("number", [1, 3])
def test_sound_begins_where_the_record_says(number: int) -> None:
    """Every first note after a silence is heard within a few milliseconds of its written time."""
    made = make_piece(11, number, TuneBook())
    timeline = Timeline.read(made.record["timeline"])
    first = min(int(part.notes[0, 0]) for part in timeline.parts) / 1000.0
    level = np.abs(made.audio).max(axis=0)
    begun = np.flatnonzero(level > 0.02 * level[: round((first + 0.3) * 44100)].max())[0] / 44100.0
    assert begun == pytest.approx(first, abs=0.008)
    assert made.audio.shape[1] == round(made.record["duration_s"] * 44100)
    assert made.record["notes_dropped"] == 0
    assert len(timeline.lufs) * timeline.beats_per_bar == len(timeline.beats_s) - 1
    assert made.record["captions"] == make_piece(11, number, TuneBook()).record["captions"]


def test_songs_are_of_all_kinds_and_each_side_keeps_its_tunes_and_seeds() -> None:
    songs = [draw_song(3, number, TuneBook()) for number in range(60)]
    assert len({song.band.style for song in songs}) >= 25
    assert {(s.band.grid.beats, s.band.grid.unit) for s in songs} >= {(4, 4), (3, 4)}
    assert {song.room for song in songs} == set(FONTS)
    few = [song for song in songs if len(song.score.tracks) <= 3]
    assert 0.2 <= len(few) / len(songs) <= 0.55
    assert {song.held_out for song in songs} == {True, False}
    assert all(side_of(f"{s.band.style}/{s.style_seed}", 0.06) == s.held_out for s in songs)
    assert all(track.notes for song in songs for track in song.score.tracks)
    assert all(instrument_names(t.program, t.drums) for song in songs for t in song.score.tracks)


def test_the_same_seed_and_number_give_the_same_song() -> None:
    assert draw_song(4, 2, TuneBook()) == draw_song(4, 2, TuneBook())
    assert draw_song(4, 2, TuneBook()) != draw_song(5, 2, TuneBook())


def test_every_style_is_drawn_with_instruments_that_have_names() -> None:
    from training.data.arrange.styles import STYLES

    for style in STYLES.values():
        for role, programs in style.programs.items():
            assert all(instrument_names(program, role == "drum")[0] for program in programs), (style.name, role)


def test_a_folder_without_tunes_is_refused(tmp_path: Path) -> None:
    from training.data.corpus import DataError

    with pytest.raises(DataError, match=r"pop909\.tar\.gz"):
        TuneBook(tmp_path)
