"""Score <-> Standard MIDI File, and what a file holds besides notes, kept so that it can be written back.

Reading is bounded and forgiving: a file that ends too early gives what was read; what is no MIDI file, or is larger
than music is, gives one `ScoreError`. Ticks become 480 a quarter note; a note that comes back unchanged is written at
the very ticks that its file had.
"""

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from engine.music.midievents import Events, events_of, length_bytes, split
from engine.music.score import Meter, Note, Score, ScoreError, TempoChange, Track
from engine.music.units import TICKS_PER_BEAT

__all__ = ["Home", "MidiFile", "open_midi", "read_midi", "write_midi"]

_LARGEST: Final = 16 << 20  # bytes; a symphony is half a megabyte
_MOST_NOTES: Final = 1_000_000
_DRUM_CHANNEL: Final = 9
_TEMPO, _METER = 0x51, 0x58

# Of events at one tick: keys are let go, then everything else, then keys are struck; the release of a stroke without
# length comes last.
_RELEASE, _OTHER, _STRIKE, _LIFT = range(4)

Place = tuple[int, int, int]  # start and end in ticks of the file, release velocity
Event = tuple[int, int, bytes]  # tick of the file, rank among those at one tick, bytes


@dataclass(frozen=True, slots=True)
class Home:
    """Where a track was in its file: chunk, channel, and where notes were (of equal ones, one after the other)."""

    chunk: int
    channel: int
    places: Mapping[Note, tuple[Place, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MidiFile:
    """A score and the rest of its file.

    Args:
        score: the music; its tracks are chunk by chunk, channel by channel, program by program.
        division: ticks of the file a quarter note.
        homes: of each track of `score`, where it was.
        others: of each chunk, (tick of the file, bytes) of what is neither a note nor of the tempo and meter maps.
    """

    score: Score
    division: int = TICKS_PER_BEAT
    homes: tuple[Home, ...] = ()
    others: tuple[tuple[tuple[int, bytes], ...], ...] = field(default=(), repr=False)


def read_midi(source: bytes | str | Path) -> Score:
    """The score of a MIDI file: a path, or its bytes.

    Raises:
        ScoreError: it is no MIDI file, or larger than music is. OSError: no such file.
    """
    return open_midi(source).score


def open_midi(source: bytes | str | Path) -> MidiFile:
    """The same with the rest of the file, for `write_midi`.

    Raises:
        ScoreError: as `read_midi`. OSError: no such file.
    """
    data = source if isinstance(source, bytes) else _bytes_of(Path(source))
    if len(data) > _LARGEST:
        raise ScoreError(f"got a MIDI file of {len(data) / 2**20:.0f} MB, wanted at most {_LARGEST >> 20}: split it")
    division, seconds, chunks = split(data)
    read = [events_of(chunk) for chunk in chunks]
    if sum(len(chunk.strikes) for chunk in read) > 2 * _MOST_NOTES:
        raise ScoreError(f"got a MIDI file of more than {_MOST_NOTES} notes: split it")
    programs = _programs(read)
    tracks: list[Track] = []
    homes: list[Home] = []
    for number, chunk in enumerate(read):
        for (channel, program), found in sorted(_notes(chunk, programs).items()):
            notes, places = _placed(found, TICKS_PER_BEAT / division)
            tracks.append(Track(notes, program, channel == _DRUM_CHANNEL, chunk.name))
            homes.append(Home(number, channel, places))
    metas = [] if seconds else [meta for chunk in read for meta in chunk.metas]
    metas.sort(key=lambda meta: meta[0])
    scale = TICKS_PER_BEAT / division
    score = Score(tuple(tracks), _tempos(metas, scale), _meters(metas, scale))
    return MidiFile(score, division, tuple(homes), tuple(tuple(chunk.others) for chunk in read))


def _bytes_of(path: Path) -> bytes:
    """The file, or just more than may be read of it."""
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _programs(read: Iterable[Events]) -> dict[int, list[tuple[int, int]]]:
    """Of each channel (tick, program) of all chunks, by tick."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for chunk in read:
        for tick, channel, program in chunk.programs:
            found[channel].append((tick, program))
    for rows in found.values():
        rows.sort(key=lambda row: row[0])
    return found


def _notes(
    chunk: Events, everywhere: Mapping[int, list[tuple[int, int]]]
) -> dict[tuple[int, int], list[tuple[int, int, int, int, int]]]:
    """By channel and program (start, end, pitch, velocity, release velocity); a release ends the oldest of its key.

    Where a chunk says nothing of a channel's program, what the others said last holds.
    """
    own = _programs([chunk])
    found: dict[tuple[int, int], list[tuple[int, int, int, int, int]]] = defaultdict(list)
    held: dict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)

    def close(tick: int, channel: int, pitch: int, release: int) -> None:
        start, velocity = held[channel, pitch].popleft()
        found[channel, _program(start, channel, own, everywhere)].append((start, tick, pitch, velocity, release))

    for tick, channel, pitch, velocity in chunk.strikes:
        if velocity > 0:
            held[channel, pitch].append((tick, velocity))
        elif held[channel, pitch]:
            close(tick, channel, pitch, -1 - velocity)
    for (channel, pitch), left in held.items():
        while left:
            close(chunk.end, channel, pitch, 64)
    return found


def _program(tick: int, channel: int, *maps: Mapping[int, list[tuple[int, int]]]) -> int:
    for rows in maps:
        changes = rows.get(channel, ())
        at = bisect_right(changes, tick, key=lambda row: row[0])
        if at:
            return changes[at - 1][1]
    return 0


def _placed(
    found: list[tuple[int, int, int, int, int]], scale: float
) -> tuple[tuple[Note, ...], dict[Note, tuple[Place, ...]]]:
    made: dict[Note, tuple[Place, ...]] = {}
    notes = []
    for start, end, pitch, velocity, release in sorted(found):
        first = round(start * scale)
        note = Note(first, pitch, round(end * scale) - first, velocity)
        made[note] = (*made.get(note, ())[:64], (start, end, release))
        notes.append(note)
    return tuple(sorted(notes)), made


def _tempos(metas: Iterable[tuple[int, int, bytes]], scale: float) -> tuple[TempoChange, ...]:
    rows = {0: 120.0}
    for tick, kind, data in metas:
        if kind == _TEMPO:
            rows[round(tick * scale)] = min(1000.0, 60e6 / max(1, int.from_bytes(data, "big")))
    return tuple(TempoChange(tick, bpm) for tick, bpm in sorted(rows.items()))


def _meters(metas: Iterable[tuple[int, int, bytes]], scale: float) -> tuple[Meter, ...]:
    """The meter map; what no music has is passed over, and saying again what holds already starts no bar."""
    rows = {0: (4, 4)}
    for tick, kind, data in metas:
        if kind == _METER and 1 <= data[0] <= 64 and data[1] <= 6:
            rows[round(tick * scale)] = data[0], 1 << data[1]
    made: list[Meter] = []
    for tick, (beats, unit) in sorted(rows.items()):
        if not made or (made[-1].beats, made[-1].unit) != (beats, unit):
            made.append(Meter(tick, beats, unit))
    return tuple(made)


def write_midi(score: Score, file: MidiFile | None = None) -> bytes:
    """A Standard MIDI File of format 1.

    Args:
        score: what to write.
        file: what `score` was made from: its first tracks (as many as the file had) go where they were, with all that
            the file held besides notes, and unchanged notes to the ticks they had; further tracks get chunks of their
            own. None for a file of nothing but `score`.
    """
    file = file or MidiFile(Score(()))
    scale = file.division / TICKS_PER_BEAT
    chunks: list[list[Event]] = [[(tick, _OTHER, data) for tick, data in others] for others in file.others]
    conductor = _conductor(score, scale)
    if any(home.chunk == 0 for home in file.homes) or chunks:
        chunks[0] = conductor + chunks[0]
    else:
        chunks = [conductor, *chunks]
    channels = {home.channel for home in file.homes}
    for index, track in enumerate(score.tracks):
        if index < len(file.homes):
            home = file.homes[index]
            chunks[home.chunk] += _sounds(track, home, scale)
        else:
            channel = _free(track, channels)
            channels.add(channel)
            name = track.name.encode("latin-1", "replace")[:127]
            head = [(0, _OTHER, b"\xff\x03" + length_bytes(len(name)) + name)] if name else []
            head.append((0, _OTHER, bytes((0xC0 | channel, track.program))))
            chunks.append(head + _sounds(track, Home(len(chunks), channel, {}), scale))
    header = b"MThd" + (6).to_bytes(4, "big") + b"\0\1"
    header += len(chunks).to_bytes(2, "big") + file.division.to_bytes(2, "big")
    return header + b"".join(map(_chunk, chunks))


def _conductor(score: Score, scale: float) -> list[Event]:
    made: list[Event] = []
    for tempo in score.tempos:
        micros = max(1, min(0xFFFFFF, round(60e6 / tempo.bpm)))
        made.append((round(tempo.tick * scale), _OTHER, b"\xff\x51\x03" + micros.to_bytes(3, "big")))
    for meter in score.meters:
        data = bytes((0xFF, _METER, 4, meter.beats, meter.unit.bit_length() - 1, 24, 8))
        made.append((round(meter.tick * scale), _OTHER, data))
    return made


def _free(track: Track, used: set[int]) -> int:
    """A channel for a new track: the drums' own, or one that nobody has, or at worst one that is shared."""
    if track.drums:
        return _DRUM_CHANNEL
    left = [channel for channel in range(16) if channel != _DRUM_CHANNEL and channel not in used]
    return left[0] if left else track.program % _DRUM_CHANNEL


def _sounds(track: Track, home: Home, scale: float) -> list[Event]:
    made: list[Event] = []
    used: dict[Note, int] = defaultdict(int)
    program = bytes((0xC0 | home.channel, track.program))
    for note in track.notes:
        places = home.places.get(note, ())
        turn = used[note]
        used[note] += 1
        if turn < len(places):
            start, end, release = places[turn]
        else:
            start, end, release = round(note.start * scale), round(note.end * scale), 64
        strike = bytes((0x90 | home.channel, note.pitch, note.velocity))
        made.append((start, _STRIKE, strike if track.drums else strike + program))
        lift = bytes((0x80 | home.channel, note.pitch, release))
        made.append((end, _RELEASE if end > start else _LIFT, lift))
    return made


def _chunk(events: list[Event]) -> bytes:
    """A track chunk. A strike that names its program is preceded by a change of it where another holds."""
    made, last = bytearray(), 0
    holds: dict[int, int] = {}
    for tick, _, data in sorted(events, key=lambda event: event[:2]):
        kind, wants = data[0] & 0xF0, b""
        if data[0] < 0xF0 and kind == 0xC0:
            holds[data[0] & 15] = data[1]
        elif kind == 0x90 and len(data) == 5:
            data, wants = data[:3], data[3:]
            if holds.setdefault(wants[0] & 15, wants[1]) == wants[1]:
                wants = b""
            else:
                holds[wants[0] & 15] = wants[1]
        if wants:
            made += _delta(tick - last) + wants
            last = tick
        made += _delta(tick - last) + data
        last = tick
    made += b"\0\xff\x2f\0"
    return b"MTrk" + len(made).to_bytes(4, "big") + bytes(made)


def _delta(ticks: int) -> bytes:
    """A delta; one longer than a file's number can be is bridged by empty texts."""
    made = b""
    while ticks > 0x0FFFFFFF:
        made += length_bytes(0x0FFFFFFF) + b"\xff\x01\x00"
        ticks -= 0x0FFFFFFF
    return made + length_bytes(ticks)
