"""MIDI files of every kind of trouble that people report of other programs, made from lists of events."""

from dataclasses import dataclass, field

from hypothesis import strategies as st

KINDS = ("pedal", "ornament", "program", "meta", "bend", "lyric", "sysex", "stray")

Event = tuple[int, bytes]


@dataclass(frozen=True)
class Chunk:
    """A track: its events, tick of its end, and what is wrong with it."""

    events: tuple[Event, ...]
    end: int
    lie: int = 0  # added to its length
    tail: bytes = b""  # after the end of track
    ended: bool = True
    running: bool = False


@dataclass(frozen=True)
class Kind:
    """A file: format, division, chunks, and a chunk of another kind after so many tracks."""

    format: int
    division: int
    chunks: tuple[Chunk, ...] = field(default=())
    alien: int = -1

    def data(self) -> bytes:
        rows = [_bytes(chunk) for chunk in self.chunks]
        if self.alien >= 0:
            rows.insert(self.alien, b"XFIH\0\0\0\3abc")
        head = b"MThd\0\0\0\6" + self.format.to_bytes(2, "big") + len(self.chunks).to_bytes(2, "big")
        return head + self.division.to_bytes(2, "big") + b"".join(rows)


def number(value: int) -> bytes:
    made = [value & 127]
    while value := value >> 7:
        made.append(value & 127 | 128)
    return bytes(reversed(made))


def _bytes(chunk: Chunk) -> bytes:
    body, last, status = b"", 0, -1
    for tick, data in chunk.events:
        same = chunk.running and data[0] == status
        body += number(tick - last) + (data[1:] if same else data)
        last, status = tick, data[0] if data[0] < 0xF0 else -1
    if chunk.ended:
        body += number(chunk.end - last) + b"\xff\x2f\0"
    body += chunk.tail
    return b"MTrk" + max(0, len(body) + chunk.lie).to_bytes(4, "big") + body


def tracks_in(data: bytes) -> list[tuple[list[Event], int]]:
    """Events and tick of the end of each track of a well-formed file; strict, and no code of the engine's."""
    at, made = 14, []
    while at < len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        if kind == b"MTrk":
            made.append(_events_in(data[at + 8 : at + 8 + size]))
        at += 8 + size
    assert at == len(data), "the lengths of all chunks are right"
    assert len(made) == int.from_bytes(data[10:12], "big")
    return made


def _events_in(body: bytes) -> tuple[list[Event], int]:
    at, tick, status = 0, 0, 0
    made: list[Event] = []

    def value() -> int:
        nonlocal at
        found = 0
        while True:
            byte = body[at]
            at += 1
            found = found << 7 | byte & 127
            if byte < 128:
                return found

    while at < len(body):
        tick += value()
        if body[at] >= 0xF0:
            begin = at
            kind = body[at + 1]
            at += 2 if body[at] == 0xFF else 1
            size = value()
            at += size
            if body[begin] == 0xFF and kind == 0x2F:
                return made, tick
            made.append((tick, body[begin:at]))
            continue
        if body[at] >= 128:
            status = body[at]
            at += 1
        size = 1 if status & 0xE0 == 0xC0 else 2
        made.append((tick, bytes((status,)) + body[at : at + size]))
        at += size
    return made, tick


