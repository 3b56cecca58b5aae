"""A seed and a genre to a Piece: chords over all roots and keys, density and brightness over all of 0..1.

A model trained on every chord, density and brightness at every place of the bar equally often can follow any
of them live; so all of these are drawn uniformly, and half of the pieces follow no key at all.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.music.harmony import Chord, Key
from training.data.patterns import ambient_bar, techno_bar
from training.data.piece import GENRES, TICKS_PER_BAR, Genre, Hit, Piece, PieceError, Style

__all__ = ["Genre", "Hit", "Piece", "PieceError", "Style", "compose"]

Progression = tuple[tuple[Chord, ...], ...]

# Loops of scale degrees in common use, by mode.
LOOPS: Final = {
    "major": ((1, 5, 6, 4), (1, 6, 4, 5), (6, 4, 1, 5), (1, 4, 6, 5), (2, 5, 1, 6), (1, 3, 4, 5), (4, 5, 3, 6)),
    "minor": ((1, 6, 3, 7), (1, 7, 6, 7), (1, 4, 6, 5), (6, 7, 1, 1), (1, 3, 7, 4), (1, 4, 1, 7), (4, 1, 6, 7)),
}
# Chords drawn without a key: triads most, then what players hold on keyboards.
FREE: Final = {"maj": 0.3, "min": 0.3, "7": 0.09, "min7": 0.09, "maj7": 0.08, "sus4": 0.06, "sus2": 0.04, "dim": 0.04}


def compose(
    seed: int,
    genre: Genre,
    *,
    bars: int = 16,
    tempo_bpm: float | None = None,
    density: float | Sequence[float] | None = None,
    brightness: float | Sequence[float] | None = None,
    chords: Progression | None = None,
) -> Piece:
    """Compose a piece. The same arguments give the same piece, and fixing one leaves the other draws as they were.

    Args:
        seed: 0 or greater.
        genre: "techno" or "ambient".
        bars: length, 1 or more.
        tempo_bpm: drawn from 90..150 if None.
        density, brightness: 0..1, one value or one for each bar; drawn if None (constant, gliding or in steps).
        chords: bars of chords, repeated to length; drawn if None.
    Raises:
        PieceError: an argument is out of range or of the wrong length.
    """
    if genre not in GENRES:
        raise PieceError(f"got genre {genre!r}, wanted one of {', '.join(GENRES)}")
    if bars < 1 or seed < 0:
        raise PieceError(f"got {bars} bars and seed {seed}, wanted at least 1 bar and a seed of 0 or greater")
    streams = np.random.SeedSequence([seed, GENRES.index(genre)]).spawn(5)
    for_tempo, for_style, for_chords, for_density, for_brightness = map(np.random.default_rng, streams)
    drawn_key, drawn_chords = _draw_chords(for_chords, bars)
    tempo = float(np.round(for_tempo.uniform(90.0, 150.0), 2)) if tempo_bpm is None else float(tempo_bpm)
    if not 30.0 <= tempo <= 300.0:  # Also refuses NaN.
        raise PieceError(f"got tempo {tempo} bpm, wanted 30..300")
    if chords is not None and not (chords and all(chords)):
        raise PieceError("got chords with an empty bar or none at all, wanted one chord or more in every bar")
    style = Style.draw(for_style)
    densities = _curve("density", for_density, bars, density)
    progression = drawn_chords if chords is None else tuple(chords[bar % len(chords)] for bar in range(bars))
    play = techno_bar if genre == "techno" else ambient_bar
    hits = [hit for bar in range(bars) for hit in play(bar * TICKS_PER_BAR, progression[bar], densities[bar], style)]
    return Piece(
        genre=genre,
        seed=seed,
        tempo_bpm=tempo,
        key=drawn_key,
        chords=progression,
        density=densities,
        brightness=_curve("brightness", for_brightness, bars, brightness),
        style=style,
        hits=tuple(sorted(hits, key=lambda hit: (hit.start_tick, hit.instrument, hit.pitch))),
    )


def _curve(name: str, rng: np.random.Generator, bars: int, given: float | Sequence[float] | None) -> tuple[float, ...]:
    """One value a bar: as given, or constant, gliding or stepping, each uniform over 0..1 at every bar."""
    if given is not None:
        values = np.broadcast_to(np.asarray(given, np.float64), (bars,)) if np.ndim(given) == 0 else np.array(given)
        if len(values) != bars or not bool(((values >= 0.0) & (values <= 1.0)).all()):
            raise PieceError(f"got {name} {given!r}, wanted 0..1, one value or {bars}")
        return tuple(float(value) for value in values)
    start, kind = rng.random(), rng.integers(4)
    if kind == 0:
        values = np.full(bars, start)
    elif kind == 1:
        # A uniform start that glides and turns back at the ends stays uniform at every bar.
        line = start + np.arange(bars) * rng.uniform(0.04, 0.25) * rng.choice([-1.0, 1.0])
        values = np.abs((line + 1.0) % 2.0 - 1.0)
    else:
        held = int(rng.choice([1, 2, 4]))
        values = np.repeat(rng.random(-(-bars // held)), held)[:bars]
    return tuple(float(value) for value in values)


def _draw_chords(rng: np.random.Generator, bars: int) -> tuple[Key, Progression]:
    """A key and its loop (4 in 10), or a free chord for each bar (4 in 10), or for each half or beat (2 in 10)."""
    key = Key(int(rng.integers(12)), str(rng.choice(["major", "minor"])))
    kind = rng.random()
    if kind < 0.4:
        loops = LOOPS[key.mode]
        loop = loops[int(rng.integers(len(loops)))]
        seventh = bool(rng.random() < 0.3)
        return key, tuple((key.diatonic(loop[bar % 4], seventh=seventh),) for bar in range(bars))
    if kind < 0.8:
        return key, tuple((_free(rng),) for _ in range(bars))
    diatonic = key.diatonic_chords()
    within = bool(rng.random() < 0.5)

    def draw() -> Chord:
        return diatonic[int(rng.integers(6 if key.mode == "major" else 7))] if within else _free(rng)

    return key, tuple(tuple(draw() for _ in range(int(rng.choice([1, 2, 2, 4])))) for _ in range(bars))


def _free(rng: np.random.Generator) -> Chord:
    """Any chord: root uniform, quality by `FREE`, root in the bass or (1 in 8) another chord tone."""
    root = int(rng.integers(12))
    quality = str(rng.choice(list(FREE), p=list(FREE.values())))
    tones = Chord(root, quality, root).pitch_classes
    return Chord(root, quality, int(rng.choice(tones[1:3])) if rng.random() < 0.125 else root)
