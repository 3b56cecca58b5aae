"""The bytes of a Standard MIDI File as events: bounded, and content with whatever of a file can be read."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from engine.music.score import ScoreError

__all__ = ["Events", "events_of", "length_bytes", "split"]

MOST_EVENTS: Final = 2_000_000
LAST_TICK: Final = 1 << 30  # about 26 days at 480 ticks a quarter note and 60 a minute
_MOST_CHUNKS: Final = 4096


@dataclass(slots=True)
class Events:
    """One chunk, read.

    Args:
        strikes: (tick, channel, pitch, velocity) of keys; velocity 0 and below are releases: -1 - release velocity.
        programs: (tick, channel, program).
        metas: (tick, kind, data) of tempo and meter. name: of the track.
        others: (tick, bytes as a file has them, without the delta) of everything else, programs included.
        end: tick at which the chunk ends.
    """

    strikes: list[tuple[int, int, int, int]] = field(default_factory=list)
    programs: list[tuple[int, int, int]] = field(default_factory=list)
    metas: list[tuple[int, int, bytes]] = field(default_factory=list)
    others: list[tuple[int, bytes]] = field(default_factory=list)
    name: str = ""
    end: int = 0


def length_bytes(value: int) -> bytes:
    """A number of variable length, as deltas and lengths are written. `value`: 0..2**28 - 1."""
    made = [value & 127]
    while value := value >> 7:
        made.append(value & 127 | 128)
    return bytes(reversed(made))


def split(data: bytes) -> tuple[int, bool, list[bytes]]:
    """Ticks a quarter note, whether they are of seconds instead (at 120 a minute), and the track chunks.

    Raises:
        ScoreError: no header, or a header that says nothing.
    """
    start = data.find(b"MThd", 0, 1 << 16)  # RIFF files and some downloads have something before it
    if start < 0 or len(data) < start + 14:
        raise ScoreError("got no Standard MIDI File (it has no complete MThd header): choose another file")
    size = int.from_bytes(data[start + 4 : start + 8], "big")
    division = int.from_bytes(data[start + 12 : start + 14], "big")
    seconds = bool(division & 0x8000)
    if seconds:
        division = (256 - (division >> 8)) * (division & 255) // 2
    if division == 0:
        raise ScoreError("got a MIDI file of 0 ticks a quarter note: it is damaged, save it anew")
    chunks: list[bytes] = []
    at = start + 8 + min(size, 1 << 16)
    while at + 8 <= len(data) and len(chunks) < _MOST_CHUNKS:
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"MTrk":
            chunks.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return division, seconds, chunks


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(at, at + 4):
        byte = data[index]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, index + 1
    return value, at + 4


def events_of(data: bytes) -> Events:
    """What a track chunk holds; up to where it is damaged, if it is.

    Raises:
        ScoreError: it has more events than any music, or lasts for weeks.
    """
    made = Events()
    with suppress(IndexError):  # the chunk ends within an event: what came before stands
        _walk(data, made)
    return made


def _walk(data: bytes, made: Events) -> None:
    at, tick, status, count = 0, 0, 0, 0
    while at < len(data):
        if data[at] < 128:
            delta, at = data[at], at + 1
        else:
            delta, at = _number(data, at)
        tick += delta
        count += 1
        if tick > LAST_TICK or count > MOST_EVENTS:
            raise ScoreError(f"got a MIDI track of more than {MOST_EVENTS} events, or of weeks: split it")
        made.end = tick
        byte = data[at]
        if byte >= 0xF0:
            at, ended = _system(data, at, tick, made)
            if ended:
                return
            continue
        if byte >= 128:
            status, at = byte, at + 1
        elif status == 0:
            at += 1  # data without a status: skipped, as players do
            continue
        at = _channel(data, at, tick, status, made)


def _channel(data: bytes, at: int, tick: int, status: int, made: Events) -> int:
    kind, channel, first = status & 0xF0, status & 15, data[at] & 127
    if kind in (0xC0, 0xD0):
        if kind == 0xC0:
            made.programs.append((tick, channel, first))
        made.others.append((tick, bytes((status, first))))
        return at + 1
    second = data[at + 1] & 127
    if kind == 0x90 and second:
        made.strikes.append((tick, channel, first, second))
    elif kind in (0x80, 0x90):
        made.strikes.append((tick, channel, first, -1 - (second if kind == 0x80 else 64)))
    else:
        made.others.append((tick, bytes((status, first, second))))
    return at + 2


def _system(data: bytes, at: int, tick: int, made: Events) -> tuple[int, bool]:
    """A meta or exclusive event: where the next one starts, and whether the chunk ends here."""
    begin, byte = at, data[at]
    if byte not in (0xF0, 0xF7, 0xFF):
        return at + 1, False  # real-time bytes have no place in files
    kind = data[at + 1] if byte == 0xFF else -1
    length, at = _number(data, at + (2 if byte == 0xFF else 1))
    body, end = data[at : at + length], at + length
    if end > len(data):
        raise IndexError
    if kind == 0x2F:
        return end, True
    if (kind == 0x51 and length == 3) or (kind == 0x58 and length >= 2):
        made.metas.append((tick, kind, body))
    else:
        if kind == 0x03 and not made.name:
            made.name = body[:200].decode("latin-1").strip("\0 ")
        made.others.append((tick, data[begin:end]))
    return end, False
