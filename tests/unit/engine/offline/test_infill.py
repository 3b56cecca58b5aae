"""``ripieno infill``: only what was asked for is new, the file that was read is untouched, errors are a line."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.cli.infill import infill_main
from engine.music.midifile import read_midi, write_midi
from engine.music.score import Meter, Note, Score, TempoChange, Track
from engine.offline.infill import infill, targets_of, written_bars
from engine.protocols.streamer import work
from ripieno import VERBS
from tests.midi_kinds import Chunk, Kind, tracks_in
from tests.tiny_getmusic import write_tiny_getmusic

BAR = 1920
BARS = 12


def band(beats: int = 4, bars: int = BARS) -> Score:
    """Melody, bass, drums and a track of which nothing is asked, none of them quite on the grid."""
    meter = Meter(0, beats, 4)
    rng = np.random.default_rng(3)
    end = bars * meter.bar_ticks
    melody = tuple(Note(tick + 7, 60 + int(rng.integers(12)), 230, 101) for tick in range(0, end, 240))
    bass = tuple(Note(tick, 36 + int(rng.integers(5)), 470, 77) for tick in range(0, end, 480))
    drums = tuple(Note(tick, 36 if tick % 960 == 0 else 42, 0, 90) for tick in range(0, end, 240))
    strings = tuple(Note(tick, 64, BAR, 50) for tick in range(0, end, BAR))
    tracks = (Track(melody, 80), Track(bass, 33), Track(drums, 0, True), Track(strings, 48))
    return Score(tracks, (TempoChange(0, 97.0), TempoChange(5000, 140.0)), (meter,))


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a song and, by name, a bundle of notes."""
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "bundles"))
    write_tiny_getmusic(tmp_path / "bundles" / "band", context=128)
    (tmp_path / "in.mid").write_bytes(write_midi(band()))
    return tmp_path


def _beats(count: int) -> tuple[tuple[int, bytes], ...]:
    """Events of one note a beat."""
    key = ((0, b"\x90\x3c\x50"), (460, b"\x80\x3c\x40"))
    return tuple((beat * 480 + at, data) for beat in range(count) for at, data in key)


def run(room: Path, *arguments: str, out: str = "out.mid", source: str = "in.mid") -> int:
    return infill_main([str(room / source), str(room / out), "--threads", "1", "--steps", "3", *arguments])


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_verb_is_there() -> None:
    assert VERBS["infill"][:2] == ("engine.cli.infill", "infill_main")


@pytest.mark.parametrize("context", [64, 128])
def test_only_what_was_asked_for_is_new(room: Path, context: int) -> None:
    write_tiny_getmusic(room / "bundles" / "band", context=context)
    before = sha(room / "in.mid")
    assert run(room, "--targets", "bass,drum", "--bars", "5-8") == 0
    assert sha(room / "in.mid") == before
    was, made = read_midi(room / "in.mid"), read_midi(room / "out.mid")
    assert made.tempos == was.tempos
    assert made.meters == was.meters
    assert len(made.tracks) == len(was.tracks)
    for index, (old, new) in enumerate(zip(was.tracks, made.tracks, strict=True)):
        assert (new.program, new.drums) == (old.program, old.drums)
        if index in (0, 3):
            assert new.notes == old.notes
            continue
        inside = [n for n in new.notes if 4 * BAR <= n.start < 8 * BAR]
        outside = [n for n in new.notes if n not in inside]
        assert outside == [n for n in old.notes if not 4 * BAR <= n.start < 8 * BAR]
        assert inside != [n for n in old.notes if 4 * BAR <= n.start < 8 * BAR]
        assert all(n.end <= 8 * BAR for n in inside)


def test_new_tracks_get_a_track_of_their_own(room: Path) -> None:
    assert run(room, "--targets", "piano,guitar", "--bars", "2-3", "--density", "piano=0.5,guitar=0.5") == 0
    was, made = read_midi(room / "in.mid"), read_midi(room / "out.mid")
    assert made.tracks[: len(was.tracks)] == was.tracks
    assert [(track.name, track.program) for track in made.tracks[len(was.tracks) :]] == [("piano", 0), ("guitar", 25)]
    assert all(BAR <= note.start < 3 * BAR for track in made.tracks[len(was.tracks) :] for note in track.notes)


