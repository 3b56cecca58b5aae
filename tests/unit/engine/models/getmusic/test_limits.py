"""What a fill may play, and what it is told of harmony, from a dictionary's tokens."""

import numpy as np

from engine.models.getmusic.limits import conducted, limits_of, rows_of, tones_of
from engine.music.harmony import parse_chord
from engine.music.vocabulary import PAD, Dictionary
from tests.tiny_getmusic import dictionary_text, tiny_rows

WORDS = Dictionary.read(dictionary_text())
NOW = np.array([0])
REST = np.full((1, 16), PAD)


def test_rows_and_limits_come_from_the_dictionary() -> None:
    assert rows_of(WORDS) == tiny_rows()
    limits = limits_of(WORDS, shift=-2, ranges={"bass": (30, 50), "drum": (35, 38)}, chord_tones=("piano", "drum"))
    bass = np.flatnonzero(limits.ever["bass"])
    assert bass.tolist() == [*range(28, 49), 128]
    assert np.flatnonzero(limits.ever["drum"]).tolist() == [35, 36, 37, 38]
    assert "drum" not in limits.classes
    assert limits.classes["piano"][128].nonzero()[0].tolist() == [0, 4, 7]
    assert limits.lean(4, NOW, NOW, REST, 0) is None


def test_a_pull_makes_what_lies_outside_the_chord_less_likely() -> None:
    limits = limits_of(WORDS, tones=tones_of([parse_chord("C"), parse_chord("Am")], 32), pull=3.0)
    rest = np.full((1, 32), PAD)
    lean = limits.lean(4, np.array([0, 0]), np.array([0, 16]), rest, 0)
    assert lean is not None
    assert lean[:, [60, 61, 69]].tolist() == [[1, -3, -3], [1, -3, 1]]
    # C E G brings all of C; over Am two of three are of the chord, and one note of three lies outside.
    assert lean[:, 128].tolist() == [3, 1]
    assert limits.lean(2, NOW, NOW, rest, 0) is None  # drums
    assert limits.allowed(4, NOW) is None
    later = limits.between(16, 32).lean(4, NOW, NOW, rest, 0)
    assert later is not None
    assert later[0].tolist() == lean[1].tolist()
    rest[0, 20] = WORDS.ranges["piano"].start + 57  # A has been sounded
    known = limits.lean(4, NOW, NOW + 16, rest, 0)
    assert known is not None
    assert known[0, [60, 69]].tolist() == [1, 0]


def test_tones_follow_the_chords() -> None:
    tones = tones_of([parse_chord("Am"), None, parse_chord("F/G")], 80)
    assert tones[0].nonzero()[0].tolist() == [0, 4, 9]
    assert tones[16:32].all()
    assert tones[79].nonzero()[0].tolist() == [0, 5, 7, 9]


def test_features_follow_the_chords_beat_by_beat() -> None:
    told = conducted([parse_chord("Am"), None, parse_chord("C/E")], 16, 4, np.full((6, 16), 0.5, np.float32))
    assert told[20:32, 0].nonzero()[0].tolist() == [0, 4, 9]
    assert not told[8:44, 4:8].any()
    assert told[32:44, 15].nonzero()[0].tolist() == [4]
    assert (told[44:50] == 0.5).all()
    assert (told[50:] == -1.0).all()


def test_a_scale_allows_itself_and_the_chord() -> None:
    limits = limits_of(WORDS, tones=tones_of([parse_chord("E")], 16), scale_tones=("piano",))
    allowed = limits.allowed(4, np.array([0]))
    assert allowed is not None
    # C major and A minor, and the G sharp of E.
    assert allowed[0, 60:72].nonzero()[0].tolist() == [0, 2, 4, 5, 7, 8, 9, 11]
    assert limits.lean(4, NOW, NOW, REST, 0) is None
    assert limits.allowed(1, NOW) is None
