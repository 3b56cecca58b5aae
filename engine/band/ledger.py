"""The note ledger: every note-on that is sent gets exactly one note-off, whatever happens.

Pure: notes are booked by tick, `due` gives the messages to send by now, and the owner of the port sends them. Nothing
else may send notes to that port, so the table of sounding notes is always true.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from engine.music.pulse import Pulse

__all__ = ["MOST_BOOKED", "SHORTEST_S", "STALE_S", "Booking", "DueMessage", "Ledger", "LedgerCounts"]

STALE_S: Final = 0.1
"""A note-on that is later than this is dropped: a missing note is better than a burst of late ones."""

SHORTEST_S: Final = 0.01
"""The shortest note, except at a stop: some synthesizers ignore shorter ones."""

MOST_BOOKED: Final = 20_000
"""The most notes that can be booked; more are refused and counted."""

_OFF, _ON, _CONTROL = 0x80, 0x90, 0xB0
_SUSTAIN, _SOUND_OFF, _NOTES_OFF = 64, 120, 123


@dataclass(frozen=True, slots=True)
class Booking:
    """A note to be played.

    Args:
        id: different for each note, also of the same key.
        start, end: ticks; an end before the start is one at the start.
        channel: 0..15. pitch, velocity: 0..127, a velocity of 0 is played as 1 (on the wire it would be a note-off).
    Raises:
        ValueError: a value outside its range: a programming error.
    """

    id: int
    start: float
    end: float
    channel: int
    pitch: int
    velocity: int = 90

    def __post_init__(self) -> None:
        if not (0 <= self.channel < 16 and 0 <= self.pitch < 128 and 0 <= self.velocity < 128):
            raise ValueError(f"got {self!r}, wanted a channel 0..15, pitch and velocity 0..127")
        if not (math.isfinite(self.start) and self.end == self.end):
            raise ValueError(f"got {self!r}, wanted a start and an end")


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A message to send, and when it is due (perf_counter seconds)."""

    at_s: float
    message: bytes


@dataclass(slots=True)
class LedgerCounts:
    """Note-ons and note-offs sent; notes dropped as stale, merged with the same key just struck, refused."""

    ons: int = 0
    offs: int = 0
    stale: int = 0
    merged: int = 0
    refused: int = 0


@dataclass(slots=True)
class _SoundingKey:
    id: int
    end: float  # tick; infinite while it is not known
    on_s: float
    end_s: float = math.inf  # seconds, for keys that were released


