"""One chord per bar, estimated from notes: a hidden Markov model of keys and chords, for whole pieces and bar by bar.

The chords are those of a grid, twelve roots by eight kinds, and no chord.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.music.arrays import F64, I64
from engine.music.harmony import NO_CHORD, QUALITIES, Chord
from engine.music.vocabulary import KINDS

__all__ = ["NO_STATE", "ChordEar", "bar_vectors", "chord_of", "detect_chords", "lagged", "state_of"]


NO_STATE: Final = 0
"""The number of no chord; root r and kind k of `KINDS` are 1 + 8 r + k."""

_QUALITIES: Final = ("maj", "min", "aug", "dim", "7", "maj7", "min7", "min7b5")  # in the order of KINDS
_INTERVALS: Final = tuple(QUALITIES[quality] for quality in _QUALITIES)
_STATES: Final = 1 + 12 * len(KINDS)
_OUT_OF_KEY, _KEY_CHANGE, _CHORD_CHANGE, _SHARPNESS = 0.01, 0.001, 0.5, 100.0

# quality of a chord as written -> position in KINDS of the nearest that a grid has
_KIND_OF: Final = MappingProxyType(
    {
        **{quality: index for index, quality in enumerate(_QUALITIES)},
        **dict.fromkeys(("sus4", "sus2", "5", "6", "add9", "69"), 0),
        **dict.fromkeys(("min6", "minmaj7", "minadd9"), 1),
        **dict.fromkeys(("7sus4", "9"), 4),
        "dim7": 3,
        "maj9": 5,
        "min9": 6,
    }
)


def state_of(chord: Chord | None) -> int:
    """The number of the nearest chord that a grid has; `NO_STATE` for none."""
    if chord is None or chord.quality == "none":
        return NO_STATE
    return 1 + len(KINDS) * chord.root + _KIND_OF[chord.quality]


def chord_of(state: int) -> Chord:
    """The chord of a number, its root in the bass."""
    if state == NO_STATE:
        return NO_CHORD
    root, kind = divmod(state - 1, len(KINDS))
    return Chord(root, _QUALITIES[kind], root)


def _tones() -> list[frozenset[int]]:
    return [frozenset(), *(frozenset((r + step) % 12 for step in kind) for r in range(12) for kind in _INTERVALS)]


def _tables() -> tuple[F64, F64, F64, F64]:
    """Unit chord vectors [97, 12]; logs of prior [12, 97], staying in a key [12, 97, 97], a new key [12, 97]."""
    tones = _tones()
    vectors = np.zeros((_STATES, 12))
    prior = np.zeros((12, _STATES))
    for state, chord in enumerate(tones):
        vectors[state, list(chord)] = 1.0
        for key in range(12):
            scale = {(key + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)}
            prior[key, state] = (1 - _OUT_OF_KEY) ** len(chord & scale) * _OUT_OF_KEY ** len(chord - scale)
    prior /= prior.sum(axis=1, keepdims=True)
    vectors[1:] /= np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    change = prior[:, None, :] + prior[:, :, None] / (_STATES - 1)
    within = (1 - _KEY_CHANGE) * _CHORD_CHANGE * change
    within[:, range(_STATES), range(_STATES)] = (1 - _KEY_CHANGE) * (1 - _CHORD_CHANGE)
    return vectors, np.log(prior), np.log(within), np.log(_KEY_CHANGE / 11 * prior)


_VECTORS, _PRIOR, _WITHIN, _ACROSS = _tables()


class ChordEar:
    """Estimates chords bar by bar. Keeps the bars so far; not for several threads at once.

    Source:
        The published model is Magenta's: 12 keys by 97 chords, one frame a bar. The best path through all 1,164 states
        is found key by key, since between keys only the best state of each matters.
    """

    def __init__(self) -> None:
        self._likelihood: F64 = np.zeros((12, _STATES))
        self._back: list[I64] = []

    def push(self, vector: F64) -> int:
        """Hear one more bar: the number of the chord that is likeliest now, given all that came before.

        Args:
            vector: [12] how long each pitch class sounded, of length 1; zeros in silence.
        """
        seen = np.tile(_SHARPNESS * (_VECTORS @ vector), (12, 1))
        if not self._back:
            self._likelihood = (-np.log(12) + _PRIOR) + seen
            self._back.append(np.zeros((12, _STATES), np.int64))
        else:
            self._step(seen)
        return int(self._likelihood.argmax()) % _STATES

    def _step(self, seen: F64) -> None:
        before = self._likelihood
        moved = before[:, :, None] + _WITHIN
        chord = moved.argmax(axis=1)
        stay = np.take_along_axis(moved, chord[:, None, :], axis=1)[:, 0]
        origin = chord + np.arange(12)[:, None] * _STATES
        tops = before.argmax(axis=1)
        best = before[np.arange(12), tops]
        others = np.where(np.eye(12, dtype=np.bool_), -np.inf, best[None, :])
        key = others.argmax(axis=1)
        come = others[np.arange(12), key][:, None] + _ACROSS
        source = np.broadcast_to((key * _STATES + tops[key])[:, None], come.shape)
        newer = (come > stay) | ((come == stay) & (source < origin))
        self._likelihood = np.where(newer, come, stay) + seen
        self._back.append(np.where(newer, source, origin))

    def path(self) -> I64:
        """Numbers of the chords of all bars so far, re-estimated with the last one included."""
        states = np.zeros(len(self._back), np.int64)
        at = int(self._likelihood.argmax())
        for bar in range(len(self._back) - 1, -1, -1):
            states[bar] = at % _STATES
            at = int(self._back[bar].flat[at])
        return states


def detect_chords(vectors: F64) -> I64:
    """Numbers of the chords of all bars, [bars] from [bars, 12] (see `bar_vectors`)."""
    ear = ChordEar()
    for vector in vectors:
        ear.push(vector)
    return ear.path()


def bar_vectors(pitches: I64, starts: I64, lengths: I64, bars: int, columns: int = 16) -> F64:
    """How long each pitch class sounds in each bar, [bars, 12], rows of length 1 or silent.

    Args:
        pitches, starts, lengths: [N] pitched notes, times in sixteenths; what lies after the last bar counts in it.
        columns: of a bar.
    """
    made = np.zeros((bars, 12))
    starts, lengths = starts.astype(np.int64), lengths.astype(np.int64)
    while len(starts) and bars:
        bar = np.minimum(starts // columns, bars - 1)
        room = np.where(bar == bars - 1, lengths, (bar + 1) * columns - starts)
        here = np.minimum(room, lengths)
        np.add.at(made, (bar, pitches % 12), here)
        more = lengths > here
        pitches, starts, lengths = pitches[more], (starts + here)[more], (lengths - here)[more]
    size = np.linalg.norm(made, axis=1)
    made[size > 0] /= size[size > 0, None]
    return made


def lagged(states: Sequence[int] | I64) -> I64:
    """The same chords a bar late, the first one twice: what released weights know as the chord of a bar."""
    given = np.asarray(states, np.int64)
    return np.concatenate((given[:1], given))
