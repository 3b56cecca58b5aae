"""Which part of a band tracks play."""

import pytest

from engine.music.roles import assign_roles, role_named, roles_of
from engine.music.score import ROLES, Note, Score, Track


def _line(pitch: int, count: int = 40) -> tuple[Note, ...]:
    return tuple(Note(240 * index, pitch + index % 5, 200) for index in range(count))


def _chords(pitch: int) -> tuple[Note, ...]:
    return tuple(Note(480 * index, pitch + step, 400) for index in range(20) for step in (0, 4, 7))


def _score(*tracks: Track) -> Score:
    return Score(tracks)


def test_a_general_midi_band_is_told_by_its_programs_and_the_drum_channel() -> None:
    score = _score(
        Track(_line(72), 80), Track(_line(40), 33), Track(_line(36), 0, True), Track(_chords(60), 27),
        Track(_chords(60), 4), Track(_chords(60), 49), Track(_line(60), 122), Track((), 0),
    )  # fmt: skip
    assert roles_of(score) == ("lead", "bass", "drum", "guitar", "piano", "string", None, None)


@pytest.mark.parametrize("name", ["Melody", "LEAD voc.", "Gesang", "Voice", "Canto"])
def test_a_name_makes_a_track_the_melody_before_any_sound_does(name: str) -> None:
    score = _score(Track(_line(70), 80), Track(_line(72), 0, False, name), Track(_chords(55), 0))
    assert roles_of(score) == ("piano", "lead", "piano")


def test_names_are_asked_where_there_is_no_program() -> None:
    score = _score(
        *(Track(_chords(60), 0, False, name) for name in ("Violino II", "Chitarra", "Double bass", "Klavier"))
    )
    assert roles_of(score) == ("string", "guitar", "bass", "piano")


def test_without_a_lead_sound_a_wind_is_the_melody_and_the_other_winds_are_strings() -> None:
    score = _score(Track(_line(72), 73), Track(_line(62), 71), Track(_chords(60), 0), Track(_line(40), 32))
    assert roles_of(score) == ("lead", "string", "piano", "bass")


def test_a_string_quartet_has_a_melody_and_a_bass() -> None:
    score = _score(Track(_line(76), 40), Track(_line(68), 40), Track(_line(60), 41), Track(_line(45), 42))
    assert roles_of(score) == ("lead", "string", "string", "bass")


def test_of_two_tracks_of_one_sound_the_one_that_sings_is_the_melody() -> None:
    score = _score(Track(_line(67), 0), Track(_chords(50), 0))
    assert roles_of(score) == ("lead", "piano")


def test_one_track_of_chords_is_no_melody_and_its_top_can_be_drawn_out() -> None:
    score = _score(Track(_chords(60), 0))
    assert roles_of(score) == ("piano",)
    assert not assign_roles(score).tracks[0].notes
    drawn = assign_roles(score, draw_lead=True)
    assert {note.pitch for note in drawn.tracks[0].notes} == {67}
    assert len(drawn.tracks[ROLES.index("piano")].notes) == 60


def test_tracks_of_one_role_are_merged_in_order() -> None:
    made = assign_roles(_score(Track(_chords(48), 48), Track(_chords(60), 50), Track(_line(72), 80)))
    assert [track.name for track in made.tracks] == list(ROLES)
    strings = made.tracks[ROLES.index("string")].notes
    assert len(strings) == 120
    assert list(strings) == sorted(strings)
    assert made.tracks[ROLES.index("drum")].drums


def test_no_tracks_and_drums_alone_have_roles_too() -> None:
    assert roles_of(_score()) == ()
    assert roles_of(_score(Track(_line(36), 0, True, "lead drums"))) == ("drum",)


def test_plurals_and_common_names_are_roles() -> None:
    words = ("Drums", "strings", " keys ", "melody", "bass", "guitars", "flute", "")
    assert [role_named(word) for word in words] == ["drum", "string", "piano", "lead", "bass", "guitar", None, None]


def test_strings_that_pluck_or_tremble_are_what_their_name_says() -> None:
    tracks = (Track(_line(40), 45, False, "Bass"), Track(_line(72), 45, False, "Violin"), Track(_line(60), 44))
    assert roles_of(_score(*tracks))[0] == "bass"
    assert roles_of(_score(tracks[1], tracks[0]))[1] == "bass"
    assert roles_of(_score(tracks[2])) == ("string",)
