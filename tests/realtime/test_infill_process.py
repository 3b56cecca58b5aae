"""The real program fills a MIDI file while it plays, asked over OSC, and goes on playing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.music.midifile import read_midi, write_midi
from engine.music.score import Note, Score, Track
from tests.realtime.test_live_process import Live
from tests.tiny_getmusic import write_tiny_getmusic


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "bundles"))
    write_tiny_getmusic(tmp_path / "bundles" / "band", context=128)
    folder = tmp_path / "session"
    folder.mkdir()
    melody = tuple(Note(tick, 60 + tick // 480 % 5, 480) for tick in range(0, 8 * 1920, 480))
    (folder / "in.mid").write_bytes(write_midi(Score((Track(melody, 80),))))
    started = Live(folder)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        started.socket.close()
        if started.process.stdout is not None:
            started.process.stdout.close()


def test_a_file_is_filled_while_sound_goes_on(live: Live, tmp_path: Path) -> None:
    live.wait(state="playing")
    live.ask("/reply/to", live.socket.getsockname()[1])
    live.ask("/getmusic/infill", "in.mid", "bass,drum", "3-6", 1, 7)
    applied = live.answer("/applied")
    assert applied[0] == "/getmusic/infill"
    number = applied[1]
    progress = [live.answer("/event/infill_progress") for _ in range(3)]
    assert {row[0] for row in progress} == {number}
    assert [row[1] for row in progress] == sorted(row[1] for row in progress)
    _, variation, path, count = live.answer("/event/infill_done")
    notes = [live.answer("/event/filled_note") for _ in range(int(str(count)))]
    assert variation == 1
    made = read_midi(str(path))
    assert Path(str(path)).parent == (tmp_path / "session").resolve()
    new = sorted((note.start, note.pitch, note.length) for track in made.tracks[1:] for note in track.notes)
    assert sorted(tuple(row[3:6]) for row in notes) == new
    assert {row[2] for row in notes} <= {"bass", "drum"}
    assert live.status()["state"] == "playing"


def test_what_cannot_be_filled_is_answered(live: Live) -> None:
    live.wait(state="playing")
    live.ask("/getmusic/infill", "other.mid", "bass")
    refused = live.answer("/error")
    assert refused[0] == "/getmusic/infill"
    assert "session folder" in str(refused[2])
    live.ask("/getmusic/infill", "in.mid")
    assert "targets" in str(live.answer("/error")[2])
    live.ask("/getmusic/cancel")
    assert "no fill is under way" in str(live.answer("/error")[2])
