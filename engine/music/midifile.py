"""Score <-> Standard MIDI File. `engine.music.midiedit` changes some notes of a file and keeps all else as it is.

Reading is bounded and forgiving: a file that ends too early gives what was read; what is no MIDI file, or is larger
than music is, gives one `ScoreError`. Ticks become 480 a quarter note; where each note is among the events of its file
is kept.
"""

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Final

from engine.music.midievents import MidiChunk, MidiChunks, delta_bytes, length_bytes, split
from engine.music.midimaps import meters_of, tempos_of
from engine.music.score import Note, Score, ScoreError, Track
from engine.music.units import TICKS_PER_BEAT

__all__ = ["DRUM_CHANNEL", "Home", "MidiFile", "NotePlace", "open_midi", "read_midi", "write_midi"]

DRUM_CHANNEL: Final = 9
"""The channel that General MIDI gives to drums, from 0."""

_LARGEST: Final = 16 << 20  # bytes; a symphony is half a megabyte
_MOST_NOTES: Final = 1_000_000
_NAME, _PORT = 0x03, 0x21
_KITS: Final = frozenset((0, 1, 8, 16, 24, 25, 26, 32, 40, 48, 56, 127))  # programs that are drum kits (GS, GM 2, XG)
_DRUM_WORDS: Final = ("drum", "perc", "kit", "batter", "schlag")

# Of events at one tick in a file of nothing but a score: keys are let go, then everything else, then keys are struck;
# the release of a stroke without length comes last.
_RELEASE, _OTHER, _STRIKE, _LIFT = range(4)

Channel = tuple[int, int]  # port and channel
Ranked = tuple[int, int, bytes]  # tick, rank among those at one tick, bytes


