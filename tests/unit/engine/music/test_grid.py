"""Score <-> grid: what comes back, what is counted, and what is given back note for note."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.errors import ShapeError
from engine.music.chords import state_of
from engine.music.columns import UNMAPPED
from engine.music.grid import DOUBLED, VELOCITIES, decode, encode, give_back
from engine.music.harmony import parse_chord, parse_progression
from engine.music.published import LAST, ZERO
from engine.music.score import ROLES, Meter, Note, Score, TempoChange, Track
from engine.music.tokens import THINNED, UNKNOWN
from engine.music.vocabulary import PAD, Dictionary

DICTIONARY = Dictionary.build({"piano": {(55, 60, 64): 3, (57, 60, 64): 2}, "drum": {(36, 42): 5}})
PIANO, LEAD, BASS, DRUM = (ROLES.index(role) for role in ("piano", "lead", "bass", "drum"))


def _band() -> Score:
    """Four bars in C, a little off the grid and with velocities of their own."""
    lead = tuple(Note(480 * beat + 7, 72 + beat % 5, 231, 60 + beat) for beat in range(16))
    chords = ((55, 60, 64), (57, 60, 64), (55, 60, 64), (55, 60, 64))
    piano = tuple(Note(1920 * bar, pitch, 1900, 70) for bar, chord in enumerate(chords) for pitch in chord)
    drums = tuple(Note(240 * step, pitch, 0, 50 + step) for step in range(32) for pitch in (36, 42))
    return Score(
        (Track(lead, 80), Track(piano, 0), Track(drums, 0, True), Track((Note(0, 60, 480),), 127)),
        (TempoChange(0, 97.0),),
    )


def _at(score: Score, role: int) -> set[tuple[int, int]]:
    return {(note.start, note.pitch) for note in score.tracks[role].notes}


def test_notes_come_back_on_their_columns_from_tokens_alone() -> None:
    made = encode(_band(), DICTIONARY)
    back = decode(made.grid, DICTIONARY, made.shift, score=_band())
    assert made.grid.shape == (14, 64)
    assert made.grid.dtype == np.int64
    assert _at(back, LEAD) == {(480 * beat, 72 + beat % 5) for beat in range(16)}
    assert _at(back, PIANO) == {(n.start, n.pitch) for n in _band().tracks[1].notes}
    assert {note.length for note in back.tracks[PIANO].notes} == {1920}
    assert {note.velocity for note in back.tracks[PIANO].notes} == {VELOCITIES["piano"]}
    assert back.tempos == _band().tempos


def test_cells_nobody_changed_give_their_notes_back_to_the_tick() -> None:
    score = _band()
    made = encode(score, DICTIONARY)
    back = decode(made.grid, DICTIONARY, made.shift, like=made)
    assert [back.tracks[role].notes for role in (LEAD, PIANO, DRUM)] == [track.notes for track in score.tracks[:3]]
    other = made.grid.copy()
    other[2 * LEAD, 0] = DICTIONARY.token("lead", (60 + made.shift,))
    changed = decode(other, DICTIONARY, made.shift, like=made)
    assert changed.tracks[LEAD].notes == (Note(0, 60, 240, VELOCITIES["lead"]), *score.tracks[0].notes[1:])


def test_strokes_without_length_are_one_sixteenth_and_are_dropped_only_in_the_published_way() -> None:
    ours, published = encode(_band(), DICTIONARY), encode(_band(), DICTIONARY, official=True)
    assert (ours.grid[2 * DRUM, ::2] == DICTIONARY.token("drum", (36, 42))).all()
    assert set(ours.grid[2 * DRUM + 1, ::2]) == {0}
    assert published.losses[ZERO] == 64
    assert (published.grid[2 * DRUM] == PAD).all()


def test_every_note_lost_or_changed_is_counted_by_its_cause() -> None:
    clash = Track((Note(0, 60, 240), Note(0, 60, 480), Note(0, 61, 480), Note(480, 62, 480)), 0)
    made = encode(Score((clash, Track((Note(0, 50, 480),), 120))), DICTIONARY, key="none")
    assert made.losses == {DOUBLED: 1, THINNED: 1, UNMAPPED: 1}
    assert made.grid[2 * PIANO, 0] == DICTIONARY.token("piano", (61,))
    assert "1 notes" in made.lost()
    assert encode(Score((clash,)), DICTIONARY, official=True, key=0).losses[UNKNOWN] == 2
    assert encode(_band(), DICTIONARY).losses == {UNMAPPED: 1}


def test_the_last_event_of_the_published_way_is_lost_only_when_it_is_a_note() -> None:
    # Nine bars of chords, the count being rounded to even; a note after the last chord is the last event.
    notes = tuple(Note(1920 * bar + 480, 60, 480) for bar in range(9))
    made = encode(Score((Track(notes, 80),)), DICTIONARY, official=True)
    assert made.grid.shape == (14, 8 * 16 + 5)
    assert made.losses == {LAST: 1}
    assert made.grid[0, 128 + 4] == PAD


def test_a_group_has_the_length_that_most_of_its_notes_have_and_the_lowest_ones_as_published() -> None:
    score = Score((Track((Note(0, 55, 120), Note(0, 60, 960), Note(0, 64, 960)), 0),))
    assert encode(score, DICTIONARY, key=0).grid[2 * PIANO + 1, 0] == 5
    assert encode(score, DICTIONARY, key=0, official=True).grid[2 * PIANO + 1, 0] == 0


def test_tracks_that_are_not_there_are_empty_and_in_the_published_way_padded() -> None:
    assert (encode(_band(), DICTIONARY).grid[2 * BASS : 2 * BASS + 2] == DICTIONARY.empty).all()
    assert (encode(_band(), DICTIONARY, official=True).grid[2 * BASS : 2 * BASS + 2] == PAD).all()


def test_chords_are_heard_on_time_or_a_bar_late_or_are_given() -> None:
    names = {"on": "C Am C C", "late": "C C Am C", "given": "Dm G G G"}
    heard = {
        "on": encode(_band(), DICTIONARY, key=0),
        "late": encode(_band(), DICTIONARY, key=0, lag=True),
        "given": encode(_band(), DICTIONARY, key=0, chords=[parse_chord("Dm"), parse_chord("G")]),
    }
    for way, made in heard.items():
        states = [state_of(chords[0]) - 1 for chords in parse_progression(names[way])]
        wanted = [(DICTIONARY.roots[state // 8], DICTIONARY.kinds[state % 8]) for state in states]
        assert [tuple(made.grid[12:, 16 * bar + 5]) for bar in range(4)] == wanted, way
    unknown = encode(_band(), DICTIONARY, key=2, chords=[None, parse_chord("C")])
    assert (unknown.grid[12:, :16] == DICTIONARY.empty).all()
    assert (unknown.grid[12, 16:] == DICTIONARY.roots[2]).all()


def test_published_chords_of_c_am_f_g_are_a_bar_late() -> None:
    chords = [parse_chord(name).voiced(48) for name in ("C", "Am", "F", "G")]
    piano = Track(tuple(Note(1920 * bar, p, 1920) for bar, chord in enumerate(chords) for p in chord), 0)
    made = encode(Score((piano,)), DICTIONARY, official=True, key=0)
    assert [DICTIONARY.word(token) for token in made.grid[12, :64:16]] == ["C", "C", "A", "F"]
    assert made.grid.shape == (14, 65)  # the chord after the end, G, is the last event


def test_the_key_moves_pitched_notes_there_and_back_and_leaves_drums() -> None:
    tracks = tuple(
        track if track.drums else replace(track, notes=tuple(replace(n, pitch=n.pitch + 7) for n in track.notes))
        for track in _band().tracks
    )
    made, plain = encode(Score(tracks), DICTIONARY, key=-7), encode(_band(), DICTIONARY, key=0)
    np.testing.assert_array_equal(made.grid, plain.grid)
    back = decode(made.grid, DICTIONARY, made.shift)
    assert _at(back, PIANO) == {(n.start, n.pitch) for n in tracks[1].notes}
    assert _at(back, DRUM) == {(n.start, n.pitch) for n in tracks[2].notes}


def test_three_four_leaves_columns_unused_and_says_so() -> None:
    waltz = Score((Track(tuple(Note(480 * b, 60, 480) for b in range(6)), 80),), meters=(Meter(0, 3, 4),))
    made = encode(waltz, DICTIONARY)
    assert np.flatnonzero(made.grid[0] != PAD).tolist() == [0, 4, 8, 16, 20, 24]
    assert "3/4" in made.lost()
    filled = made.grid.copy()
    filled[0, 14] = filled[0, 0]
    filled[1, 14] = 0
    assert decode(filled, DICTIONARY, made.shift, bars=made.bars).tracks[0].notes == tuple(
        replace(note, velocity=VELOCITIES["lead"]) for note in waltz.tracks[0].notes
    )


def test_only_targets_change_and_all_else_is_given_back_note_for_note() -> None:
    score = _band()
    made = encode(score, DICTIONARY)
    targets = np.zeros((6, 64), np.bool_)
    targets[PIANO, 16:32] = targets[BASS, 16:32] = True
    grid = made.grid.copy()
    grid[2 * PIANO, 20], grid[2 * PIANO + 1, 20] = DICTIONARY.token("piano", (60 + made.shift,)), 0
    grid[2 * BASS, 16], grid[2 * BASS + 1, 16] = DICTIONARY.token("bass", (36 + made.shift,)), 3
    grid[2 * BASS, 0], grid[2 * BASS + 1, 0] = grid[2 * BASS, 16], 3  # no target: not taken
    grid[2 * PIANO : 2 * PIANO + 2, 16] = PAD
    back = give_back(score, made, grid, DICTIONARY, targets)
    assert (back.tracks[0], back.tracks[2], back.tracks[3]) == (score.tracks[0], score.tracks[2], score.tracks[3])
    kept = [note for note in score.tracks[1].notes if note.start != 1920]
    assert Counter(back.tracks[1].notes) == Counter([*kept, Note(2400, 60, 120, VELOCITIES["piano"])])
    assert back.tracks[4:] == (Track((Note(1920, 36, 480, VELOCITIES["bass"]),), 32, False, "bass"),)


def test_cells_that_make_no_note_are_passed_over() -> None:
    grid = np.full((14, 16), PAD, np.int64)
    grid[0, 0] = DICTIONARY.ranges["lead"][60]  # a pitch without a length
    grid[1, 1] = 3  # a length without a pitch
    grid[0, 2], grid[1, 2] = DICTIONARY.ranges["bass"][60], 3  # of another track
    grid[0, 3], grid[1, 3] = DICTIONARY.mask, DICTIONARY.mask
    grid[0, 4], grid[1, 4] = DICTIONARY.ranges["lead"][3], 3  # below MIDI's range once moved back
    assert not any(track.notes for track in decode(grid, DICTIONARY, 5).tracks)


def test_grids_of_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="14"):
        decode(np.zeros((12, 16), np.int64), DICTIONARY)
    made = encode(_band(), DICTIONARY)
    with pytest.raises(ShapeError, match="targets"):
        give_back(_band(), made, made.grid, DICTIONARY, np.zeros((6, 3), np.bool_))


def test_nothing_at_all_and_drums_alone_have_grids() -> None:
    empty = encode(Score(()), DICTIONARY, least_bars=2)
    assert empty.grid.shape == (14, 32)
    assert (empty.grid == DICTIONARY.empty).all()
    drums = Score((_band().tracks[2],))
    for official in (False, True):
        made = encode(drums, DICTIONARY, official=official)
        assert made.shift == 0
    assert encode(Score(()), DICTIONARY, official=True).grid.shape[0] == 14


def test_a_bass_below_chords_keeps_its_length_where_the_dictionary_can_say_so() -> None:
    hands = Track((Note(0, 55, 1920), Note(0, 60, 480), Note(0, 64, 480)), 0)
    words = Dictionary.build({"piano": {(55, 60, 64): 1}}, splits={(8, 3): 1})
    for dictionary, wanted in ((words, [1920, 480, 480]), (DICTIONARY, [480, 480, 480])):
        made = encode(Score((hands,)), dictionary, key="none", roles=["piano"])
        back = decode(made.grid, dictionary, made.shift)
        assert [note.length for note in back.tracks[PIANO].notes] == wanted
