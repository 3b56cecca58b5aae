"""MIDI files: what they hold comes back, and what is broken gives what can be read or one sentence."""

import io
import time
from pathlib import Path

import mido
import pytest

from engine.music.midiedit import edited
from engine.music.midifile import open_midi, read_midi, write_midi
from engine.music.score import Meter, Note, Score, ScoreError, TempoChange, Track

BAND = Score(
    (
        Track((Note(0, 60, 480, 100), Note(480, 64, 0, 1), Note(480, 67, 5000, 127)), 80, False, "lead"),
        Track((Note(0, 36, 120), Note(240, 42, 0)), 0, True, "drums"),
    ),
    (TempoChange(0, 93.0), TempoChange(960, 140.5)),
    (Meter(0, 4, 4), Meter(1920, 7, 8)),
)


def _bytes(file: mido.MidiFile) -> bytes:
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _chunk(body: bytes) -> bytes:
    return b"MTrk" + len(body).to_bytes(4, "big") + body


def _file(*chunks: bytes, division: int = 480) -> bytes:
    head = b"MThd\0\0\0\6\0\1" + len(chunks).to_bytes(2, "big") + division.to_bytes(2, "big")
    return head + b"".join(map(_chunk, chunks))


def test_a_score_comes_back_as_it_was_written() -> None:
    back = read_midi(write_midi(BAND))
    assert back.tracks == BAND.tracks
    assert back.meters == BAND.meters
    assert [(change.tick, round(change.bpm, 3)) for change in back.tempos] == [(0, 93.0), (960, 140.5)]


def test_another_reader_sees_the_same_notes() -> None:
    other = mido.MidiFile(file=io.BytesIO(write_midi(BAND)))
    struck = []
    for track in other.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on":
                struck.append((tick, message.note, message.velocity, message.channel == 9))
    notes = [(note.start, note.pitch, note.velocity, track.drums) for track in BAND.tracks for note in track.notes]
    assert sorted(struck) == sorted(notes)


def test_everything_besides_notes_stays_and_unchanged_notes_keep_their_ticks() -> None:
    track = mido.MidiTrack(
        [
            mido.MetaMessage("track_name", name="a"), mido.Message("control_change", control=7, value=99),
            mido.Message("program_change", program=48), mido.Message("note_on", note=60, velocity=33, time=7),
            mido.Message("pitchwheel", pitch=-300, time=3), mido.Message("sysex", data=[1, 2, 3], time=1),
            mido.Message("note_off", note=60, velocity=17, time=101), mido.MetaMessage("lyrics", text="la", time=5),
        ]
    )  # fmt: skip
    source = _bytes(mido.MidiFile(ticks_per_beat=1000, tracks=[track]))
    file = open_midi(source)
    back = mido.MidiFile(file=io.BytesIO(edited(file.source)))
    assert back.ticks_per_beat == 1000
    made = [message for message in back.tracks[0] if message.type not in ("set_tempo", "time_signature")]
    assert [str(message) for message in made[:-1]] == [str(message) for message in track[:8]]


def test_a_changed_program_on_one_channel_makes_two_tracks_where_the_chunk_has_no_name() -> None:
    body = b"\0\xc0\x05\0\x90\x3c\x40\x60\x80\x3c\0\0\xc0\x30\0\x90\x40\x40\x60\x80\x40\0\0\xff\x2f\0"
    file = open_midi(_file(body))
    assert [(track.program, len(track.notes)) for track in file.score.tracks] == [(5, 1), (48, 1)]


def test_a_named_chunk_of_one_channel_is_one_track_whatever_its_programs() -> None:
    body = b"\0\xff\3\4Bass\0\xc0\x2b\0\x90\x28\x40\x60\x80\x28\0\0\xc0\x2d\0\x90\x28\x40\x60\x80\x28\0\0\xff\x2f\0"
    file = open_midi(_file(body))
    assert [(track.program, len(track.notes)) for track in file.score.tracks] == [(43, 2)]
    assert file.homes[0].programs == {43, 45}


def test_places_name_the_events_of_each_note_in_order() -> None:
    file = open_midi(write_midi(BAND))
    for track, home in zip(file.score.tracks, file.homes, strict=True):
        events = file.source.chunks[home.chunk].events
        for note, place in zip(track.notes, home.places, strict=True):
            strike, release = events[place.strike], events[place.release]
            assert strike == (note.start, bytes((0x90 | home.channel, note.pitch, note.velocity)))
            assert (release[0], release[1][1]) == (note.end, note.pitch)


