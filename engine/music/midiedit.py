"""A Standard MIDI File with some events taken out and others fitted in; every other event stays as it is.

A chunk in which nothing changes is written byte for byte. In any other one the events that stay keep their bytes, their
ticks and their order, and it ends where it did or later. Of new events at one tick releases come before the events that
stay, program changes and strikes after them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from engine.music.midievents import Event, MidiChunk, MidiChunks, delta_bytes

__all__ = ["FIRST", "LAST", "NewEvent", "edited"]

FIRST: Final = 0
"""Rank of a new event that comes before those that stay at its tick."""
LAST: Final = 2
"""Rank of a new event that comes after those that stay at its tick; a higher rank comes later still."""

_STAYS: Final = 1
_BLANK: Final = b"\xff\x01\x00"  # a text of no letters

NewEvent = tuple[int, int, bytes]
"""Tick of the file, rank (`FIRST`, or `LAST` and higher), bytes."""


def edited(
    source: MidiChunks,
    gone: Mapping[int, Collection[int]] | None = None,
    added: Mapping[int, Sequence[NewEvent]] | None = None,
    more: Sequence[Sequence[NewEvent]] = (),
) -> bytes:
    """The bytes of a file with other events.

    Args:
        source: the file.
        gone: of a chunk's number, numbers of the events to take out. added: of a chunk's number, events to fit in.
        more: events of further tracks, at the end of the file.
    """
    gone, added = gone or {}, added or {}
    chunks = []
    for number, chunk in enumerate(source.chunks):
        out, new = gone.get(number, ()), added.get(number, ())
        chunks.append((chunk.kind, _body(chunk, frozenset(out), new) if out or new else chunk.body))
    chunks += [(b"MTrk", _body(MidiChunk(kind=b"MTrk", body=b""), frozenset(), events)) for events in more]
    count = sum(kind == b"MTrk" for kind, _ in chunks)
    header = b"MThd" + (6).to_bytes(4, "big") + source.format.to_bytes(2, "big") + count.to_bytes(2, "big")
    rows = (kind + len(body).to_bytes(4, "big") + body for kind, body in chunks)
    return header + source.division + b"".join(rows)


def _body(chunk: MidiChunk, gone: Collection[int], new: Sequence[NewEvent]) -> bytes:
    stay = [(tick, _STAYS, data) for index, (tick, data) in enumerate(chunk.events) if index not in gone]
    rows = sorted((*stay, *new), key=lambda row: row[:2])  # stable: events that stay keep their order
    events: list[Event] = [(tick, data) for tick, _, data in rows]
    made, last = bytearray(), 0
    for tick, data in events:
        made += delta_bytes(tick - last) + data
        last = tick
    if chunk.fault and chunk.tail:  # the rest was not read: it follows the last event that was
        made += delta_bytes(chunk.end - last) + _BLANK if last < chunk.end else b""
        return bytes(made) + chunk.tail
    return bytes(made + delta_bytes(max(0, chunk.end - last))) + b"\xff\x2f\0" + chunk.tail
