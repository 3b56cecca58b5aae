"""A melody of one voice: in range, on chord tones where it counts, by steps between, with motifs and rests."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from engine.music.harmony import NO_CHORD, Key, parse_progression
from training.data.arrange.melody import MelodyOptions, write_melody
from training.data.arrange.meters import GRIDS

CHORDS = [bar[0] for bar in parse_progression("C Am F G C Am Dm G")]


def melody(meter: str, seed: int, **options):
    grid = GRIDS[meter]
    steps = [chord for chord in CHORDS * 2 for _ in range(grid.steps)]
    chosen = MelodyOptions(**{"low": 60, "high": 79, "rests": 0.0, **options})
    rng = np.random.default_rng(seed)
    return grid, steps, write_melody(steps, Key(0, "major"), grid, "A" * 16, (0, 8), chosen, rng)


@pytest.mark.parametrize("meter", GRIDS)
def test_a_melody_is_singable_in_every_meter(meter: str) -> None:
    leaps, strong = [], []
    for seed in range(8):
        grid, steps, notes = melody(meter, seed)
        assert all(60 <= note.pitch <= 79 for note in notes)
        assert all(a.end <= b.start for a, b in pairwise(notes))
        leaps += [abs(a.pitch - b.pitch) for a, b in pairwise(notes)]
        strong += [
            note.pitch % 12 in steps[note.start // 120].pitch_classes
            for note in notes
            if note.start % (grid.pulse * 120) == 0
        ]
        assert notes[-1].pitch % 12 in CHORDS[-1].pitch_classes
    assert np.mean([leap <= 2 for leap in leaps]) > 0.45
    assert max(leaps) <= 12
    assert all(strong)


def test_phrases_end_in_a_rest_and_their_rhythms_return() -> None:
    for seed in range(8):
        grid, _, notes = melody("4/4", seed)
        ends = {bar: max(n.end for n in notes if n.start // grid.ticks == bar) for bar in (3, 7, 11, 15)}
        assert all(end <= (bar + 1) * grid.ticks - 240 for bar, end in ends.items())
        bars = [tuple(n.start % grid.ticks for n in notes if n.start // grid.ticks == bar) for bar in range(16)]
        assert bars[:8] == bars[8:]
        assert max(Counter(bars).values()) >= 4


def test_busier_melodies_have_more_notes_and_swung_ones_no_sixteenths() -> None:
    counts = [sum(len(melody("4/4", seed, busyness=b)[2]) for seed in range(8)) for b in (0.0, 0.5, 1.0)]
    assert counts[0] < counts[1] < counts[2]
    assert all(n.start % 240 == 0 for seed in range(8) for n in melody("4/4", seed, busyness=1.0, eighths=True)[2])


def test_a_melody_rests_where_there_is_no_chord() -> None:
    grid = GRIDS["4/4"]
    steps = [NO_CHORD] * 32 + [chord for chord in CHORDS for _ in range(16)]
    rng = np.random.default_rng(0)
    notes = write_melody(steps, Key(0, "major"), grid, "A" * 10, (0,), MelodyOptions(55, 74), rng)
    assert notes[0].start >= 2 * grid.ticks
