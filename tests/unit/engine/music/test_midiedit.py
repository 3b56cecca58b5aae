"""A file with other notes: what stays keeps its bytes, ticks and order; each chunk ends where it did or later."""

import pytest

from engine.music.midiedit import FIRST, LAST, edited
from engine.music.midifile import open_midi
from tests.midi_kinds import Chunk, Kind, tracks_in

PEDAL = (
    (0, b"\x90\x30\x50"), (480, b"\xb0\x40\x7f"), (480, b"\x80\x30\x11"), (480, b"\x90\x30\x50"),
    (480, b"\x90\x30\x00"), (480, b"\xc0\x05"), (960, b"\xff\x51\x03\x00\x75\x30"), (960, b"\xff\x51\x03\x00\x75\x30"),
)  # fmt: skip


def _source(*chunks: Chunk, kind: int = 1, alien: int = -1) -> bytes:
    return Kind(kind, 480, chunks, alien).data()


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_without_a_change_a_file_is_written_byte_for_byte(kind: int) -> None:
    data = _source(Chunk(PEDAL, 5000, running=True, tail=b"junk"), kind=kind, alien=0)
    assert edited(open_midi(data).source) == data


def test_at_one_tick_releases_come_first_and_strikes_last() -> None:
    new = [(480, LAST + 1, b"\x91\x40\x40"), (480, FIRST, b"\x81\x3c\x40"), (480, LAST, b"\xc1\x20")]
    events, end = tracks_in(edited(open_midi(_source(Chunk(PEDAL, 5000))).source, added={0: new}))[0]
    first, *rest = [row for row in events if row[0] == 480]
    assert first == (480, b"\x81\x3c\x40")
    assert rest == [*PEDAL[1:6], (480, b"\xc1\x20"), (480, b"\x91\x40\x40")]
    assert end == 5000


def test_a_chunk_ends_later_only_where_a_new_event_does() -> None:
    source = open_midi(_source(Chunk(PEDAL, 5000), Chunk((), 15_360))).source
    ends = [
        end for _, end in tracks_in(edited(source, gone={0: {0, 2}}, added={1: [(20_000, FIRST, b"\x81\x3c\x40")]}))
    ]
    assert ends == [5000, 20_000]


def test_further_tracks_are_counted_in_the_header() -> None:
    made = edited(open_midi(_source(Chunk(PEDAL, 960), alien=1)).source, more=[[(0, LAST, b"\xff\x03\x01a")]])
    assert made[10:12] == b"\0\2"
    assert [events for events, _ in tracks_in(made)] == [list(PEDAL), [(0, b"\xff\x03\x01a")]]


def test_what_is_after_the_end_of_a_track_or_damaged_stays() -> None:
    after = Chunk(PEDAL, 960, tail=b"\x60\x90\x3c\x40\0\xff\x2f\0")
    broken = Chunk(PEDAL, 960, ended=False, tail=b"\0\xff\x01\x7fab")
    for chunk in (after, broken):
        data = _source(chunk)
        source = open_midi(data).source
        assert edited(source, added={0: [(0, FIRST, b"\xb5\1\1")]}).endswith(chunk.tail)
        assert edited(source) == data
