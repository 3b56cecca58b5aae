"""What stands between a model that makes bars and the outside: channels, programs, registers."""

import pytest

from engine.music.score import ROLES, Note
from engine.protocols.accompanist import CHANNELS, PROGRAMS, in_register


def test_channels_and_programs_are_those_of_general_midi() -> None:
    """Written out: instruments and patches of players are set to these numbers."""
    assert dict(CHANNELS) == {"lead": 0, "bass": 1, "guitar": 2, "piano": 3, "string": 4, "drum": 9}
    assert dict(PROGRAMS) == {"lead": 80, "bass": 32, "drum": 0, "guitar": 25, "piano": 0, "string": 48}
    assert set(ROLES) == set(CHANNELS) == set(PROGRAMS)


@pytest.mark.parametrize(("pitch", "moved"), [(None, 0), (40, 0), (47, 12), (52, 12), (28, -12), (127, 84), (0, -36)])
def test_a_register_moves_notes_together_by_octaves(pitch: int | None, moved: int) -> None:
    notes = (Note(0, 38, 120), Note(120, 40, 120), Note(240, 43, 120))
    assert [note.pitch for note in in_register(notes, pitch)] == [note.pitch + moved for note in notes]