def test_ports_are_kept_apart() -> None:
    lead = b"\0\xff\x21\1\0\0\xc0\x50\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    keys = b"\0\xff\x21\1\1\0\xc0\x05\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    vibes = b"\0\xff\x21\1\1\0\x99\x3c\x40\0\xc9\x0b\x60\x89\x3c\0\0\xff\x2f\0"
    drums = b"\0\xff\x21\1\1\0\xff\3\3Kit\0\x99\x24\x40\x60\x89\x24\0\0\xff\x2f\0"
    for rows in ((lead, keys, vibes), (keys, lead, vibes)):
        found = {(t.program, t.drums) for t in read_midi(_file(*rows)).tracks}
        assert found == {(80, False), (5, False), (11, False)}
    assert read_midi(_file(drums)).tracks[0].drums


@pytest.mark.parametrize("lie", [-1000, -7, -1, 1, 7, 30, 1 << 20])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_wrong_length_loses_no_track(lie: int, which: int) -> None:
    body = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    chunks = [_chunk(body)] * 3
    chunks[which] = b"MTrk" + max(0, len(body) + lie).to_bytes(4, "big") + body
    data = b"MThd\0\0\0\6\0\1\0\3\1\xe0" + b"".join(chunks)
    file = open_midi(data)
    assert [len(track.notes) for track in file.score.tracks] == [1, 1, 1]
    assert edited(file.source) == _file(body, body, body)


def test_a_broken_track_among_whole_ones_is_named_and_written_as_it_was() -> None:
    body = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    broken = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x01\x7fab"
    weeks = b"\0\x90\x3c\x40\x60\x80\x3c\0" + b"\xff\xff\xff\x7f\xb0\0\0" * 8
    for bad in (broken, weeks):
        data = _file(body, bad, body)
        file = open_midi(data)
        assert [len(track.notes) for track in file.score.tracks] == [1, 1, 1]
        assert len(file.source.remarks) == 1
        assert file.source.remarks[0].startswith("track 2 of 3: ")
        assert edited(file.source) == data


def test_tracks_that_the_header_names_and_the_file_has_not_are_said() -> None:
    body = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    data = bytearray(_file(body))
    data[11] = 3
    assert open_midi(bytes(data)).source.remarks == ("the header names 3 tracks, 1 can be read",)


def test_of_a_file_of_several_songs_one_is_chosen() -> None:
    body = b"\0\x90%b\x40\x60\x80%b\0\0\xff\x2f\0"
    data = bytearray(_file(body % (b"\x3c", b"\x3c"), body % (b"\x40", b"\x40")))
    data[9] = 2
    for song in (None, 0, 3):
        with pytest.raises(ScoreError, match=r"2 songs \(type 2\): choose one, such as --song 1"):
            open_midi(bytes(data), song)
    assert [open_midi(bytes(data), song).score.tracks[0].notes[0].pitch for song in (1, 2)] == [60, 64]
    assert edited(open_midi(bytes(data), 2).source) == bytes(data)


def test_bar_lines_are_exact_in_the_ticks_of_the_file() -> None:
    pickup = b"\x83\x11\xff\x58\4\3\2\x18\x08\0\xff\x2f\0"  # 3/4 from tick 401 of 1000 a quarter note
    file = open_midi(_file(pickup, division=1000))
    assert [file.tick_of(file.score.tick_of_bar(bar)) for bar in range(4)] == [0, 401, 3401, 6401]


def test_a_program_said_in_another_chunk_of_the_channel_holds() -> None:
    score = read_midi(_file(b"\0\xc3\x21\0\xff\x2f\0", b"\0\x93\x28\x40\x60\x83\x28\0\0\xff\x2f\0"))
    assert [track.program for track in score.tracks] == [33]


def test_repeated_strikes_end_one_by_one_and_held_keys_at_the_end() -> None:
    body = b"\0\x90\x3c\x40\x0a\x3c\x50\x0a\x3c\0\x0a\x3c\0\0\x40\x40\x0a\xff\x2f\0"
    assert read_midi(_file(body)).tracks[0].notes == (Note(0, 60, 20, 64), Note(10, 60, 20, 80), Note(30, 64, 10, 64))