class Ledger:
    """Booked notes, sounding notes, and the messages that are due.

    Threads: one owner.
    """

    def __init__(self) -> None:
        self.counts = LedgerCounts()
        self._booked: list[tuple[float, int, Booking]] = []
        self._order = 0
        self._sounding: dict[tuple[int, int], _SoundingKey] = {}
        self._owed: set[tuple[int, int]] = set()
        self._used: set[int] = set()
        self._away = False

    @property
    def sounding(self) -> frozenset[tuple[int, int]]:
        """(channel, pitch) of every sounding note."""
        return frozenset(self._sounding)

    @property
    def booked(self) -> int:
        """The number of notes that are booked."""
        return len(self._booked)

    def book(self, notes: Iterable[Booking]) -> None:
        """Book notes; beyond `MOST_BOOKED` they are refused and counted."""
        for note in notes:
            if len(self._booked) >= MOST_BOOKED:
                self.counts.refused += 1
                continue
            self._order += 1
            heapq.heappush(self._booked, (note.start, self._order, note))

    def withdraw(self, tick: float, channels: Iterable[int] | None = None) -> None:
        """Cancel notes that start at `tick` or later, of these channels or of all; sounding notes end as booked."""
        wanted = None if channels is None else frozenset(channels)
        kept = [row for row in self._booked if row[0] < tick or (wanted is not None and row[2].channel not in wanted)]
        heapq.heapify(kept)
        self._booked = kept

    def next_s(self, pulse: Pulse | None) -> float:
        """When the next message is due, perf_counter seconds; infinite for never."""
        off = min((self._off_s(note, pulse) for note in self._sounding.values()), default=math.inf)
        on = pulse.time_of(self._booked[0][0]) if self._booked and pulse is not None else math.inf
        return min(off, on)

    def due(self, now_s: float, pulse: Pulse | None) -> list[DueMessage]:
        """The messages due by now, in order, note-offs before note-ons of the same time.

        Args:
            now_s: perf_counter seconds.
            pulse: musical time; None while it stands still (then only released keys end).
        """
        sent: list[DueMessage] = []
        while True:
            on_s = pulse.time_of(self._booked[0][0]) if self._booked and pulse is not None else math.inf
            key, off_s = self._next_off(pulse)
            if min(on_s, off_s) > now_s:
                return sent
            if key is not None and off_s <= on_s:
                sent.append(self._off(key, off_s))
            else:
                sent += self._start(heapq.heappop(self._booked)[2], on_s, now_s)

    def strike(self, id: int, channel: int, pitch: int, velocity: int, now_s: float) -> list[DueMessage]:
        """A key that is struck now and sounds until `release`."""
        return self._start(Booking(id, 0.0, math.inf, channel, pitch, velocity), now_s, now_s)

    def release(self, id: int, channel: int, pitch: int, now_s: float) -> list[DueMessage]:
        """Release a struck key; ignored if another note has taken the key since."""
        note = self._sounding.get((channel, pitch))
        if note is None or note.id != id:
            return []
        note.end_s = max(now_s, note.on_s + SHORTEST_S)
        return [self._off((channel, pitch), now_s)] if note.end_s <= now_s else []

    def all_notes_off(self, now_s: float) -> list[DueMessage]:
        """End every sounding note now and cancel every booked one: stop, locate."""
        self._booked = []
        return [self._off(key, now_s) for key in sorted(self._sounding)]

    def finish(self, now_s: float, *, panic: bool = False) -> list[DueMessage]:
        """As `all_notes_off`, then sustain off, all notes off and at a panic all sound off on every used channel."""
        last = self.all_notes_off(now_s)
        numbers = (_SUSTAIN, _NOTES_OFF, _SOUND_OFF) if panic else (_SUSTAIN, _NOTES_OFF)
        if not self._away:
            channels = sorted(self._used)
            last += [DueMessage(now_s, bytes((_CONTROL | c, number, 0))) for c in channels for number in numbers]
        return last

    def use_channels(self, channels: Iterable[int]) -> None:
        """Count these channels as used, although nothing has been played on them yet."""
        self._used |= set(channels)

    def owe(self, keys: Iterable[tuple[int, int]]) -> None:
        """(channel, pitch) that an earlier owner of the port may have left sounding; `port_back` ends them."""
        self._owed |= set(keys)

    def port_lost(self) -> None:
        """The port has gone: nothing can be sent; note-offs of sounding notes are owed until it is back."""
        self._away = True
        self._owed |= set(self._sounding)
        self._sounding.clear()

    def port_back(self, now_s: float) -> list[DueMessage]:
        """The port is back: the owed note-offs, sustain off and all notes off."""
        self._away = False
        ends = [DueMessage(now_s, bytes((_OFF | channel, pitch, 0))) for channel, pitch in sorted(self._owed)]
        self.counts.offs += len(ends)
        self._owed.clear()
        numbers = (_SUSTAIN, _NOTES_OFF)
        return ends + [
            DueMessage(now_s, bytes((_CONTROL | c, number, 0))) for c in sorted(self._used) for number in numbers
        ]

    def _start(self, note: Booking, due_s: float, now_s: float) -> list[DueMessage]:
        if self._away or now_s - due_s > STALE_S:
            self.counts.stale += 1
            return []
        key = note.channel, note.pitch
        old = self._sounding.get(key)
        if old is not None and now_s - old.on_s < SHORTEST_S:
            # The same key twice at once is one note with the later end; an earlier release no longer counts.
            self.counts.merged += 1
            end = max(note.start, note.end)
            old.id, old.end, old.end_s = note.id, end if old.end == math.inf else max(old.end, end), math.inf
            return []
        sent = [] if old is None else [self._off(key, due_s)]
        self._sounding[key] = _SoundingKey(note.id, max(note.start, note.end), now_s)
        self._used.add(note.channel)
        self.counts.ons += 1
        return [*sent, DueMessage(due_s, bytes((_ON | note.channel, note.pitch, max(1, note.velocity))))]

    def _off(self, key: tuple[int, int], at_s: float) -> DueMessage:
        del self._sounding[key]
        self.counts.offs += 1
        return DueMessage(at_s, bytes((_OFF | key[0], key[1], 0)))

    def _next_off(self, pulse: Pulse | None) -> tuple[tuple[int, int] | None, float]:
        best: tuple[int, int] | None = None
        best_s = math.inf
        for key, note in self._sounding.items():
            off_s = self._off_s(note, pulse)
            if off_s < best_s:
                best, best_s = key, off_s
        return best, best_s

    def _off_s(self, note: _SoundingKey, pulse: Pulse | None) -> float:
        by_tick = pulse.time_of(note.end) if pulse is not None and note.end < math.inf else math.inf
        return max(min(note.end_s, by_tick), note.on_s + SHORTEST_S)
