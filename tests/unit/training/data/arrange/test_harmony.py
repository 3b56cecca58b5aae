"""Progressions are in a key, return with their sections, and use every chord that can be asked for."""

from collections import Counter

import numpy as np
import pytest

from engine.music.harmony import NO_CHORD, QUALITIES
from training.data.arrange.harmony import FAMILIES, HarmonyPlanError, write_harmony
from training.data.arrange.meters import GRIDS
from training.data.arrange.styles import STYLES


def plans(count: int = 20):
    for name, style in STYLES.items():
        for seed in range(count):
            rng = np.random.default_rng([seed, *name.encode()])
            yield style.grid, write_harmony(style.harmony, 32, style.grid, rng, breaks=bool(style.drums[1]))


def test_every_quality_has_one_part_in_a_hundred() -> None:
    steps: Counter[str] = Counter()
    for grid, plan in plans(40):
        for bar in plan.chords:
            for chord, length in zip(bar, grid.splits[len(bar)], strict=True):
                steps[chord.quality] += length
    shares = {quality: steps[quality] / steps.total() for quality in QUALITIES}
    assert min(shares.values()) >= 0.01, shares


def test_bars_hold_one_two_or_a_chord_a_beat_and_slash_chords_occur() -> None:
    counts: Counter[int] = Counter()
    slashes = chords = 0
    for _, plan in plans():
        for bar in plan.chords:
            counts[len(bar)] += 1
            chords += len(bar)
            slashes += sum(chord.bass != chord.root for chord in bar)
    assert {1, 2, 3, 4} <= set(counts)
    assert counts[2] / counts.total() > 0.1
    assert slashes / chords > 0.04


def test_sections_of_one_letter_have_the_same_chords() -> None:
    for _, plan in plans(3):
        seen = {}
        for start, end in zip(plan.starts, [*plan.starts[1:], 32], strict=True):
            section = plan.chords[start:end]
            known = seen.setdefault(plan.sections[start], section)
            alike = zip(section, known, strict=False)
            assert all(a == b or (NO_CHORD,) in (a, b) for a, b in alike)


def test_most_chord_tones_are_in_the_key() -> None:
    shares = [
        np.mean(
            [tone in plan.key.pitch_classes for bar in plan.chords for chord in bar for tone in chord.pitch_classes]
        )
        for _, plan in plans(6)
    ]
    assert np.median(shares) > 0.88


def test_all_twelve_keys_and_all_modes_are_written() -> None:
    keys = {(plan.key.tonic, plan.key.mode) for _, plan in plans()}
    assert {tonic for tonic, _ in keys} == set(range(12))
    assert {mode for _, mode in keys} == {mode for modes in FAMILIES.values() for mode in modes}


@pytest.mark.parametrize(("family", "bars"), [("yodel", 8), ("pop", 0)])
def test_what_cannot_be_written_is_said(family: str, bars: int) -> None:
    with pytest.raises(HarmonyPlanError, match="wanted"):
        write_harmony(family, bars, GRIDS["4/4"], np.random.default_rng(0))
