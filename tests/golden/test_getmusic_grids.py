"""MIDI to grid in the published way, against grids and key shifts that the authors' own code made.

``../shared/data/parity/getmusic`` holds six songs and ``grids.npz``; nothing is stored here, and
the comparison is exact.
"""

from pathlib import Path

import numpy as np
import pytest

from engine.music.grid import decode, encode
from engine.music.midifile import read_midi
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary

PARITY = Path(__file__).parents[2] / ".." / "shared" / "data" / "parity" / "getmusic"

pytestmark = pytest.mark.skipif(not PARITY.is_dir(), reason="no ../shared/data/parity/getmusic beside the checkout")

SONGS = tuple(range(6))


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return Dictionary.load(PARITY / "dict.txt")


@pytest.mark.parametrize("song", SONGS)
def test_the_published_way_gives_the_authors_grid_and_shift(song: int, dictionary: Dictionary) -> None:
    wanted = np.load(PARITY / "grids.npz")
    made = encode(read_midi(PARITY / f"song{song}.mid"), dictionary, official=True)
    assert made.shift == int(wanted[f"song{song}/shift"])
    np.testing.assert_array_equal(made.grid, wanted[f"song{song}/grid"])
    assert not made.losses


@pytest.mark.parametrize("song", SONGS)
def test_our_way_is_in_the_same_key_and_gives_every_note_back(song: int, dictionary: Dictionary) -> None:
    score = read_midi(PARITY / f"song{song}.mid")
    official, ours = encode(score, dictionary, official=True), encode(score, dictionary)
    assert (official.shift - ours.shift) % 12 == 0
    assert -6 <= ours.shift <= 5
    back = decode(ours.grid, dictionary, ours.shift)
    for role, track in zip(ROLES, back.tracks, strict=True):
        source = [t for t, name in zip(score.tracks, ours.roles, strict=True) if name == role]
        assert {(n.start, n.pitch) for t in source for n in t.notes} == {(n.start, n.pitch) for n in track.notes}


def test_the_published_dictionary_has_its_places(dictionary: Dictionary) -> None:
    vectors = (
        ("lead", (60,), 76), ("bass", (36,), 180), ("bass", (36, 48), 272), ("drum", (36,), 1033),
        ("drum", (36, 42), 1125),
        ("guitar", (55,), 5421), ("guitar", (55, 60, 64), 5494), ("piano", (60,), 6981), ("piano", (55, 60, 64), 7049),
        ("string", (60,), 10549), ("string", (60, 64), 10617),
    )  # fmt: skip
    assert [dictionary.token(role, pitches) for role, pitches, _ in vectors] == [token for *_, token in vectors]
    assert [dictionary.pitches(token) for *_, token in vectors] == [pitches for _, pitches, _ in vectors]
    assert (dictionary.word(11859), dictionary.word(11871)) == ("C", "null")
    assert (dictionary.roots, dictionary.kinds) == (range(11859, 11871), range(11871, 11879))
    assert (dictionary.size, dictionary.empty, dictionary.mask) == (11879, 11879, 11880)
    bounds = [(tokens.start, tokens.stop - 1) for tokens in dictionary.ranges.values()]
    assert bounds == [(16, 143), (144, 996), (997, 5365), (5366, 6920), (6921, 10488), (10489, 11858)]
    assert dictionary.pitches(397) == (-9, 14, 38, 59, 86)  # a by-product of the authors' transposition


def test_the_published_dictionary_is_written_as_it_was_read(dictionary: Dictionary) -> None:
    assert dictionary.text == (PARITY / "dict.txt").read_text(encoding="utf-8")
