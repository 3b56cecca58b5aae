"""Where the new notes of a MIDI file go, and how they are made to fit among the notes that stay.

A part goes where its role is at home, else to a track of its own on a channel that no other part uses. New notes never
end, cover or follow into a note that stays on their channel, in whatever track that one is.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from engine.errors import ControlError
from engine.music.midiedit import FIRST, LAST, NewEvent, edited
from engine.music.midievents import length_bytes
from engine.music.midifile import DRUM_CHANNEL, MidiFile
from engine.music.roles import PROGRAMS
from engine.music.score import ROLES, Note
from engine.music.units import TICKS_PER_BEAT

__all__ = ["InfillPart", "InfillParts"]

_STRIKE: Final = LAST + 1
_TRACK_OF_ITS_OWN: Final = -1
_NEVER: Final = 1 << 40  # ticks; a key that is not let go rings on

Kept = tuple[int, int, int]  # start and end in ticks of the file, number of the chunk
Placed = tuple[Note, int, int]  # a note, its start and end in ticks of the file


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillPart:
    """Where the new notes of one role go.

    Args:
        chunk: number of a chunk, -1 for a new one. port, channel: from 0.
        head: events that prepare the channel.
        until: tick of the file at which its notes end at the latest; -1 for no limit.
    """

    chunk: int
    port: int
    channel: int
    head: tuple[NewEvent, ...] = field(default=(), repr=False)
    until: int = -1


class InfillParts:
    """The parts of one infill.

    Args:
        file: what was read. roles: of each of its tracks.
        targets: roles to make. bars: first and last bar, from 0.
    Attributes:
        gone: of each track the numbers of the notes that are replaced: those that start in the bars.
        parts: of each target where its new notes go.
    Raises:
        ControlError: no channel is free for a part.
    """

    def __init__(
        self, file: MidiFile, roles: Sequence[str | None], targets: Sequence[str], bars: tuple[int, int]
    ) -> None:
        self._file, self._roles, self._bars = file, roles, bars
        self._begin, self._end = (file.tick_of(file.score.tick_of_bar(bar)) for bar in (bars[0], bars[1] + 1))
        self.gone = [
            frozenset(
                number
                for number, place in enumerate(home.places if role in targets else ())
                if self._begin <= place.start < self._end
            )
            for role, home in zip(roles, file.homes, strict=True)
        ]
        self._uses = _uses(file)
        self.parts = {role: self._part(role) for role in targets}

    def _part(self, role: str) -> InfillPart:
        """Where a role is at home, or a place that is free."""

        def worth(track: int) -> tuple[int, int]:
            starts = [place.start for place in self._file.homes[track].places]
            return sum(self._begin <= start < self._end for start in starts), len(starts)

        own = [track for track, name in enumerate(self._roles) if name == role and self._usable(track)]
        if not own:
            return self._new(role)
        best = max(own, key=worth)
        home = self._file.homes[best]
        continues = any(
            place.start >= self._end and number not in self.gone[best] for number, place in enumerate(home.places)
        )
        until = self._end if continues else -1
        return InfillPart(chunk=home.chunk, port=home.port, channel=home.channel, until=until)

    def _usable(self, track: int) -> bool:
        """Whether new notes can join a track: its chunk is whole, and its own program holds throughout the bars."""
        home = self._file.homes[track]
        if self._file.source.chunks[home.chunk].fault:
            return False
        alone = all(
            number == track or (other.chunk, other.port, other.channel) != (home.chunk, home.port, home.channel)
            for number, other in enumerate(self._file.homes)
        )
        if alone:
            return True
        changes = self._uses.programs.get((home.port, home.channel), ())
        inside = {program for tick, program in changes if self._begin < tick < self._end}
        return {self._program((home.port, home.channel), self._begin), *inside} == home.programs

    def _program(self, channel: tuple[int, int], tick: int) -> int:
        """The program that holds on a channel at a tick."""
        changes = self._uses.programs.get(channel, ())
        at = bisect_right(changes, tick, key=lambda change: change[0])
        return changes[at - 1][1] if at else 0

    def _new(self, role: str) -> InfillPart:
        """A place for a role that is not in the file: its channel is marked as used."""
        ports = sorted(self._uses.ports) or [0]
        program = PROGRAMS[ROLES.index(role)]
        if role == "drum":
            channel = ports[0], DRUM_CHANNEL
            return self._placed(channel, role, () if channel in self._uses.ticks else (program,))
        free = [(port, number) for port in ports for number in range(16) if number != DRUM_CHANNEL]
        everywhere = {number for _, number in self._uses.ticks}
        for channel in free:
            if channel[1] not in everywhere:
                return self._placed(channel, role, (program,))
        for channel in free:
            if channel not in self._uses.ticks:
                return self._placed(channel, role, (program,))
        for channel in free:
            if self._silent(channel):
                return self._placed(channel, role, (program, self._program(channel, self._begin)))
        raise ControlError(
            f"no channel is free for {role}: other parts play on all of them in bars {self._bars[0] + 1}-"
            f"{self._bars[1] + 1}; choose fewer bars, or a part that the file has"
        )

    def _placed(self, channel: tuple[int, int], role: str, programs: Sequence[int]) -> InfillPart:
        """A part on a channel: the first program holds for its notes, a second one from their end on."""
        port, number = channel
        self._uses.ticks[channel] = [self._begin, self._end]
        chunks = [index for index, _ in self._file.read_chunks()]
        own = self._file.source.format == 1 or not chunks
        borrowed = len(programs) > 1
        begin = 0 if own and not borrowed else self._begin
        head: list[NewEvent] = []
        if own:
            head.append((0, LAST, b"\xff\x03" + length_bytes(len(role)) + role.encode("ascii")))
            if self._uses.ports - {0}:
                head.append((0, LAST, bytes((0xFF, 0x21, 1, port))))
        for tick, rank, program in zip((begin, self._end - 1), (LAST, FIRST), programs, strict=False):
            head.append((tick, rank, bytes((0xC0 | number, program))))
        return InfillPart(
            chunk=_TRACK_OF_ITS_OWN if own else chunks[0], port=port, channel=number, head=tuple(head),
            until=self._end - 1 if borrowed else -1,
        )  # fmt: skip

    def _silent(self, channel: tuple[int, int]) -> bool:
        """Whether nothing sounds or changes on a channel throughout the bars."""
        if any(self._begin <= tick < self._end for tick in self._uses.ticks.get(channel, ())):
            return False
        return not any(start < self._end and end >= self._begin for start, end, _ in self._kept(channel))

    def _kept(self, channel: tuple[int, int], pitches: dict[int, list[Kept]] | None = None) -> list[Kept]:
        """The notes that stay on a channel; in `pitches` also by pitch."""
        made: list[Kept] = []
        for track, home, gone in zip(self._file.score.tracks, self._file.homes, self.gone, strict=True):
            if (home.port, home.channel) != channel:
                continue
            for number, (note, place) in enumerate(zip(track.notes, home.places, strict=True)):
                if number not in gone:
                    hangs = place.release < 0 and home.channel != DRUM_CHANNEL  # drums end by themselves
                    made.append((place.start, _NEVER if hangs else place.end, home.chunk))
                    if pitches is not None:
                        pitches.setdefault(note.pitch, []).append(made[-1])
        return made

    def fitted(self, made: Mapping[str, Sequence[Note]]) -> dict[str, tuple[Placed, ...]]:
        """New notes by role, made to fit among those that stay and among each other.

        A note ends where its key is struck again, and where the bars that are made end if the part continues there;
        where its key is held by another note it is left out.
        """
        taken: dict[tuple[int, int], dict[int, list[Kept]]] = {}
        fitted = {}
        for role, notes in made.items():
            part = self.parts[role]
            channel = part.port, part.channel
            if channel not in taken:
                taken[channel] = {}
                self._kept(channel, taken[channel])
            chunk = len(self._file.source.chunks) + ROLES.index(role) if part.chunk < 0 else part.chunk
            rows = list(self._fit(notes, part, chunk, taken[channel]))
            for note, start, end in rows:
                taken[channel].setdefault(note.pitch, []).append((start, end, chunk))
            fitted[role] = tuple(rows)
        return fitted

    def _fit(
        self, notes: Sequence[Note], part: InfillPart, chunk: int, taken: Mapping[int, Sequence[Kept]]
    ) -> Iterator[Placed]:
        struck: dict[int, list[int]] = defaultdict(list)
        ticks = [self._file.tick_of(note.start) for note in notes]
        for note, start in zip(notes, ticks, strict=True):
            struck[note.pitch].append(start)
        for note, start in zip(notes, ticks, strict=True):
            again = struck[note.pitch][bisect_right(struck[note.pitch], start) :][:1]
            ends = [max(start + 1, self._file.tick_of(note.end)), *again, *([part.until] if part.until >= 0 else ())]
            end = _free_until(start, min(ends), chunk, taken.get(note.pitch, ()))
            if end > start:
                length = round((end - start) * TICKS_PER_BEAT / self._file.source.beat)
                yield (note if end == ends[0] else replace(note, length=max(1, length))), start, end

    def written(self, fitted: Mapping[str, Sequence[Placed]]) -> bytes:
        """The file with the new notes in the place of those that go."""
        gone: dict[int, set[int]] = defaultdict(set)
        for home, numbers in zip(self._file.homes, self.gone, strict=True):
            for number in numbers:
                gone[home.chunk] |= {home.places[number].strike, home.places[number].release} - {-1}
        added: dict[int, list[NewEvent]] = defaultdict(list)
        more: list[list[NewEvent]] = []
        for role, rows in fitted.items():
            part = self.parts[role]
            events = [*part.head, *_events(part.channel, rows)]
            if part.chunk >= 0:
                added[part.chunk] += events if rows else []
            elif rows:
                more.append(events)
        return edited(self._file.source, gone, added, more)


def _free_until(start: int, end: int, chunk: int, taken: Collection[Kept]) -> int:
    """Where a note from `start` to `end` has to end; `start` where it cannot be.

    Of events at one tick in two chunks those of the earlier chunk come first.
    """
    for begin, until, other in taken:
        if begin <= start:
            if start < until or start == begin or (start == until and chunk < other):
                return start
        elif end >= begin:
            end = min(end, begin - (chunk > other))
    return end


def _events(channel: int, rows: Sequence[Placed]) -> Iterator[NewEvent]:
    for note, start, end in rows:
        yield start, _STRIKE, bytes((0x90 | channel, note.pitch, note.velocity))
        yield end, FIRST, bytes((0x80 | channel, note.pitch, 64))


@dataclass(frozen=True, slots=True)
class _Uses:
    """What a file does with its channels: ports, ticks of the events of each channel, its programs by tick."""

    ports: set[int] = field(default_factory=set)
    ticks: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    programs: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


def _uses(file: MidiFile) -> _Uses:
    """Of the events that are no keys; of keys the first of each channel."""
    made = _Uses()
    for _, chunk in file.read_chunks():
        port = 0
        for tick, data in chunk.events:
            if data[0] == 0xFF and data[1] == 0x21 and len(data) > 3:
                port = data[3]
                made.ports.add(port)
            elif data[0] < 0xF0:
                channel = port, data[0] & 15
                made.ports.add(port)
                if data[0] & 0xE0 != 0x80 or channel not in made.ticks:
                    made.ticks[channel].append(tick)
                if data[0] & 0xF0 == 0xC0:
                    made.programs[channel].append((tick, data[1]))
    for changes in made.programs.values():
        changes.sort(key=lambda change: change[0])
    return made