@dataclass(frozen=True, slots=True)
class NotePlace:
    """Where a note is in its chunk: numbers of its events (-1 without a release), and ticks of the file."""

    strike: int
    release: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Home:
    """Where a track is in its file.

    Args:
        chunk: number of the chunk. port, channel: from 0.
        programs: General MIDI programs with which its notes are played.
        places: of each note of the track, in the same order.
    """

    chunk: int
    port: int
    channel: int
    programs: frozenset[int]
    places: tuple[NotePlace, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class MidiFile:
    """A score and its file.

    Args:
        score: the music; its tracks are chunk by chunk, channel by channel. A chunk that has a name and notes of one
            channel is one track; any other channel is a track for each program.
        source: the file in its chunks, unchanged.
        homes: of each track of `score`, where it is.
        meter_ticks: of each meter of `score`, its tick in the file.
        end: tick of the score at which the last chunk ends.
        song: number of the chunk that was read, of a file of several songs; -1 of any other.
    """

    score: Score
    source: MidiChunks = field(repr=False)
    homes: tuple[Home, ...] = ()
    meter_ticks: tuple[int, ...] = (0,)
    end: int = 0
    song: int = -1

    def tick_of(self, tick: int) -> int:
        """The tick of the file for one of the score, counted from the meter that holds: bar lines are exact."""
        index = max(0, bisect_right(self.score.meters, tick, key=lambda meter: meter.tick) - 1)
        inside = (tick - self.score.meters[index].tick) * self.source.beat / TICKS_PER_BEAT
        return self.meter_ticks[index] + round(inside)

    def read_chunks(self) -> list[tuple[int, MidiChunk]]:
        """Number and chunk of the tracks that were read."""
        return _tracks(self.source, self.song)


def read_midi(source: bytes | str | Path) -> Score:
    """The score of a MIDI file: a path, or its bytes; of a file of several songs the first.

    Raises:
        ScoreError: it is no MIDI file, or larger than music is. OSError: no such file.
    """
    return open_midi(source, song=1).score


def open_midi(source: bytes | str | Path, song: int | None = None) -> MidiFile:
    """A MIDI file: a path, or its bytes.

    Args:
        song: which song of a file of format 2 to read, from 1; says nothing for other files.
    Raises:
        ScoreError: as `read_midi`; or the file holds several songs and `song` is none of them. OSError: no such file.
    """
    data = source if isinstance(source, bytes) else _bytes_of(Path(source))
    if len(data) > _LARGEST:
        raise ScoreError(f"got a MIDI file of {len(data) / 2**20:.0f} MB, wanted at most {_LARGEST >> 20}: split it")
    whole = split(data)
    number = _song(whole, song)
    read = [(index, _Reading(chunk)) for index, chunk in _tracks(whole, number)]
    if sum(len(chunk.notes) for _, chunk in read) > _MOST_NOTES:
        raise ScoreError(f"got a MIDI file of more than {_MOST_NOTES} notes: split it")
    scale = float(TICKS_PER_BEAT / whole.beat)
    programs = _merged(chunk.programs for _, chunk in read)
    tracks: list[Track] = []
    homes: list[Home] = []
    for index, chunk in read:
        for track, home in chunk.tracks(index, programs, scale):
            tracks.append(track)
            homes.append(home)
    metas = [] if whole.in_seconds else sorted((meta for _, chunk in read for meta in chunk.metas), key=itemgetter(0))
    meters, meter_ticks = meters_of(metas, whole.beat)
    score = Score(tuple(tracks), tempos_of(metas, scale), meters)
    end = round(max((chunk.chunk.end for _, chunk in read), default=0) * scale)
    return MidiFile(score, whole, tuple(homes), meter_ticks, end, number)


def _bytes_of(path: Path) -> bytes:
    """The file, or just more than may be read of it."""
    with path.open("rb") as file:
        return file.read(_LARGEST + 1)


def _tracks(whole: MidiChunks, song: int) -> list[tuple[int, MidiChunk]]:
    return [(index, chunk) for index, chunk in enumerate(whole.chunks) if chunk.is_track and song in (-1, index)]


def _song(whole: MidiChunks, song: int | None) -> int:
    """The number of the chunk to read, -1 for all."""
    songs = [index for index, chunk in enumerate(whole.chunks) if chunk.is_track]
    if whole.format != 2 or len(songs) < 2:
        return -1
    if song is None or not 1 <= song <= len(songs):
        raise ScoreError(f"got a MIDI file of {len(songs)} songs (type 2): choose one, such as --song 1")
    return songs[song - 1]


def _merged(maps: Iterable[Mapping[Channel, Sequence[tuple[int, int]]]]) -> dict[Channel, list[tuple[int, int]]]:
    """Of each channel (tick, program) of all chunks, by tick."""
    found: dict[Channel, list[tuple[int, int]]] = defaultdict(list)
    for rows in maps:
        for channel, changes in rows.items():
            found[channel] += changes
    for changes in found.values():
        changes.sort(key=itemgetter(0))
    return found


class _Reading:
    """The notes, programs and maps of one track chunk."""

    def __init__(self, chunk: MidiChunk) -> None:
        self.chunk = chunk
        self.name = ""
        self.metas: list[tuple[int, bytes]] = []  # tick, bytes
        self.programs: dict[Channel, list[tuple[int, int]]] = defaultdict(list)
        self.notes: list[tuple[Channel, int, int, NotePlace]] = []  # channel, pitch, velocity
        self._port = 0
        self._held: dict[tuple[Channel, int], deque[tuple[int, int, int]]] = defaultdict(deque)
        for index, (tick, data) in enumerate(chunk.events):
            kind = data[0] & 0xF0
            if kind in (0x80, 0x90):
                self._key(index, tick, data)
            elif kind == 0xC0:
                self.programs[self._port, data[0] & 15].append((tick, data[1]))
            elif data[0] == 0xFF:
                self._meta(tick, data)
        for (channel, pitch), left in self._held.items():
            for strike, start, velocity in left:
                self.notes.append((channel, pitch, velocity, NotePlace(strike, -1, start, chunk.end)))

    def _key(self, index: int, tick: int, data: bytes) -> None:
        """A strike, or a release: it ends the oldest strike of its key."""
        channel = self._port, data[0] & 15
        held = self._held[channel, data[1]]
        if data[0] & 0xF0 == 0x90 and data[2]:
            held.append((index, tick, data[2]))
        elif held:
            strike, start, velocity = held.popleft()
            self.notes.append((channel, data[1], velocity, NotePlace(strike, index, start, tick)))

    def _meta(self, tick: int, data: bytes) -> None:
        begin = next((at for at in range(2, len(data)) if data[at] < 128), len(data)) + 1  # after the length
        body = data[begin:]
        if data[1] == _NAME and not self.name:
            self.name = body[:200].decode("latin-1").strip("\0 ")
        elif data[1] == _PORT and body:
            self._port = body[0]
        else:
            self.metas.append((tick, data))

    def tracks(
        self, index: int, programs: Mapping[Channel, Sequence[tuple[int, int]]], scale: float
    ) -> Iterable[tuple[Track, Home]]:
        """Each track of the chunk with its home; where it says nothing of a channel's program, other chunks do."""
        single = bool(self.name) and len({channel for channel, _, _, _ in self.notes}) == 1
        rows: dict[tuple[Channel, int], list[tuple[int, int, int, NotePlace]]] = defaultdict(list)
        for channel, pitch, velocity, place in self.notes:
            program = _program(place.start, channel, self.programs, programs)
            rows[channel, -1 if single else program].append((program, pitch, velocity, place))
        for (channel, _), found in sorted(rows.items(), key=itemgetter(0)):
            count = Counter(program for program, _, _, _ in sorted(found, key=lambda row: row[3].strike))
            program = count.most_common(1)[0][0]
            notes, places = _placed(found, scale)
            drums = channel[1] == DRUM_CHANNEL and (channel[0] == 0 or self._names_drums(program))
            home = Home(index, *channel, frozenset(count), places)
            yield Track(notes, program, drums, self.name), home

    def _names_drums(self, program: int) -> bool:
        """Whether channel 10 of a further port plays drums: it has a kit's program, or is named so."""
        return program in _KITS or any(word in self.name.lower() for word in _DRUM_WORDS)


def _program(tick: int, channel: Channel, *maps: Mapping[Channel, Sequence[tuple[int, int]]]) -> int:
    for rows in maps:
        changes = rows.get(channel, ())
        at = bisect_right(changes, tick, key=itemgetter(0))
        if at:
            return changes[at - 1][1]
    return 0


def _placed(
    found: Iterable[tuple[int, int, int, NotePlace]], scale: float
) -> tuple[tuple[Note, ...], tuple[NotePlace, ...]]:
    made = []
    for _, pitch, velocity, place in found:
        first = round(place.start * scale)
        made.append((Note(first, pitch, round(place.end * scale) - first, velocity), place))
    made.sort(key=lambda row: (row[0], row[1].start, row[1].strike))
    return tuple(note for note, _ in made), tuple(place for _, place in made)


def write_midi(score: Score) -> bytes:
    """A Standard MIDI File of format 1 with nothing but a score, 480 ticks a quarter note."""
    chunks: list[list[Ranked]] = [_conductor(score)]
    used: set[int] = set()
    for track in score.tracks:
        channel = _free(track, used)
        used.add(channel)
        name = track.name.encode("latin-1", "replace")[:127]
        head = [(0, _OTHER, b"\xff\x03" + length_bytes(len(name)) + name)] if name else []
        head.append((0, _OTHER, bytes((0xC0 | channel, track.program))))
        chunks.append(head + _sounds(track, channel))
    header = b"MThd\0\0\0\6\0\1" + len(chunks).to_bytes(2, "big") + TICKS_PER_BEAT.to_bytes(2, "big")
    return header + b"".join(map(_chunk, chunks))


def _conductor(score: Score) -> list[Ranked]:
    made: list[Ranked] = []
    for tempo in score.tempos:
        micros = max(1, min(0xFFFFFF, round(60e6 / tempo.bpm)))
        made.append((tempo.tick, _OTHER, b"\xff\x51\x03" + micros.to_bytes(3, "big")))
    for meter in score.meters:
        made.append((meter.tick, _OTHER, bytes((0xFF, 0x58, 4, meter.beats, meter.unit.bit_length() - 1, 24, 8))))
    return made


def _free(track: Track, used: set[int]) -> int:
    """A channel for a track: the drums' own, or one that nobody has, or at worst one that is shared."""
    if track.drums:
        return DRUM_CHANNEL
    left = [channel for channel in range(16) if channel != DRUM_CHANNEL and channel not in used]
    return left[0] if left else track.program % DRUM_CHANNEL


def _sounds(track: Track, channel: int) -> list[Ranked]:
    made: list[Ranked] = []
    for note in track.notes:
        made.append((note.start, _STRIKE, bytes((0x90 | channel, note.pitch, note.velocity))))
        made.append((note.end, _RELEASE if note.length else _LIFT, bytes((0x80 | channel, note.pitch, 64))))
    return made


def _chunk(events: list[Ranked]) -> bytes:
    made, last = bytearray(), 0
    for tick, _, data in sorted(events, key=lambda event: event[:2]):
        made += delta_bytes(tick - last) + data
        last = tick
    made += b"\0\xff\x2f\0"
    return b"MTrk" + len(made).to_bytes(4, "big") + bytes(made)
