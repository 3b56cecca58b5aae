"""Notes struck together as one token, and the way back where a dictionary has none."""

import numpy as np

from engine.music.tokens import FOLDED, THINNED, UNKNOWN, Spelling, floor_code, length_token, nearest_codes, split_of
from engine.music.vocabulary import UNITS, Dictionary

DICTIONARY = Dictionary.build(
    {
        "piano": {(60, 64): 9, (60, 67): 8, (64, 67): 7, (48, 60, 67): 6, (48, 64, 67): 5, (55, 60, 64): 4},
        "bass": {(36, 48): 3, (43, 48): 9},
    }
)


def _heard(role: str, *pitches: int) -> tuple[tuple[int, ...], dict[str, int]]:
    token, lost = Spelling(DICTIONARY).token(role, pitches)
    assert token is not None
    return DICTIONARY.pitches(token), lost


def test_what_is_known_is_itself() -> None:
    assert _heard("piano", 55, 60, 64) == ((55, 60, 64), {})


def test_the_largest_known_part_that_keeps_the_outer_notes_is_taken_and_counted() -> None:
    assert _heard("piano", 48, 60, 64, 67) == ((48, 64, 67), {THINNED: 1})  # 60 is an octave of 48
    assert _heard("piano", 60, 63, 67) == ((60, 67), {THINNED: 1})


def test_at_worst_the_highest_note_is_left_and_of_the_bass_the_lowest() -> None:
    assert _heard("lead", 60, 64, 67) == ((67,), {THINNED: 2})
    assert _heard("bass", 30, 41) == ((30,), {THINNED: 1})
    assert _heard("bass", 36, 43, 48) == ((36, 48), {THINNED: 1})


def test_notes_out_of_range_are_moved_by_octaves_and_counted() -> None:
    assert _heard("piano", -3) == ((9,), {FOLDED: 1})
    assert _heard("piano", 130) == ((118,), {FOLDED: 1})


def test_strictly_what_is_not_known_is_dropped_and_counted() -> None:
    spelling = Spelling(DICTIONARY, strict=True)
    assert spelling.token("piano", (48, 60, 64, 67)) == (None, {UNKNOWN: 4})
    assert spelling.token("piano", (-3,)) == (None, {UNKNOWN: 1})


def test_lengths_go_to_the_nearest_entry_and_never_below_one() -> None:
    lengths = np.array([0, 0.4, 1, 1.49, 1.5, 2, 4.9, 5, 11, 31.9, 52, 60, 10_000])
    units = [UNITS[code + 1] for code in nearest_codes(lengths)]
    assert units == [1, 1, 1, 1, 2, 2, 4, 6, 12, 28, 52, 52, 52]


def test_the_published_table_takes_the_longest_entry_that_fits() -> None:
    units = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 15, 16, 19, 20, 27, 28, 35, 36, 43, 44, 51, 52, 53, 999])
    codes = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 8, 8, 9, 9, 10, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15]
    assert floor_code(units).tolist() == codes


def test_notes_struck_together_have_one_length_or_the_lowest_has_another() -> None:
    assert split_of([4]) == split_of([4, 4, 4]) == (4, 4)
    assert split_of([8, 3, 3]) == (8, 3)
    assert split_of([3, 3, 8]) == (3, 3)  # saying 3 below 8 would say no more notes rightly
    assert split_of([8, 3]) == (8, 3)
    words = Dictionary.build({}, splits={(8, 3): 1})
    assert words.parts[length_token([8, 3, 3], words)].tolist() == [8, 3]
    assert length_token([9, 3, 3], words) == 3
    assert length_token([5, 5], words) == 5
