"""Who plays when: every pattern is a subset of one set of steps that grows with density.

A bar has sixteen steps. The four beats always sound; density adds the other twelve in a fixed order (offbeats,
then sixteenths), so the number of onsets is `4 + round(12 density)` whatever the instruments do, and the same
place in the bar with the same chord and density gives the same notes.
"""

from collections.abc import Callable, Iterator
from typing import Final

from engine.music.harmony import Chord
from training.data.piece import TICKS_PER_BAR, TICKS_PER_STEP, Hit, Style

__all__ = ["active_steps", "ambient_bar", "techno_bar"]

BEATS: Final = (0, 4, 8, 12)

# Style.fill: the order in which steps join the beats. Offbeats first, then sixteenths.
FILLS: Final = (
    (2, 10, 6, 14, 7, 15, 3, 11, 13, 5, 9, 1),
    (6, 14, 2, 10, 3, 11, 15, 7, 9, 1, 13, 5),
    (14, 6, 10, 2, 15, 11, 7, 3, 1, 5, 9, 13),
)
# Style.bass_pattern and Style.stab_pattern: chosen steps, played where density allows. The beats in the first
# ones are steps of their own; a chord change always sounds.
BASSES: Final = ((2, 6, 10, 14), (2, 3, 6, 7, 10, 11, 14, 15), (0, 3, 6, 8, 11, 14), (0, 2, 4, 6, 7, 8, 10, 12, 14, 15))
STABS: Final = ((2, 6, 10, 14), (0, 3, 6, 10, 13), (0, 6, 11, 14), (0, 3, 7, 10, 14))
# Style.arp_pattern: which tone of the ladder (chord tones over two octaves) sounds on each of eight steps.
ARPS: Final = ((0, 1, 2, 3, 4, 5, 4, 3), (0, 2, 1, 3, 2, 4, 3, 5), (5, 4, 3, 2, 1, 0, 1, 2), (0, 3, 1, 4, 2, 5, 1, 3))

ChordAt = Callable[[int], Chord]


def active_steps(density: float, fill: int) -> tuple[int, ...]:
    """Steps 0..15 on which anything may start, ascending; 4 of them at density 0, all 16 at density 1."""
    return tuple(sorted(BEATS + FILLS[fill][: round(12 * density)]))