def test_variations_are_files_of_their_own_and_the_same_each_time(room: Path) -> None:
    for out in ("a.mid", "b.mid"):
        assert run(room, "--targets", "bass", "--bars", "5-6", "--variations", "3", "--seed", "4", out=out) == 0
    made = [(room / f"a-{n}.mid").read_bytes() for n in (1, 2, 3)]
    assert len(set(made)) == 3
    assert made == [(room / f"b-{n}.mid").read_bytes() for n in (1, 2, 3)]
    assert not (room / "a.mid").exists()
    assert sorted(path.name for path in room.glob(".*")) == []


def test_a_picture_shows_every_variation(room: Path) -> None:
    heights = []
    for count in ("1", "2"):
        picture = room / f"{count}.png"
        asked = ("--targets", "bass", "--bars", "5-6", "--variations", count, "--picture", str(picture))
        assert run(room, *asked) == 0
        with Image.open(picture) as image:
            heights.append(image.height)
    assert heights[1] > heights[0] + 50


def test_a_piece_can_go_on_beyond_its_end(room: Path) -> None:
    asked = ("--targets", "bass,lead", "--bars", f"{BARS + 1}-{BARS + 2}", "--density", "bass=0.4")
    assert run(room, *asked) == 0
    was, made = read_midi(room / "in.mid"), read_midi(room / "out.mid")
    more = [note for note in made.tracks[1].notes if note not in was.tracks[1].notes]
    assert more
    assert all(BARS * BAR <= note.start < (BARS + 2) * BAR for note in more)


def test_bars_of_three_beats_are_filled_bar_by_bar(room: Path) -> None:
    (room / "waltz.mid").write_bytes(write_midi(band(beats=3)))
    assert run(room, "--targets", "bass", "--bars", "5-6", "--density", "bass=1", source="waltz.mid") == 0
    made = read_midi(room / "out.mid").tracks[1].notes
    starts = {note.start for note in made if 4 * 1440 <= note.start < 6 * 1440}
    assert starts == set(range(4 * 1440, 6 * 1440, 120))


