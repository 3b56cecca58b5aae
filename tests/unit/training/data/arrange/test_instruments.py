"""Notes come into an instrument's range by octaves, and none is lost."""

from engine.music.score import Note
from training.data.arrange.instruments import RANGES, fit_notes, fit_pitch, shift_notes


def test_every_program_has_a_range_of_an_octave_or_more() -> None:
    assert sorted(RANGES) == list(range(128))
    assert all(low >= 0 and low + 12 <= high <= 127 for low, high in RANGES.values())


def test_a_pitch_moves_by_whole_octaves_and_only_where_it_must() -> None:
    for pitch in range(128):
        moved = fit_pitch(pitch, 40, 60)
        assert 40 <= moved <= 60
        assert (moved - pitch) % 12 == 0
        assert moved == pitch or not 40 <= pitch <= 60


def test_two_notes_that_become_one_are_one_of_the_longer_length() -> None:
    notes = (Note(0, 36, 120), Note(0, 48, 480), Note(240, 50, 120))
    assert fit_notes(notes, 57) == (Note(0, 48, 480), Note(240, 50, 120))


def test_a_melody_keeps_its_shape_when_it_is_moved() -> None:
    melody = tuple(Note(index * 240, 76 + step, 240) for index, step in enumerate((0, 4, 7, 4, 0)))
    moved = shift_notes(melody, 42)
    assert {a.pitch - b.pitch for a, b in zip(moved, melody, strict=True)} == {-12}