def _chord_starts(chords: tuple[Chord, ...]) -> Iterator[tuple[int, int, Chord]]:
    """(tick in the bar, length in ticks, chord), equal neighbours joined so that only changes are struck."""
    edges = [TICKS_PER_BAR * index // len(chords) for index in range(len(chords) + 1)]
    start = 0
    for index, chord in enumerate(chords):
        if index + 1 == len(chords) or chords[index + 1] != chord:
            yield edges[start], edges[index + 1] - edges[start], chord
            start = index + 1


def _gated(steps: tuple[int, ...], starts: tuple[int, ...], gate: int) -> Iterator[tuple[int, int]]:
    """(tick in the bar, length in ticks): each step, each of `starts`, until the next or for `gate` ticks."""
    ticks = sorted({step * TICKS_PER_STEP for step in steps} | set(starts))
    for tick, after in zip(ticks, [*ticks[1:], TICKS_PER_BAR], strict=True):
        yield tick, min(after - tick, gate)


def _chord_in(chords: tuple[Chord, ...], tick: int) -> Chord:
    return chords[tick * len(chords) // TICKS_PER_BAR]


def _ladder(chord: Chord, lowest: int) -> tuple[int, ...]:
    """Six pitches up the chord from `lowest`."""
    tones = chord.voiced(lowest)
    return tuple(tones[index % len(tones)] + 12 * (index // len(tones)) for index in range(6)) if tones else ()


def _arp(
    start: int, chords: tuple[Chord, ...], steps: tuple[int, ...], style: Style, lowest: int, velocity: float
) -> Iterator[Hit]:
    length = round(TICKS_PER_STEP * (0.8 + 2.2 * style.arp_length))
    for step in steps:
        tick = step * TICKS_PER_STEP
        ladder = _ladder(_chord_in(chords, tick), lowest)
        if ladder:
            pitch = ladder[ARPS[style.arp_pattern][step % 8]]
            yield Hit("arp", start + tick, length, pitch, velocity * (1.0 if step % 4 == 0 else 0.75))


def _bass(
    instrument: str, start: int, chords: tuple[Chord, ...], steps: tuple[int, ...], gate: int, velocity: float
) -> Iterator[Hit]:
    changes = tuple(tick for tick, _, _ in _chord_starts(chords))
    for tick, length in _gated(steps, changes, gate):
        chord = _chord_in(chords, tick)
        if chord.quality != "none":
            pitch = 33 + (chord.bass - 33) % 12
            yield Hit(instrument, start + tick, length, pitch, velocity)


def _held(instrument: str, start: int, chords: tuple[Chord, ...], lowest: int, velocity: float) -> Iterator[Hit]:
    for tick, length, chord in _chord_starts(chords):
        tones = chord.voiced(lowest)
        for pitch in tones:
            yield Hit(instrument, start + tick, length, pitch, velocity / max(len(tones), 3) ** 0.5)


def techno_bar(start: int, chords: tuple[Chord, ...], density: float, style: Style) -> Iterator[Hit]:
    """One bar of techno, unsorted: kick, claps, hats, percussion, bass, pad, stabs and arpeggio.

    Args:
        start: tick of the bar.
        chords: share the bar equally.
        density: 0..1; kick, pad and bass only at 0.
    """
    active = active_steps(density, style.fill)
    off = tuple(step for step in active if step % 4)
    sixteenths = tuple(step for step in active if step % 2)

    def drums(instrument: str, steps: tuple[int, ...], velocity: float) -> Iterator[Hit]:
        for step in steps:
            yield Hit(instrument, start + step * TICKS_PER_STEP, TICKS_PER_STEP, 0, velocity)

    yield from drums("kick", BEATS, 1.0)
    if density >= 0.2:
        yield from drums("clap", (4, 12), 0.6 + 0.3 * density)
    yield from drums("open_hat", tuple(step for step in off if step % 4 == 2), 0.55 + 0.35 * density)
    yield from drums("hat", sixteenths, 0.6 + 0.3 * density)
    if density >= 0.6:
        yield from drums("hat", BEATS, 0.3 + 0.4 * density)
        yield from drums("rim", tuple(step for step in sixteenths if step in (3, 7, 11, 13)), 0.4 + 0.4 * density)

    low = 52 + round(7 * style.register)
    chosen = tuple(step for step in BASSES[style.bass_pattern] if step in active)
    gate = round(TICKS_PER_STEP * (1.0 + 3.0 * style.bass_length))
    yield from _bass("bass", start, chords, chosen, max(gate, 2 * TICKS_PER_BAR if not off else 0), 0.9)
    yield from _held("pad", start, chords, low, 0.55)
    gate = round(TICKS_PER_STEP * (0.7 + 1.8 * style.chord_length))
    changes = tuple(tick for tick, _, _ in _chord_starts(chords))
    stabs = tuple(step for step in STABS[style.stab_pattern] if step in active)
    for tick, length in _gated(stabs, changes, gate):
        tones = _chord_in(chords, tick).voiced(low)
        for pitch in tones:
            yield Hit("stab", start + tick, length, pitch, 0.8 / max(len(tones), 3) ** 0.5)
    if density >= 0.25:
        yield from _arp(start, chords, active, style, low + 12, 0.25 + 0.35 * density)


def ambient_bar(start: int, chords: tuple[Chord, ...], density: float, style: Style) -> Iterator[Hit]:
    """One bar of ambient, unsorted: pulse, pad, sub bass, bells and shaker. Arguments as in `techno_bar`."""
    active = active_steps(density, style.fill)
    off = tuple(step for step in active if step % 4)
    for step in BEATS:
        # Accents on one and three: the pulse must stay the strongest onset under any bells.
        yield Hit("pulse", start + step * TICKS_PER_STEP, TICKS_PER_STEP, 0, 1.0 if step in (0, 8) else 0.85)
    for step in off:
        yield Hit("shaker", start + step * TICKS_PER_STEP, TICKS_PER_STEP, 0, 0.35 + 0.3 * density)

    low = 52 + round(7 * style.register)
    yield from _held("warm", start, chords, low, 0.9)
    yield from _bass("sub", start, chords, (), TICKS_PER_BAR, 0.8)
    bells = off if density < 0.3 else active
    yield from _arp(start, chords, bells, style, low + 12, 0.45 + 0.3 * density)
