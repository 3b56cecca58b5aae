"""What the arranger wrote stays what it wrote: stores of grids were made from these notes."""

import hashlib

import pytest

from engine.music.harmony import parse_progression
from engine.music.score import Note, Track
from training.data.arrange.arrange import arrange

CHORDS = parse_progression("C | Am F | Dm7 G7 | C | Em | F#dim B7 | Em C/E | Csus4 C | N | Am F Dm G") * 4
LEAD = Track(tuple(Note(index * 240, 72 + (index * 5) % 12, 240) for index in range(64, 300)), 80)
FIRST = {
    "ballad": "944b0e23b37c80f4",
    "pop": "0bdf8f6ec6d26521",
    "rock": "87c35f2b610cd0ba",
    "hard_rock": "767ab0c3ff9d9d62",
    "funk": "ae004a54dbe8b877",
    "bossa": "07e09bea43bb961d",
    "swing": "11834aff2d8e8688",
    "disco": "74e48a3e0448fd3f",
    "folk": "542016b044107e1d",
    "reggae": "4f7455c9cfeb023d",
    "techno": "d97958f6c7a59ec3",
    "march": "0e1bade64aacb250",
    "latin": "11edc10262c5303e",
    "rnb": "f94b48e98e090591",
    "country": "1c0cb1f4c2f10e76",
    "hiphop": "36951438db97d5b7",
    "synthpop": "ed6afee49cf83588",
    "samba": "ed16baf9ffa32580",
}
"""By style, what the first version wrote: sums over four bands each."""


def digest(style: str) -> str:
    text = hashlib.sha256()
    for seed, options in ((0, {}), (1, {"density": 0.9}), (7, {"density": 0.3, "register": -0.8}), (42, {})):
        made = arrange(LEAD, CHORDS, style, seed, **options)
        notes = [[(n.start, n.pitch, n.length, n.velocity) for n in track.notes] for track in made.score.tracks]
        programs = [(track.program, track.drums, track.name) for track in made.score.tracks]
        text.update(repr((notes, programs, made.score.tempos, [str(chord) for chord in made.chords])).encode())
    return text.hexdigest()[:16]


@pytest.mark.parametrize("style", FIRST)
def test_the_first_styles_write_the_same_notes_as_ever(style: str) -> None:
    assert digest(style) == FIRST[style]
