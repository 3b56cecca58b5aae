"""The bytes of a Standard MIDI File as chunks of events: bounded, and content with whatever of a file can be read.

Every event is kept as it is, in its order: what a chunk holds can be written again without a change. A chunk whose
length is wrong ends where its end of track is, or where the next one begins.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from engine.music.score import ScoreError

__all__ = ["Event", "MidiChunk", "MidiChunks", "delta_bytes", "length_bytes", "split"]

MOST_EVENTS: Final = 2_000_000
LAST_TICK: Final = 1 << 30  # about 26 days at 480 ticks a quarter note and 60 a minute
_MOST_CHUNKS: Final = 4096
_TRACK: Final = b"MTrk"
_LONGEST_DELTA: Final = 0x0FFFFFFF
_END_OF_TRACK: Final = 0x2F
_TOO_MUCH: Final = f"got a MIDI track of more than {MOST_EVENTS} events, or of weeks: split it"

Event = tuple[int, bytes]
"""The tick of a file at which an event is, and its bytes: with its status, without its delta."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MidiChunk:
    """One chunk.

    Args:
        kind: its four letters; ``MTrk`` for a track.
        body: its bytes as the file has them. events: of a track, without the end of track.
        end: tick of the end of track, or of the last event where it has none.
        tail: bytes that were not read: after the end of track, or from where the track is damaged.
        fault: why not all of it was read, in words; empty if nothing is wrong.
    """

    kind: bytes
    body: bytes = field(repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    end: int = 0
    tail: bytes = field(default=b"", repr=False)
    fault: str = ""

    @property
    def is_track(self) -> bool:
        """Whether it holds events."""
        return self.kind == _TRACK


@dataclass(frozen=True, kw_only=True, slots=True)
class MidiChunks:
    """A file in its chunks.

    Args:
        format: 0: one track; 1: tracks of one song; 2: songs, one a track.
        division: two bytes of the header. beat: ticks a quarter note; of a file in seconds, at 120 a minute.
        in_seconds: ticks are parts of a second; tempos then say nothing.
        chunks: in order. remarks: what could not be read, a sentence each.
    """

    format: int
    division: bytes
    beat: Fraction
    in_seconds: bool
    chunks: tuple[MidiChunk, ...]
    remarks: tuple[str, ...] = ()


def length_bytes(value: int) -> bytes:
    """A number of variable length, as deltas and lengths are written. `value`: 0..2**28 - 1."""
    made = [value & 127]
    while value := value >> 7:
        made.append(value & 127 | 128)
    return bytes(reversed(made))


def delta_bytes(ticks: int) -> bytes:
    """A delta; one longer than a file's number can be is bridged by empty texts."""
    made = b""
    while ticks > _LONGEST_DELTA:
        made += length_bytes(_LONGEST_DELTA) + b"\xff\x01\x00"
        ticks -= _LONGEST_DELTA
    return made + length_bytes(ticks)


def split(data: bytes) -> MidiChunks:
    """A file in its chunks.

    Raises:
        ScoreError: no header, a header that says nothing, or nothing but tracks of more events than any music.
    """
    start = data.find(b"MThd", 0, 1 << 16)  # RIFF files and some downloads have something before it
    if start < 0 or len(data) < start + 14:
        raise ScoreError("got no Standard MIDI File (it has no complete MThd header): choose another file")
    size, kind, count = (int.from_bytes(data[start + at : start + to], "big") for at, to in ((4, 8), (8, 10), (10, 12)))
    division = data[start + 12 : start + 14]
    beat, in_seconds = _beat(division)
    chunks = _chunks(data, start + 8 + min(size, 1 << 16))
    tracks = [chunk for chunk in chunks if chunk.is_track]
    if tracks and all(chunk.fault == _TOO_MUCH for chunk in tracks):
        raise ScoreError(_TOO_MUCH)
    remarks = [
        f"track {number} of {max(count, len(tracks))}: {chunk.fault}"
        for number, chunk in enumerate(tracks, 1)
        if chunk.fault
    ]
    if len(tracks) < count:
        remarks.append(f"the header names {count} tracks, {len(tracks)} can be read")
    return MidiChunks(
        format=kind, division=division, beat=beat, in_seconds=in_seconds, chunks=tuple(chunks), remarks=tuple(remarks)
    )


def _beat(division: bytes) -> tuple[Fraction, bool]:
    """Ticks a quarter note, and whether they are parts of a second. 29 frames are 30000/1001 a second (SMPTE)."""
    if division[0] & 0x80:
        frames = 256 - division[0]
        rate = Fraction(30_000, 1001) if frames == 29 else Fraction(frames)
        beat, in_seconds = rate * division[1] / 2, True
    else:
        beat, in_seconds = Fraction(int.from_bytes(division, "big")), False
    if beat == 0:
        raise ScoreError("got a MIDI file of 0 ticks a quarter note: it is damaged, save it anew")
    return beat, in_seconds


def _chunks(data: bytes, at: int) -> list[MidiChunk]:
    made: list[MidiChunk] = []
    while at + 8 <= len(data) and len(made) < _MOST_CHUNKS:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        begin, end = at + 8, at + 8 + size
        if kind == _TRACK:
            chunk = _track(data, begin, end)
            made.append(chunk)
            at = begin + len(chunk.body)
        elif _begins(data, at) and end <= len(data):
            made.append(MidiChunk(kind=kind, body=data[begin:end]))
            at = end
        else:
            at = data.find(_TRACK, at + 1)
            if at < 0:
                break
    return made


def _begins(data: bytes, at: int) -> bool:
    """Whether a chunk may begin here, or the file ends."""
    return at == len(data) or (at + 8 <= len(data) and data[at : at + 4].isascii() and data[at : at + 4].isalpha())


def _track(data: bytes, begin: int, end: int) -> MidiChunk:
    """The track whose body begins at `begin` and should end at `end`."""
    believed = _begins(data, end)
    if not believed:
        after = data.find(_TRACK, begin)
        end = len(data) if after < 0 else after
    walk = _Walk(data, begin, end)
    walk.run()
    fault = walk.fault
    if walk.ended and (data[walk.at : walk.at + 4] == _TRACK or (not believed and _begins(data, walk.at))):
        end = walk.at  # the length is wrong: the track ends with its end of track
    elif not believed and not walk.ended:
        fault = fault or "it has no end; what came before the next track was read"
    return MidiChunk(
        kind=_TRACK, body=data[begin:end], events=tuple(walk.events), end=walk.tick, tail=data[walk.at : end],
        fault=fault,
    )  # fmt: skip


class _Walk:
    """One pass over the events of a track, up to its end or to where it is damaged."""

    def __init__(self, data: bytes, at: int, stop: int) -> None:
        self.data, self.at, self.stop = data, at, stop
        self.events: list[Event] = []
        self.tick = 0
        self.ended, self.fault = False, ""
        self._status = 0

    def run(self) -> None:
        while self.at < self.stop and not self.ended:
            try:
                at = self._step()
            except IndexError:
                self.fault = "it is damaged; what came before that was read"
                return
            if self.tick > LAST_TICK or len(self.events) > MOST_EVENTS:
                self.fault = _TOO_MUCH
                self.tick = self.events[-1][0] if self.events else 0
                return
            self.at = at

    def _step(self) -> int:
        """Take one event in: where the next one begins."""
        data = self.data
        if data[self.at] < 128:
            delta, at = data[self.at], self.at + 1
        else:
            delta, at = _number(data, self.at)
        byte = self._byte(at)
        if byte >= 0xF0:
            made, at = self._system(at)
        else:
            if byte >= 128:
                self._status, at = byte, at + 1
            made, at = self._channel(at)
        self.tick += delta
        if made and self.tick <= LAST_TICK:
            self.events.append((self.tick, made))
        return at

    def _byte(self, at: int) -> int:
        """The byte at `at`; the track ends before it where that is outside."""
        if at >= self.stop:
            raise IndexError
        return self.data[at]

    def _channel(self, at: int) -> tuple[bytes, int]:
        status = self._status
        if status == 0:
            return b"", at + 1  # data without a status: skipped, as players do
        if status & 0xF0 in (0xC0, 0xD0):
            return bytes((status, self._byte(at) & 127)), at + 1
        return bytes((status, self._byte(at) & 127, self._byte(at + 1) & 127)), at + 2

    def _system(self, at: int) -> tuple[bytes, int]:
        """A meta or exclusive event."""
        begin, byte = at, self.data[at]
        if byte not in (0xF0, 0xF7, 0xFF):
            return b"", at + 1  # real-time bytes have no place in files
        kind = self._byte(at + 1) if byte == 0xFF else -1
        length, at = _number(self.data, at + (2 if byte == 0xFF else 1))
        end = at + length
        if end > self.stop:
            raise IndexError
        self.ended = kind == _END_OF_TRACK
        return b"" if self.ended else self.data[begin:end], end


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(at, at + 4):
        byte = data[index]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, index + 1
    return value, at + 4