def test_a_file_in_seconds_is_read_at_120_a_minute() -> None:
    body = b"\0\xff\x51\3\0\0\1\0\x90\x3c\x40\x87\x68\x80\x3c\0\0\xff\x2f\0"  # 1000 ticks of a millisecond
    score = read_midi(_file(body, division=0xE728))  # 25 frames of 40 ticks
    assert (score.tracks[0].notes[0].length, score.tempos[0].bpm) == (960, 120.0)


def test_29_frames_are_30000_in_1001_seconds() -> None:
    body = b"\x81\x91\x15\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"  # 18581 ticks: 15.5 s
    score = read_midi(_file(body, division=0xE328))
    assert score.seconds_at(score.tracks[0].notes[0].start) == pytest.approx(18581 * 1001 / 30_000 / 40, abs=6e-4)


@pytest.mark.parametrize(("micros", "bpm"), [(0, 120.0), (1, 60e6), (30_000, 2000.0), (0xFFFFFF, 60e6 / 0xFFFFFF)])
def test_tempos_are_read_as_they_are_and_none_of_no_length(micros: int, bpm: float) -> None:
    score = read_midi(_file(b"\0\xff\x51\3" + micros.to_bytes(3, "big") + b"\0\xff\x2f\0"))
    assert score.tempos[0].bpm == bpm
    assert read_midi(write_midi(Score((), (TempoChange(0, 1.0),)))).tempos[0].bpm == 60e6 / 0xFFFFFF


def test_meters_no_music_has_are_passed_over_and_repeats_on_a_bar_line_start_no_bar() -> None:
    def meters(*rows: tuple[int, int, int]) -> tuple[Meter, ...]:
        last, body = 0, b""
        for tick, *meter in rows:
            body += bytes(((tick - last) >> 7 | 128, (tick - last) & 127, 0xFF, 0x58, 4, *meter, 24, 8))
            last = tick
        return read_midi(_file(body)).meters

    assert meters((96, 0, 2), (192, 3, 9), (288, 99, 2), (1920, 4, 2), (3840, 3, 2)) == (
        Meter(0, 4, 4),
        Meter(3840, 3, 4),
    )
    assert meters((480, 4, 2)) == (Meter(0, 4, 4), Meter(480, 4, 4)), "a pick-up bar"
    assert meters((1900, 4, 2), (3900, 4, 2)) == (Meter(0, 4, 4),), "almost on the bar line"


def test_a_cut_file_gives_what_can_be_read() -> None:
    whole = write_midi(BAND)
    counts = [sum(len(t.notes) for t in read_midi(whole[:end]).tracks) for end in range(14, len(whole) + 1)]
    assert counts[0] == 0
    assert counts[-1] == 5
    assert set(counts) <= set(range(6))


@pytest.mark.parametrize("data", [b"", b"MThd", b"RIFF" * 50, b"\0" * 5000, b"MThd\0\0\0\6\0\1\0\1\0\0", b"ID3" * 9])
def test_what_is_no_midi_file_is_one_sentence(data: bytes) -> None:
    with pytest.raises(ScoreError, match=r"MIDI"):
        read_midi(data)


def test_no_tracks_and_two_hundred_tracks_are_read() -> None:
    assert read_midi(_file()).tracks == ()
    body = b"\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0"
    score = read_midi(_file(*[body] * 200))
    assert len(score.tracks) == 200
    assert len(read_midi(write_midi(score)).tracks) == 200


def test_a_flood_of_pitch_bends_is_kept_and_takes_little_time() -> None:
    body = b"\0\x90\x3c\x40" + b"\1\xe0\x11\x40" * 100_000 + b"\0\x80\x3c\0\0\xff\x2f\0"
    began = time.process_time()
    file = open_midi(_file(body))
    assert file.score.tracks[0].notes == (Note(0, 60, 100_000, 64),)
    assert len(file.source.chunks[0].events) == 100_002
    assert time.process_time() - began < 5.0


def test_files_larger_than_music_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.mid"
    with path.open("wb") as file:
        file.truncate(40 << 20)
    with pytest.raises(ScoreError, match="at most 16"):
        read_midi(path)
    with pytest.raises(ScoreError, match="of weeks"):
        read_midi(_file(b"\xff\xff\xff\x7f\xb0\0\0" * 8))


def test_reading_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "in.mid"
    path.write_bytes(write_midi(BAND))
    before = path.stat()
    read_midi(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (write_midi(BAND), before.st_mtime_ns)
