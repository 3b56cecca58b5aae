"""Guitars sound what a chord has."""

import pytest

from engine.music.harmony import QUALITIES, Chord
from training.data.arrange.voicing import colour_shape, guitar_shape


@pytest.mark.parametrize("quality", [quality for quality in QUALITIES if quality != "none"])
def test_a_full_stroke_has_all_tones_and_a_short_one_those_that_say_most(quality: str) -> None:
    for root in range(12):
        chord = Chord(root, quality, root)
        shape = colour_shape(chord)
        assert {pitch % 12 for pitch in shape} == set(chord.pitch_classes)
        assert 40 <= shape[0] <= shape[-1] <= 76
        if len(chord.pitch_classes) > 3:
            colours = set(QUALITIES[quality]) & {2, 9, 10, 11}
            assert {(root + step) % 12 for step in colours} <= {pitch % 12 for pitch in shape[-3:]}


def test_triads_keep_the_shapes_that_hands_hold() -> None:
    assert colour_shape(Chord(4, "maj", 4)) == guitar_shape(Chord(4, "maj", 4))