def test_ranges_and_chords_are_kept_to(room: Path) -> None:
    asked = ("--targets", "bass", "--chords", "F#m C#", "--chord-tones", "bass", "--range", "bass=40-52")
    assert run(room, *asked, "--density", "bass=0.6") == 0
    notes = read_midi(room / "out.mid").tracks[1].notes
    assert len(notes) > BARS * 4
    for note in notes:
        assert 40 <= note.pitch <= 52
        assert note.pitch % 12 in ({6, 9, 1} if note.start // BAR % 2 == 0 else {1, 5, 8})


def test_no_key_is_struck_while_it_is_held(room: Path) -> None:
    assert run(room, "--targets", "bass,lead", "--bars", "3-10", "--density", "bass=1,lead=1") == 0
    for track in read_midi(room / "out.mid").tracks[:2]:
        ends: dict[int, int] = {}
        for note in track.notes:
            assert note.start >= ends.get(note.pitch, 0)
            ends[note.pitch] = note.end


def test_a_key_held_from_before_is_not_struck_until_it_is_released(room: Path) -> None:
    """Every pitch that the new part may use is held over the first two bars that are made."""
    score, release = band(), 4 * BAR + 240
    held = tuple(Note(BAR + 960, pitch, release - BAR - 960, 70) for pitch in range(36, 48))
    bass = replace(score.tracks[1], notes=tuple(sorted((*(n for n in score.tracks[1].notes if n.start < BAR), *held))))
    tracks = (score.tracks[0], bass, *score.tracks[2:])
    (room / "held.mid").write_bytes(write_midi(replace(score, tracks=tracks)))
    asked = ("--targets", "bass", "--bars", "3-10", "--density", "bass=1", "--range", "bass=36-47")
    assert run(room, *asked, source="held.mid") == 0
    made = [note for note in read_midi(room / "out.mid").tracks[1].notes if note.start >= 2 * BAR]
    assert len(made) > 16
    assert min(note.start for note in made) >= release


def test_new_notes_end_where_kept_ones_begin_after_the_bars_that_are_made(room: Path) -> None:
    assert run(room, "--targets", "bass", "--bars", "3-10", "--density", "bass=1") == 0
    made = [note for note in read_midi(room / "out.mid").tracks[1].notes if 2 * BAR <= note.start < 10 * BAR]
    assert max(note.end for note in made) <= 10 * BAR


def test_new_notes_are_as_loud_as_those_they_replace(room: Path) -> None:
    assert run(room, "--targets", "bass", "--bars", "5-8") == 0
    assert {note.velocity for note in read_midi(room / "out.mid").tracks[1].notes} == {77}


def test_the_former_name_of_option_works_and_says_the_new_one(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(room, "--targets", "bass", "--wish", "bass.colour=red") == 1
    said = capsys.readouterr().err
    assert "--wish is now called --option" in said
    assert "an option is NAME=VALUE" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--targets", "flute"), "one or more of lead, bass"),
        (("--targets", "bass", "--bars", "9-3"), "bars are such as 9-16"),
        (("--targets", "bass", "--bars", "99"), "begin at 13 at the latest"),
        (("--targets", "bass", "--bars", "1-9999"), "at most 4096"),
        (("--targets", "lead,bass,drum,string,guitar,piano"), "nothing is left"),
        (("--targets", "lead,bass,string"), "only drums are left"),
        (("--targets", "bass", "--bundle", "nobody"), "no bundle 'nobody'"),
        (("--targets", "bass", "--bundle", "tone"), "does not work with 'ripieno infill'"),
        (("--targets", "bass", "--chords", "H&"), "H&"),
        (("--targets", "bass", "--density", "bass=2"), "0..1"),
        (("--targets", "bass", "--density", "bass"), "bass.density takes 0..1"),
        (("--targets", "bass", "--option", "bass.colour=red"), "an option is NAME=VALUE"),
        (("--targets", "bass", "--range", "bass=60-40"), "pitches 0..127"),
        (("--targets", "bass", "--steps", "0"), "steps takes 1..1000"),
        (("--targets", "bass", "--plan", "official", "--temperature", "0.5"), "official plan"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_line(
    room: Path, arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(room, *arguments) == 1
    told = capsys.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1
    assert not list(room.glob("out*"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file: "), (b"", "MIDI"), (b"RIFF....", "MIDI"), (write_midi(Score(())), "no notes")],
)
def test_files_that_are_no_music_are_refused_in_a_line(
    room: Path, content: bytes | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (room / "bad.mid").write_bytes(content)
    assert run(room, "--targets", "bass", source="bad.mid") == 1
    told = capsys.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1


def test_without_a_bundle_the_remedy_is_told(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.bundles.bundle.bundles", list)
    assert run(room, "--targets", "bass") == 1
    assert FOLDERS_VARIABLE in capsys.readouterr().err


def test_the_file_that_is_read_is_never_written(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sha(room / "in.mid")
    assert run(room, "--targets", "bass", out="in.mid") == 1
    assert "stays as it is" in capsys.readouterr().err
    assert sha(room / "in.mid") == before


def test_a_file_of_ten_hours_is_filled_where_it_was_asked(room: Path) -> None:
    long = 18_000 * BAR
    tracks = (Track(tuple(Note(t, 60 + t // BAR % 12, 480) for t in range(0, long, BAR)), 80),)
    (room / "long.mid").write_bytes(write_midi(Score(tracks)))
    assert run(room, "--targets", "bass", source="long.mid") == 1
    assert run(room, "--targets", "bass", "--bars", "17000-17001", "--density", "bass=0.5", source="long.mid") == 0
    made = read_midi(room / "out.mid").tracks[1].notes
    assert all(16_999 * BAR <= note.start < 17_001 * BAR for note in made)


def test_an_interrupt_leaves_nothing_behind(
    room: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.models.getmusic.board.Sight.decide", interrupted)
    assert run(room, "--targets", "bass") == 130
    assert "interrupted" in capsys.readouterr().err
    assert sorted(path.name for path in room.iterdir()) == ["bundles", "in.mid"]


def test_without_bars_those_with_music_are_made_and_it_is_said(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = band(bars=4)
    moved = tuple(
        replace(track, notes=tuple(replace(note, start=note.start + 40 * BAR) for note in track.notes))
        for track in score.tracks
    )
    (room / "late.mid").write_bytes(write_midi(replace(score, tracks=moved)))
    assert run(room, "--targets", "piano", "--density", "piano=0.5", source="late.mid") == 0
    assert "bars 41-44 are made: the other bars are silent; --bars 1-44 asks for all" in capsys.readouterr().err
    made = read_midi(room / "out.mid").tracks[-1].notes
    assert min(note.start for note in made) >= 40 * BAR


def test_all_bars_reach_to_the_end_of_the_last_track(room: Path) -> None:
    conductor = Chunk((), 8 * BAR)
    lead = Chunk(_beats(28), 7 * BAR)
    (room / "loop.mid").write_bytes(Kind(1, 480, (conductor, lead)).data())
    assert run(room, "--targets", "bass", "--density", "bass=1", "--chords", "C", source="loop.mid") == 0
    assert {note.start // BAR for note in read_midi(room / "out.mid").tracks[-1].notes} == set(range(8))


def test_new_notes_follow_the_swing_of_the_file(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swung = tuple(Note(tick + at, 60, 100) for tick in range(0, 8 * BAR, 480) for at in (0, 320))
    (room / "shuffle.mid").write_bytes(write_midi(Score((Track(swung, 80),))))
    assert run(room, "--targets", "piano", "--density", "piano=0.5", source="shuffle.mid") == 0
    assert "the eighths swing (67 %)" in capsys.readouterr().err
    made = read_midi(room / "out.mid").tracks[-1].notes
    assert {note.start % 480 for note in made} == {0, 320}


def test_parts_stay_within_their_instruments(room: Path) -> None:
    assert run(room, "--targets", "bass,drum", "--density", "bass=1,drum=1") == 0
    bass, drums = (track.notes for track in read_midi(room / "out.mid").tracks[1:3])
    assert all(28 <= note.pitch <= 60 for note in bass)
    assert all(35 <= note.pitch <= 81 for note in drums)
    assert len(bass) > BARS
    assert len(drums) > BARS


@pytest.mark.parametrize(("song", "says"), [(None, "2 songs (type 2): choose one"), ("3", "2 songs"), ("2", "")])
def test_one_song_of_several_is_filled(
    room: Path, song: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _beats(16)
    (room / "two.mid").write_bytes(Kind(2, 480, (Chunk(rows, 4 * BAR), Chunk(rows, 4 * BAR))).data())
    asked = ("--targets", "bass", "--density", "bass=1", *(() if song is None else ("--song", song)))
    assert run(room, *asked, source="two.mid") == (1 if says else 0)
    assert says in capsys.readouterr().err
    if not says:
        made = (room / "out.mid").read_bytes()
        first, second = tracks_in(made)
        assert made[8:12] == b"\0\2\0\2"
        assert first == (list(rows), 4 * BAR)
        assert len(second[0]) > len(rows)


def test_a_part_that_stays_empty_is_said_with_a_remedy(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(room, "--targets", "bass", "--bars", "2", "--density", "bass=0") == 0
    assert "no note of bass was made in bar 2: try another --seed, --density bass=0.3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ("bass,drum", ("bass", "drum")),
        (" Bass drum ", ("bass", "drum")),
        ("bass,bass", ("bass",)),
        ("Drums, strings", ("drum", "string")),
    ],
)
def test_targets_are_words(text: str, roles: tuple[str, ...]) -> None:
    assert targets_of(text) == roles


@pytest.mark.parametrize(("text", "bars"), [("", None), ("9-16", (9, 16)), ("7", (7, 7)), (" 1 - 2 ", (1, 2))])
def test_bars_count_from_one(text: str, bars: tuple[int, int] | None) -> None:
    assert written_bars(text) == bars


def test_the_job_is_the_verb(room: Path) -> None:
    from engine.cli.infill import _parser, _task

    task = _task(_parser().parse_args([str(room / "in.mid"), str(room / "x.mid"), "--targets", "bass", "--steps", "2"]))
    made = work(infill(task))
    assert made.paths == (str(room / "x.mid"),)
    assert made.passes == 4, "two for each of two windows"
    assert sum(map(len, made.notes[0].values())) > 0
    assert list(made.summary())