@st.composite
def _track(draw: st.DrawFn, beat: int, channels: tuple[int, ...]) -> Chunk:
    """Notes with, at one tick, pedals, programs, strokes of no length, and whatever else a file may hold."""
    rows: list[Event] = []
    name = draw(st.sampled_from((b"", b"Bass", b"melody", b"Drums", b"Strings")))
    if name:
        rows.append((0, b"\xff\x03" + bytes((len(name),)) + name))
    port = draw(st.sampled_from((-1, -1, 0, 1)))
    if port >= 0:
        rows.append((0, bytes((0xFF, 0x21, 1, port))))
    tick, step = 0, max(1, beat // 4)
    down: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(0, 24))):
        tick += draw(st.sampled_from((0, 0, step, step, 2 * step, 4 * step, 7)))
        channel = draw(st.sampled_from(channels))
        key = channel, draw(st.integers(36, 60))
        here: list[bytes] = []
        if draw(st.booleans()) and down:
            old = down.pop(0)
            here.append(bytes((0x80 | old[0], old[1], 17)))
        here.append(bytes((0x90 | key[0], key[1], draw(st.integers(1, 127)))))
        down.append(key)
        extra = draw(st.sampled_from((None, *KINDS)))
        here += {
            None: [], "pedal": [bytes((0xB0 | channel, 64, 127))], "program": [bytes((0xC0 | channel, 44))],
            "ornament": [bytes((0x90 | key[0], key[1], 0)), bytes((0x90 | key[0], key[1], 50))],
            "meta": [b"\xff\x58\x04\x04\x02\x24\x08"] * 2, "bend": [bytes((0xE0 | channel, 1, 2))],
            "lyric": [b"\xff\x05\x02la"], "sysex": [b"\xf0\x03\x01\x02\xf7"], "stray": [bytes((0x80 | channel, 99, 3))],
        }[extra]  # fmt: skip
        if draw(st.booleans()):
            here.reverse()
        rows += [(tick, data) for data in here]
    for channel, pitch in down[: draw(st.integers(0, len(down)))]:
        tick += step
        rows.append((tick, bytes((0x80 | channel, pitch, 64))))
    end = tick + draw(st.sampled_from((0, 0, 1, 5 * beat)))
    return Chunk(tuple(rows), end, running=draw(st.booleans()))


@st.composite
def _conductor(draw: st.DrawFn, beat: int) -> Chunk:
    """Tempos and meters, repeated, extreme, off the bar line, finer than 480 ticks a quarter note."""
    rows: list[Event] = []
    tick = 0
    for _ in range(draw(st.integers(0, 5))):
        micros = draw(st.sampled_from((0, 1, 30_000, 500_000, 0xFFFFFF)))
        meter = draw(
            st.sampled_from((b"\x04\x02\x18\x08", b"\x06\x03\x24\x08", b"\x03\x02\x18\x08", b"\x07\x03\x0c\x08"))
        )
        event = draw(st.sampled_from((b"\xff\x51\x03" + micros.to_bytes(3, "big"), b"\xff\x58\x04" + meter)))
        rows += [(tick, event)] * draw(st.sampled_from((1, 1, 2)))
        tick += draw(st.sampled_from((0, 1, beat, 4 * beat)))
    return Chunk(tuple(rows), tick)


@st.composite
def files(draw: st.DrawFn) -> Kind:
    """A file of any kind; at most one of its chunks is broken."""
    kind = draw(st.sampled_from((0, 1, 1, 1, 2)))
    division = draw(st.sampled_from((96, 480, 960, 1000, 0xE328)))
    beat = 600 if division == 0xE328 else division
    layout = draw(st.sampled_from(("own", "shared", "all", "many")))
    count = 1 if kind == 0 else draw(st.integers(1, 4))
    chunks = [draw(_conductor(beat))] if kind == 1 else []
    for number_ in range(count):
        channels = {"own": (number_,), "shared": (0,), "all": tuple(range(16)), "many": (0, 1, 9)}[layout]
        chunks.append(draw(_track(beat, channels)))
    if layout == "all":
        strikes = [(0, bytes((0x90 | channel, 60, 9))) for channel in range(draw(st.sampled_from((15, 16))))]
        chunks[-1] = Chunk((*strikes, *chunks[-1].events), chunks[-1].end)
    which = draw(st.integers(0, len(chunks) - 1))
    chunk = chunks[which]
    trouble = draw(st.sampled_from(("", "", "lie", "zero", "after", "endless")))
    lie = draw(st.sampled_from((-3, 4, 1000))) if trouble == "lie" else -(1 << 20) if trouble == "zero" else 0
    tail = b"\x60\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0" if trouble == "after" else b""
    end = max((tick for tick, _ in chunk.events), default=0) if trouble == "endless" else chunk.end
    chunks[which] = Chunk(chunk.events, end, lie, tail, trouble != "endless", chunk.running)
    return Kind(kind, division, tuple(chunks), draw(st.sampled_from((-1, -1, 0, 1))))
