"""Which notes of a chord a part plays: voices that move little, guitar shapes, a bass in the nearest octave."""

from functools import lru_cache

from engine.music.harmony import QUALITIES, Chord

__all__ = ["bass_pitch", "colour_shape", "guitar_shape", "lead_voices", "place", "scale_of"]

Pitches = tuple[int, ...]


def place(pitch_class: int, near: float, low: int, high: int) -> int:
    """The pitch of a class nearest `near` within low..high (at least an octave wide)."""
    first = low + (pitch_class - low) % 12
    return min(range(first, high + 1, 12), key=lambda pitch: abs(pitch - near))


def bass_pitch(chord: Chord, near: float, low: int = 28, high: int = 45) -> int:
    """The chord's bass note nearest `near`; the chord must not be "none"."""
    return place(chord.bass, near, low, high)


def _third(chord: Chord) -> int:
    """Semitones from the root to what stands for its third (a second or fourth in sus chords, else the octave)."""
    return next((step for step in QUALITIES[chord.quality] if step in (3, 4)), 0) or next(
        (step for step in QUALITIES[chord.quality] if step in (2, 5)), 12
    )


def _fifth(chord: Chord) -> int:
    return next((step for step in QUALITIES[chord.quality] if step in (6, 7, 8)), 7)


def _seventh(chord: Chord) -> int:
    """Semitones to the seventh or sixth; 12 where the chord has none."""
    return next((step for step in QUALITIES[chord.quality] if step in (9, 10, 11)), 12)


@lru_cache(maxsize=2048)
def guitar_shape(chord: Chord, capo: int = 0) -> Pitches:
    """Five or six strings as the two common barre shapes stop them, lowest first.

    Args:
        chord: not "none".
        capo: semitones by which the shapes' place on the neck is moved up, -5..7.
    """
    root = 40 + capo + (chord.root - 40 - capo) % 12
    third, fifth, seventh = _third(chord), _fifth(chord), _seventh(chord)
    if root <= 45 + capo:
        upper: Pitches = (root + 12 + third % 12, root + 12 + fifth, root + 24)
    else:
        upper = (root + 12 + third % 12, root + 12 + fifth)
    return tuple(sorted({root, root + fifth, root + seventh, *upper}))


def _essential(chord: Chord, count: int) -> Pitches:
    """The `count` pitch classes that say most about a chord, ascending from the root: the fifth goes first."""
    steps = list(QUALITIES[chord.quality])
    for dispensable in (7, 0, 2):
        if len(steps) > count and dispensable in steps:
            steps.remove(dispensable)
    return tuple((chord.root + step) % 12 for step in steps[:count])


@lru_cache(maxsize=2048)
def colour_shape(chord: Chord, capo: int = 0) -> Pitches:
    """Strings that sound all that a chord has: its seventh or sixth and its ninth among the three highest.

    Args:
        chord: not "none"; triads are `guitar_shape`'s.
        capo: as of `guitar_shape`.
    """
    if len(QUALITIES[chord.quality]) < 4:
        return guitar_shape(chord, capo)
    root = 40 + capo + (chord.root - 40 - capo) % 12
    # Of ninth chords the ninth takes the place of the doubled root.
    middle = 14 if {2, 3} <= set(QUALITIES[chord.quality]) or {2, 4} <= set(QUALITIES[chord.quality]) else 12
    steps = {0, _fifth(chord), _seventh(chord), middle, 12 + _third(chord) % 12}
    return tuple(sorted(root + step for step in steps))


@lru_cache(maxsize=8192)
def _positions(chord: Chord, count: int, low: int, high: int) -> tuple[Pitches, ...]:
    """All close positions of `count` notes in low..high; from four on also with the second highest dropped."""
    classes = _essential(chord, count)
    found = []
    for lowest in range(low, high + 1):
        if lowest % 12 not in classes:
            continue
        pitches, pitch = [lowest], lowest
        while len(pitches) < count:
            pitch += 1
            if pitch % 12 in classes:
                pitches.append(pitch)
        found.append(tuple(pitches))
        if count >= 4:
            found.append(tuple(sorted((*pitches[:-2], pitches[-2] - 12, pitches[-1]))))
    inside = tuple(each for each in found if each[0] >= low and each[-1] <= high)
    return inside or tuple(found[:1])


def lead_voices(previous: Pitches, chord: Chord, count: int, low: int, high: int) -> Pitches:
    """The position of a chord that is reached with least movement and stays in the middle of its range.

    Args:
        previous: the voices before, lowest first; empty at the start.
        chord: not "none".
        count: voices, 1..5.
        low, high: range, at least two octaves apart for five voices.
    """
    middle = (low + high) / 2.0

    def cost(pitches: Pitches) -> float:
        off = abs(sum(pitches) / len(pitches) - middle)
        if len(previous) != len(pitches):
            return off
        return sum(abs(a - b) for a, b in zip(previous, pitches, strict=True)) + 0.25 * off

    return min(_positions(chord, count, low, high), key=lambda pitches: (cost(pitches), pitches))


def scale_of(chords: tuple[Chord, ...]) -> frozenset[int]:
    """The major scale (as pitch classes) that holds most of what these chords sound."""
    weights = [0.0] * 12
    for chord in chords:
        for pitch_class in chord.pitch_classes:
            weights[pitch_class] += 1.0
    tonic = max(range(12), key=lambda key: sum(weights[(key + step) % 12] for step in (0, 2, 4, 5, 7, 9, 11)))
    return frozenset((tonic + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11))
