"""The player's notes on the grid: starts and lengths in whole columns (sixteenths)."""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np

from engine.music.chords import bar_vectors, chord_of, detect_chords
from engine.music.harmony import NO_CHORD, Chord, recognise
from engine.music.score import Note
from engine.music.settling import SettledKeys
from engine.music.zones import ChannelZones
from engine.protocols.accompanist import BAR_TICKS, COLUMN_TICKS, COLUMNS

__all__ = ["MOST_ONS_HZ", "NoteCapture", "chord_played"]

MOST_ONS_HZ: Final = 200
"""Note-ons a second beyond which they are ignored: a feedback loop or a broken device."""

_KEPT_BARS: Final = 40
_OFF, _ON, _CONTROL, _RESET = 0x80, 0x90, 0xB0, 0xFF
_SOUND_OFF, _NOTES_OFF = 120, 123
_DRUMS: Final = 9


class NoteCapture:
    """MIDI messages in, notes out. Pure; one owner.

    A note belongs to the nearest column, so one that comes up to half a column before the bar line belongs to the next
    bar. Channels only distinguish keys (an MPE zone is one player); the drum channel is ignored.

    Args:
        highest: keep only the highest note of a column (a lead is one voice).
        split: keys below it are not the melody but a chord, held for the band; None: all keys are melody.
    """

    def __init__(self, *, highest: bool = True, split: int | None = None) -> None:
        self.highest, self._split = highest, split
        self._notes: deque[Note] = deque(maxlen=8192)
        self._open: dict[tuple[int, int], tuple[float, int]] = {}
        self._chord_keys: set[tuple[int, int]] = set()
        self._settled, self._zones = SettledKeys(), ChannelZones()
        self._recent: deque[float] = deque(maxlen=MOST_ONS_HZ)
        self.chord: Chord | None = None
        """The chord last held below the split, once its keys were at rest; it stays when the keys are released."""
        self.floods = 0
        """Note-ons that were ignored because there were too many in a second."""

    def feed(self, message: Sequence[int], at_s: float, tick: float | None) -> None:
        """Take a message that arrived at `at_s`, at `tick` of musical time (None while it stands still)."""
        if not message:
            return
        self._read(message, at_s, tick)
        self._recognise(self._settled.feed(tuple(sorted({pitch for _, pitch in self._chord_keys})), at_s))

    def poll(self, now_s: float) -> None:
        """Recognise the chord below the split if its keys have come to rest."""
        self._recognise(self._settled.poll(now_s))

    @property
    def due_s(self) -> float:
        """When `poll` will have something to do; infinite if keys are at rest."""
        return self._settled.due_s

    def _recognise(self, changes: Iterable[tuple[int, ...]]) -> None:
        for pitches in changes:
            self.chord = recognise(pitches) or self.chord

    def _read(self, message: Sequence[int], at_s: float, tick: float | None) -> None:
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if message[0] == _RESET:
            self.release_all(tick)
        if len(message) < 3 or not all(0 <= byte < 128 for byte in message[1:3]):
            return
        if channel == _DRUMS and not self._zones.is_member(channel):
            return
        key = (channel, message[1])
        if kind == _ON and message[2] > 0:
            self._zones.note(channel)
            if self._flooded(at_s):
                self.floods += 1
            elif self._split is not None and message[1] < self._split:
                self._chord_keys.add(key)
            elif tick is not None and tick >= -COLUMN_TICKS / 2:
                self._close(key, tick)
                self._open[key] = (tick, message[2])
        elif kind in (_OFF, _ON):
            self._chord_keys.discard(key)
            self._close(key, tick)
        elif kind == _CONTROL:
            self._zones.control(channel, message[1], message[2])
            if message[1] == _SOUND_OFF or message[1] >= _NOTES_OFF:
                self._release(self._zones.reach(channel), tick)

    def _release(self, channels: Collection[int], tick: float | None) -> None:
        for held in [held for held in self._open if held[0] in channels]:
            self._close(held, tick)
        self._chord_keys = {held for held in self._chord_keys if held[0] not in channels}

    def release_all(self, tick: float | None) -> None:
        """Release all keys: the port has gone, or musical time has stopped."""
        for key in list(self._open):
            self._close(key, tick)
        self._chord_keys.clear()

    def clear(self) -> None:
        """Drop all notes: musical time has jumped, old ticks have no meaning now. Keys of a held chord stay held."""
        self._notes.clear()
        self._open.clear()

    def notes(self, first: int, until: float) -> tuple[Note, ...]:
        """Notes on the grid that start at `first` or later and have begun by `until` (ticks).

        Returns:
            Sorted; starts and lengths are whole columns. A key still held has its length so far.
        """
        held = [
            _gridded(start, until, pitch, velocity) for (_, pitch), (start, velocity) in self._open.items()
            if start <= until
        ]  # fmt: skip
        found = sorted(note for note in (*self._notes, *held) if first <= note.start <= until + COLUMN_TICKS / 2)
        if not self.highest:
            return tuple(_once(found))
        best: dict[int, Note] = {}
        for note in found:
            if note.start not in best or note.pitch >= best[note.start].pitch:
                best[note.start] = note
        return tuple(best.values())

    def loudness(self, first: int) -> float | None:
        """Mean velocity of the notes since `first`; None if there are none."""
        found = [note.velocity for note in self._notes if note.start >= first]
        return sum(found) / len(found) if found else None

    def _close(self, key: tuple[int, int], tick: float | None) -> None:
        begun = self._open.pop(key, None)
        if begun is None:
            return
        start, velocity = begun
        self._notes.append(_gridded(start, start if tick is None else tick, key[1], velocity))
        while self._notes and self._notes[0].start < start - _KEPT_BARS * BAR_TICKS:
            self._notes.popleft()

    def _flooded(self, at_s: float) -> bool:
        self._recent.append(at_s)
        return len(self._recent) == MOST_ONS_HZ and at_s - self._recent[0] < 1.0


def chord_played(notes: Sequence[Note], first: int, bars: int) -> Chord | None:
    """The chord of the last of some bars, detected from the melody of all of them.

    Args:
        notes: on the grid. first: tick at which the first bar begins. bars: how many, 1 or more.
    Returns:
        None without notes, or if nothing fits.
    """
    here = [note for note in notes if 0 <= note.start - first < bars * BAR_TICKS]
    if not here:
        return None
    pitches, starts, lengths = (np.array(row, np.int64) for row in zip(
        *((n.pitch, (n.start - first) // COLUMN_TICKS, max(1, n.length // COLUMN_TICKS)) for n in here), strict=True
    ))  # fmt: skip
    chord = chord_of(int(detect_chords(bar_vectors(pitches, starts, lengths, bars, COLUMNS))[-1]))
    return None if chord == NO_CHORD else chord


def _gridded(start: float, end: float, pitch: int, velocity: int) -> Note:
    column = max(0, int(start / COLUMN_TICKS + 0.5))
    columns = max(1, int((end - start) / COLUMN_TICKS + 0.5))
    return Note(column * COLUMN_TICKS, pitch, columns * COLUMN_TICKS, velocity)


def _once(notes: Iterable[Note]) -> Iterable[Note]:
    """Of each key in each column the longest note."""
    best: dict[tuple[int, int], Note] = {}
    for note in notes:
        key = (note.start, note.pitch)
        if key not in best or note.length > best[key].length:
            best[key] = note
    return best.values()
