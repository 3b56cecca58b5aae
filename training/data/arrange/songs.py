"""Whole pieces from a style and a seed alone: chords, melody, instruments and band."""

from collections.abc import Mapping

import numpy as np

from engine.music.score import Track
from training.data.arrange.arrange import ArrangeError, Arrangement, arrange
from training.data.arrange.harmony import write_harmony
from training.data.arrange.instruments import RANGES
from training.data.arrange.melody import MelodyOptions, write_melody
from training.data.arrange.styles import STYLES, ArrangementStyle, draw_programs

__all__ = ["write_song"]


def _options(program: int, density: float, swung: bool, rng: np.random.Generator) -> MelodyOptions:
    """A melody of an octave and a half, in the middle of its instrument."""
    low, high = RANGES[program]
    middle = float(np.clip(0.45 * low + 0.55 * high + rng.uniform(-4.0, 4.0), low + 6, high - 6))
    least, most = max(low, round(middle) - 9), min(high, round(middle) + 9)
    busyness = float(np.clip(density + rng.normal(0.0, 0.2), 0.0, 1.0))
    return MelodyOptions(least, most, busyness, swung, float(rng.uniform(0.0, 0.3)))


def _drums_alone(style: ArrangementStyle) -> bool:
    """Whether every groove of a style, the calm ones aside, has strokes: then drums can play alone."""
    return all(level and all(level) for level in style.drums[1:])


def write_song(
    style: str,
    seed: int,
    *,
    bars: int = 32,
    density: float | None = None,
    tempo_bpm: float | None = None,
    programs: Mapping[str, int] | None = None,
) -> Arrangement:
    """Write a piece for six instruments, of no tune but its own. The same arguments give the same notes.

    Args:
        style: a key of `STYLES`.
        seed: 0 or greater.
        bars: 1 or more.
        density: 0 sparse .. 1 full; drawn if None.
        tempo_bpm: 30..300; drawn from the style's range if None.
        programs: as `arrange` takes them; drawn from the style's if None.
    Raises:
        ArrangeError: no such style, or a value out of range.
    """
    if style not in STYLES or seed < 0 or bars < 1:
        raise ArrangeError(
            f"got style {style!r}, seed {seed} and {bars} bars, wanted one of {', '.join(STYLES)}, a seed from 0 and "
            "1 bar or more"
        )
    chosen = STYLES[style]
    streams = np.random.SeedSequence([seed, 1, *style.encode()]).spawn(3)
    for_song, for_chords, for_melody = map(np.random.default_rng, streams)
    drawn = float(for_song.uniform(0.15, 0.9))
    full = drawn if density is None else density
    played = draw_programs(chosen, seed) if programs is None else programs
    plan = write_harmony(chosen.harmony, bars, chosen.grid, for_chords, breaks=_drums_alone(chosen))
    steps = [
        chord
        for bar in plan.chords
        for chord, length in zip(bar, chosen.grid.splits[len(bar)], strict=True)
        for _ in range(length)
    ]
    swung = chosen.swing > 0.5 and chosen.swing_unit == 8
    options = _options(played["lead"], full, swung, for_song)
    notes = write_melody(steps, plan.key, chosen.grid, plan.sections, plan.starts, options, for_melody)
    lead = Track(notes, played["lead"], False, "lead")
    return arrange(lead, plan.chords, style, seed, density=full, tempo_bpm=tempo_bpm, programs=played, key=plan.key)
