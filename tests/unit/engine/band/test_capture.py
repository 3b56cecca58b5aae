"""What is played lands on the grid as a musician means it."""

import pytest

from engine.band.capture import MOST_ONS_HZ, NoteCapture, chord_played
from engine.music.score import Note


def played(capture: NoteCapture, *notes: tuple[int, float, float], velocity: int = 80) -> NoteCapture:
    for pitch, start, end in notes:
        capture.feed((0x90, pitch, velocity), start / 960.0, start)
        capture.feed((0x80, pitch, 0), end / 960.0, end)
    return capture


def test_note_just_before_the_bar_line_belongs_to_the_next_bar() -> None:
    capture = played(NoteCapture(), (60, 1920 - 59, 2100), (62, 1920 - 61 - 480, 1500))
    assert [note.start for note in capture.notes(0, 4000)] == [1320, 1920]


def test_held_key_is_as_long_as_it_has_been_held() -> None:
    capture = NoteCapture()
    capture.feed((0x90, 60, 80), 0.0, 0.0)
    assert capture.notes(0, 10.0) == (Note(0, 60, 120, 80),)
    assert capture.notes(0, 600.0) == (Note(0, 60, 600, 80),)
    capture.feed((0x90, 60, 0), 1.0, 960.0)
    assert capture.notes(0, 5000.0) == (Note(0, 60, 960, 80),)


def test_lead_is_one_voice_and_a_piano_is_not() -> None:
    chord = ((60, 0.0, 400.0), (64, 10.0, 400.0), (67, 5.0, 400.0))
    assert [n.pitch for n in played(NoteCapture(), *chord).notes(0, 1000)] == [67]
    assert [n.pitch for n in played(NoteCapture(highest=False), *chord).notes(0, 1000)] == [60, 64, 67]


def test_keys_below_the_split_hold_a_chord_that_stays() -> None:
    capture = played(NoteCapture(split=60), (45, 0, 400), (72, 0, 400))
    assert capture.chord is None
    for pitch in (45, 48, 52):
        capture.feed((0x90, pitch, 80), 1.0, 960.0)
    assert capture.due_s < 1.06
    capture.poll(1.06)
    assert str(capture.chord) == "Am"
    for pitch in (45, 48, 52):
        capture.feed((0x80, pitch, 0), 2.0, 1920.0)
        capture.poll(2.3)
    assert str(capture.chord) == "Am"
    assert [note.pitch for note in capture.notes(0, 4000)] == [72]


def test_all_notes_off_on_the_manager_channel_of_mpe_ends_the_notes_of_its_members() -> None:
    capture = NoteCapture(highest=False)
    for channel, pitch in ((1, 72), (2, 76)):
        capture.feed((0x90 | channel, pitch, 80), 1.0, 0.0)
    capture.feed((0xB0, 123, 0), 1.5, 480.0)
    assert [note.length for note in capture.notes(0, 4000)] == [480, 480]


def test_a_jump_leaves_the_keys_of_a_chord_held() -> None:
    capture = NoteCapture(split=60)
    for pitch in (48, 52, 55):
        capture.feed((0x90, pitch, 80), 1.0, 0.0)
    capture.poll(1.1)
    capture.clear()
    for pitch in (47, 50):
        capture.feed((0x90, pitch, 80), 2.0, 0.0)
    for pitch in (48, 52):
        capture.feed((0x80, pitch, 0), 2.04, 40.0)
    capture.poll(2.2)
    assert str(capture.chord) == "G/B"


def test_a_chord_pressed_legato_below_the_split_is_the_chord_before_no_longer() -> None:
    capture = NoteCapture(split=60)
    for pitch in (48, 52, 55):
        capture.feed((0x90, pitch, 80), 1.0, 0.0)
    for pitch in (47, 50):
        capture.feed((0x90, pitch, 80), 2.0, 960.0)
    for pitch in (48, 52):
        capture.feed((0x80, pitch, 0), 2.04, 1000.0)
    capture.poll(2.1)
    assert str(capture.chord) == "G/B"


@pytest.mark.parametrize("message", [(0x99, 36, 100), (0x90,), (0x90, 200, 100), (0x90, 60, 300), (), (0xF8,)])
def test_drums_and_broken_messages_are_not_melody(message: tuple[int, ...]) -> None:
    capture = NoteCapture()
    capture.feed(message, 0.0, 0.0)
    assert capture.notes(0, 1000) == ()


def test_flood_is_not_listened_to() -> None:
    capture = NoteCapture(highest=False)
    for index in range(5 * MOST_ONS_HZ):
        capture.feed((0x90, index % 128, 80), index * 0.001, index * 10.0)
    assert capture.floods > 3 * MOST_ONS_HZ
    capture.feed((0x90, 61, 80), 30.0, 90_000.0)
    assert 61 in [note.pitch for note in capture.notes(80_000, 90_000)]


def test_all_notes_off_lets_go() -> None:
    capture = NoteCapture()
    capture.feed((0x90, 60, 80), 0.0, 0.0)
    capture.feed((0xB0, 123, 0), 1.0, 480.0)
    assert capture.notes(0, 5000.0) == (Note(0, 60, 480, 80),)


def test_notes_played_in_the_count_in_are_no_part_of_bar_zero() -> None:
    capture = played(NoteCapture(), (60, -900.0, -500.0), (64, -40.0, 200.0))
    assert [(n.start, n.pitch) for n in capture.notes(0, 500)] == [(0, 64)]


def test_chord_is_heard_in_a_melody_and_stays_through_a_rest() -> None:
    melody = (69, 72, 76, 74, 72, 69, 65, 67, 67, 64, 60, 64, 71, 74, 67, 69)
    notes = [Note(480 * index, pitch, 480) for index, pitch in enumerate(melody)]
    assert [str(chord_played(notes, 0, bars)) for bars in range(1, 6)] == ["Am", "F", "C", "G", "G"]
    assert str(chord_played(notes, 1920, 1)) == "F"
    assert chord_played([], 0, 4) is None


def test_a_key_struck_again_ends_the_note_before() -> None:
    capture = NoteCapture()
    for tick in (0.0, 480.0):
        capture.feed((0x90, 60, 80), tick / 960.0, tick)
    capture.feed((0x80, 60, 0), 1.0, 960.0)
    assert capture.notes(0, 2000) == (Note(0, 60, 480, 80), Note(480, 60, 480, 80))
