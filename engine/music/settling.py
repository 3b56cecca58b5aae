"""Which keys of a keyboard make the chord that a hand means: those held once the hand has come to rest.

Keys of a chord never move at one time. While a chord is let go its last keys would be another chord, and while one
chord is pressed into another (legato) both together would be a third.
"""

import math
from enum import Enum, auto
from typing import Final

from engine.music.harmony import recognise

__all__ = ["LONGEST_S", "REST_S", "SETTLE_S", "SettledKeys"]

SETTLE_S: Final = 0.045
"""A hand that has pressed keys is at rest so long after its last change; keys of a chord lie closer together."""
REST_S: Final = 0.35
"""A hand that has only let keys go must rest for this long until the keys that are left count as its chord."""
LONGEST_S: Final = 0.15
"""Keys that are pressed without end are taken as they are after this time."""
_LEGATO_S: Final = 0.25  # keys of the chord before are let go so soon after the new ones, or after each other
_ROLL_S: Final = 0.15  # keys pressed so soon after each other are one chord, however slowly it is rolled
_WHOLE: Final = frozenset(("maj", "min", "dim", "aug", "7", "min7", "maj7", "min7b5", "dim7", "minmaj7", "6", "min6"))
_WHOLE_S: Final = 0.01  # a hand that has let go of the chord before and holds a whole chord is at rest this soon


class _Hand(Enum):
    """What a hand does."""

    RESTS = auto()
    PRESSES = auto()
    CHANGES = auto()  # it lets go of the chord before the one that it has pressed
    LIFTS = auto()


_WAITS_S: Final = {_Hand.PRESSES: SETTLE_S, _Hand.CHANGES: SETTLE_S, _Hand.LIFTS: REST_S}


class SettledKeys:
    """Held keys in, settled keys out. Pure; one owner."""

    def __init__(self) -> None:
        self._held: frozenset[int] = frozenset()
        self._new: frozenset[int] = frozenset()  # pressed together, last
        self._hand = _Hand.RESTS
        self._before = 0  # how many keys were held when `_new` began
        self._changed_s = self._turned_s = self._begun_s = 0.0
        self._pressed_s = -math.inf
        self.pitches: tuple[int, ...] = ()
        """The settled keys, MIDI pitches in ascending order."""

    def feed(self, pitches: tuple[int, ...], now_s: float) -> list[tuple[int, ...]]:
        """Take all the keys that are held from now on.

        Returns:
            The settled keys, each time that they have changed, in order.
        """
        changes = self.poll(now_s)
        held = frozenset(pitches)
        pressed, released = held - self._held, self._held - held
        if self._hand is _Hand.PRESSES and released & self._new and self._held <= self._new:
            changes += self._settle()  # a short chord counts although it is let go before it has settled
        self._held = held
        if not held:
            return changes + self._settle()
        if pressed or released:
            self._changed_s = now_s
            self._hand = self._pressing(pressed, now_s) if pressed else self._letting_go(released, now_s)
        return changes

    def poll(self, now_s: float) -> list[tuple[int, ...]]:
        """Call it at `due_s` or later. Returns as `feed` does."""
        return self._settle() if now_s >= self.due_s else []

    @property
    def due_s(self) -> float:
        """When keys that are held now will have settled; infinite if they have."""
        if self._hand is _Hand.RESTS:
            return math.inf
        if self._hand is not _Hand.LIFTS and self._changed_s > self._pressed_s and self._holds_whole():
            return max(self._pressed_s + SETTLE_S, self._changed_s + _WHOLE_S)
        due_s = self._changed_s + _WAITS_S[self._hand]
        return min(due_s, self._begun_s + LONGEST_S) if self._hand is _Hand.PRESSES else due_s

    def _holds_whole(self) -> bool:
        """Whether the keys held are exactly a triad or a seventh chord, and no more than before or all new."""
        whole = len(self._held) <= max(self._before, len(self._new))
        chord = recognise(self._held) if whole else None
        if chord is None or chord.quality not in _WHOLE:
            return False
        return set(chord.pitch_classes) == {pitch % 12 for pitch in self._held}

    def _pressing(self, pressed: frozenset[int], now_s: float) -> _Hand:
        if self._hand is not _Hand.PRESSES:
            self._begun_s = now_s
        if now_s - self._pressed_s > _ROLL_S:
            self._new, self._before = frozenset(), len(self._held - pressed)
        self._new |= pressed
        self._turned_s = self._pressed_s = now_s
        return _Hand.PRESSES

    def _letting_go(self, released: frozenset[int], now_s: float) -> _Hand:
        if tuple(sorted(self._held)) == self.pitches:
            return _Hand.RESTS  # a key was grazed
        if released & self._new:
            return _Hand.LIFTS
        if self._hand is _Hand.PRESSES:
            return _Hand.PRESSES
        if self._hand is _Hand.LIFTS or now_s - self._turned_s > _LEGATO_S:
            return _Hand.LIFTS
        self._turned_s = now_s
        return _Hand.CHANGES

    def _settle(self) -> list[tuple[int, ...]]:
        self._hand = _Hand.RESTS
        pitches = tuple(sorted(self._held))
        if pitches == self.pitches:
            return []
        self.pitches = pitches
        return [pitches]
