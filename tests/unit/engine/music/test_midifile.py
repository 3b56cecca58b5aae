"""MIDI files: what they hold comes back, and what is broken gives what can be read or one sentence."""

import io
import time
from pathlib import Path

import mido
import pytest

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
    back = mido.MidiFile(file=io.BytesIO(write_midi(file.score, file)))
    assert back.ticks_per_beat == 1000
    made = [message for message in back.tracks[0] if message.type not in ("set_tempo", "time_signature")]
    assert [str(message) for message in made[:-1]] == [str(message) for message in track[:8]]


def test_new_tracks_get_channels_and_chunks_of_their_own() -> None:
    file = open_midi(write_midi(BAND))
    more = Score((*BAND.tracks, Track((Note(0, 40, 480),), 32, False, "bass")), BAND.tempos, BAND.meters)
    back = open_midi(write_midi(more, file))
    assert back.score.tracks == more.tracks
    assert len({home.channel for home in back.homes}) == 3


def test_a_changed_program_on_one_channel_makes_two_tracks_that_are_written_back() -> None:
    body = b"\0\xc0\x05\0\x90\x3c\x40\x60\x80\x3c\0\0\xc0\x30\0\x90\x40\x40\x60\x80\x40\0\0\xff\x2f\0"
    file = open_midi(_file(body))
    assert [(track.program, len(track.notes)) for track in file.score.tracks] == [(5, 1), (48, 1)]
    assert open_midi(write_midi(file.score, file)).score == file.score
    assert write_midi(file.score, file).count(b"\xc0\x05") == 1


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


@pytest.mark.parametrize(("micros", "bpm"), [(0, 1000.0), (1, 1000.0), (60_000, 1000.0), (0xFFFFFF, 60e6 / 0xFFFFFF)])
def test_tempos_no_music_has_are_brought_into_range(micros: int, bpm: float) -> None:
    score = read_midi(_file(b"\0\xff\x51\3" + micros.to_bytes(3, "big") + b"\0\xff\x2f\0"))
    assert score.tempos[0].bpm == bpm
    assert read_midi(write_midi(Score((), (TempoChange(0, 1.0),)))).tempos[0].bpm == 60e6 / 0xFFFFFF


def test_meters_no_music_has_are_passed_over_and_repeats_start_no_bar() -> None:
    body = b"".join(
        b"\x60\xff\x58\4" + bytes(meter) + b"\x18\x08" for meter in ((0, 2), (3, 9), (99, 2), (4, 2), (3, 2))
    )
    assert read_midi(_file(body)).meters == (Meter(0, 4, 4), Meter(480, 3, 4))


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
    assert len(file.others[0]) == 100_000
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
