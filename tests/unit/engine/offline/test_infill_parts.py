"""New notes go where their part is at home or to a channel that is free, and never touch a note that stays."""

import pytest

from engine.errors import ControlError
from engine.music.midifile import MidiFile, open_midi
from engine.music.roles import roles_of
from engine.music.score import Note
from engine.offline.infill_parts import InfillParts
from tests.midi_kinds import Chunk, Event, Kind, tracks_in

BAR = 1920


def _line(channel: int, pitch: int, program: int | None = None, *, bars: range = range(8), length: int = 400) -> Chunk:
    """A note at the start of each bar."""
    rows: list[Event] = [] if program is None else [(0, bytes((0xC0 | channel, program)))]
    for bar in bars:
        rows.append((bar * BAR, bytes((0x90 | channel, pitch, 80))))
        rows.append((bar * BAR + length, bytes((0x80 | channel, pitch, 64))))
    return Chunk(tuple(rows), 8 * BAR)


def _open(*chunks: Chunk, kind: int = 1) -> MidiFile:
    return open_midi(Kind(kind, 480, chunks).data())


def _parts(file: MidiFile, *targets: str, bars: tuple[int, int] = (2, 3)) -> InfillParts:
    return InfillParts(file, roles_of(file.score), targets, bars)


def test_new_notes_take_the_place_of_those_that_start_in_the_bars() -> None:
    file = _open(_line(0, 60, 0), _line(1, 40, 33))
    parts = _parts(file, "bass")
    made = tracks_in(parts.written(parts.fitted({"bass": (Note(2 * BAR + 240, 43, 240, 90),)})))
    events = [row for row in file.source.chunks[1].events if not 2 * BAR <= row[0] < 4 * BAR]
    new = [(2 * BAR + 240, b"\x91\x2b\x5a"), (2 * BAR + 480, b"\x81\x2b\x40")]
    assert made == [
        (list(file.source.chunks[0].events), 8 * BAR),
        (sorted([*events, *new], key=lambda row: row[0]), 8 * BAR),
    ]


def test_new_notes_neither_cut_nor_cover_notes_of_another_track_on_the_channel() -> None:
    melody, bass = (
        Chunk(((0, b"\xff\x03" + bytes((len(name),)) + name), *_line(0, pitch, length=480).events), 8 * BAR)
        for name, pitch in ((b"melody", 40), (b"Bass", 43))
    )
    file = _open(melody, bass)
    parts = _parts(file, "bass")
    assert (parts.parts["bass"].chunk, parts.parts["bass"].channel) == (1, 0)
    starts, lengths = (0, 100, 480, 1000), (50, 50, 50, 2000)
    notes = tuple(Note(2 * BAR + start, 40, length) for start, length in zip(starts, lengths, strict=True))
    fitted = [(start - 2 * BAR, stop - 2 * BAR) for _, start, stop in parts.fitted({"bass": notes})["bass"]]
    assert fitted == [(480, 530), (1000, BAR - 1)], "a release in the later track would come after the next strike"


def test_a_new_part_takes_a_channel_that_nothing_uses() -> None:
    parts = _parts(_open(*(_line(channel, 60, 0) for channel in (0, 1, 3))), "guitar", "string")
    assert [(part.chunk, part.channel) for part in parts.parts.values()] == [(-1, 2), (-1, 4)]


def test_where_all_channels_are_used_one_that_rests_in_the_bars_is_lent_and_given_back() -> None:
    others = [_line(channel, 60, 0) for channel in range(16) if channel not in (7, 9)]
    file = _open(*others, _line(7, 60, 46, bars=range(2)), _line(9, 36))
    parts = _parts(file, "guitar")
    assert parts.parts["guitar"].channel == 7
    events, _ = tracks_in(parts.written(parts.fitted({"guitar": (Note(3 * BAR, 60, 4 * BAR),)})))[-1]
    assert [(tick, data) for tick, data in events if data[0] == 0xC7] == [
        (2 * BAR, b"\xc7\x19"), (4 * BAR - 1, b"\xc7\x2e"),
    ]  # fmt: skip
    assert max(tick for tick, _ in events) == 4 * BAR - 1


def test_where_all_channels_play_a_new_part_is_refused() -> None:
    file = _open(*(_line(channel, 60, 0) for channel in range(16)))
    with pytest.raises(ControlError, match="no channel is free for guitar: other parts play on all"):
        _parts(file, "guitar")


def test_a_file_of_one_track_stays_one() -> None:
    file = _open(_line(0, 60, 0), kind=0)
    parts = _parts(file, "bass")
    made = parts.written(parts.fitted({"bass": (Note(2 * BAR, 40, 240),)}))
    ((events, _),) = tracks_in(made)
    assert made[8:12] == b"\0\0\0\1"
    assert [row for row in events if row[1][0] & 15 == 1] == [
        (2 * BAR, b"\xc1\x20"), (2 * BAR, b"\x91\x28\x5a"), (2 * BAR + 240, b"\x81\x28\x40"),
    ]  # fmt: skip


def test_a_new_part_of_a_file_with_ports_names_its_port() -> None:
    keys = Chunk(((0, b"\xff\x21\x01\x01"), *_line(0, 60, 0).events), 8 * BAR)
    parts = _parts(_open(keys), "bass")
    events, _ = tracks_in(parts.written(parts.fitted({"bass": (Note(2 * BAR, 40, 240),)})))[-1]
    assert (parts.parts["bass"].port, parts.parts["bass"].channel) == (1, 1)
    assert (0, b"\xff\x21\x01\x01") in events


def test_a_damaged_track_gets_no_new_notes() -> None:
    bad = _line(1, 40, 33)
    broken = Chunk(bad.events, 0, tail=b"\0\xff\x01\x7fab", ended=False)
    parts = _parts(_open(_line(0, 60, 0), broken), "bass")
    assert parts.parts["bass"].chunk == -1
