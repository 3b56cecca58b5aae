"""Recordings that are whole at any moment."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio import record
from engine.audio.record import Recorder, free_name, write_later
from engine.errors import RecordError
from engine.music import soundwriter
from engine.music.soundwriter import WavFile


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (2, samples)).astype(np.float32)


def read(path: Path) -> np.ndarray:
    sound, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    return sound.T


def wait_for(recorder: Recorder) -> None:
    for _ in range(500):
        if recorder.done:
            return
        time.sleep(0.01)
    raise AssertionError("the recorder did not finish")


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_recording_holds_exactly_its_samples(tmp_path: Path, ending: str) -> None:
    sound = noise(10000)
    recorder = Recorder(tmp_path / f"x{ending}", 48000, first=1234)
    for at in range(0, 10000, 500):
        if at == 4000:
            recorder.last = 7777
        recorder.offer(at, sound[:, at : at + 500])
    wait_for(recorder)
    assert recorder.failed == ""
    assert recorder.samples == 7777 - 1234
    assert np.abs(read(tmp_path / f"x{ending}") - sound[:, 1234:7777]).max() <= (0 if ending == ".wav" else 2**-23)
    assert [file.name for file in tmp_path.iterdir()] == [f"x{ending}"], "nothing is left over"


def test_a_recording_asked_for_at_once_begins_with_the_next_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "x.wav", 48000, first=0)
    recorder.offer(5000, noise(100))
    recorder.finish()
    assert recorder.first == 5000
    assert recorder.samples == 100


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="choose another folder"):
        Recorder(tmp_path / "missing" / "x.wav", 48000, 0)
    failures: list[str] = []
    write_later(tmp_path / "missing" / "x.wav", noise(10), 48000, failures.append).join()
    assert "choose another folder" in failures[0]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    assert free_name(tmp_path, "x.wav").name == "x.wav"
    (tmp_path / "x.wav").touch()
    assert free_name(tmp_path, "x.wav").name == "x-2.wav"
    assert free_name(tmp_path, "").suffix == ".wav"


@pytest.mark.parametrize(
    "name",
    [
        "../x.wav", "/etc/x.wav", "a/b.wav", "x.mp3", "x", "a\\b.wav", ".wav", "a:b.wav", "a\nb.wav", "a\0b.wav",
        "nul.wav", "COM1.x.wav", "a?.wav", "\u65e5" * 110 + ".wav", "a" * 300 + ".wav",
    ],
)  # fmt: skip
def test_a_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match="without a folder"):
        free_name(tmp_path, name)


def test_a_recorder_on_a_full_disk_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = WavFile.write

    def short_of_room(self: WavFile, audio: np.ndarray) -> None:
        if self.samples >= 2000:
            raise RecordError("No space left on device")
        write(self, audio)

    monkeypatch.setattr(WavFile, "write", short_of_room)
    recorder = Recorder(tmp_path / "x.wav", 48000, first=0)
    for at in range(0, 5000, 1000):
        recorder.offer(at, noise(1000, seed=at))
    wait_for(recorder)
    recorder.offer(5000, noise(1000))  # and the music goes on
    assert "No space left" in recorder.failed
    assert "the first 0 s are kept in x.wav" in recorder.failed
    assert read(tmp_path / "x.wav").shape == (2, 2000), "what was written stays readable"


def test_a_session_that_closes_waits_for_a_long_recording_to_become_flac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour takes longer than any fixed wait."""
    monkeypatch.setattr(record, "_FINISH_S", 0.2)
    real = soundwriter.FlacFile.write

    def slow(self: soundwriter.FlacFile, audio: np.ndarray) -> None:
        time.sleep(0.05)
        real(self, audio)

    monkeypatch.setattr(soundwriter.FlacFile, "write", slow)
    recorder, sound = Recorder(tmp_path / "x.flac", 48000, first=0), noise(16 * 65536)
    recorder.offer(0, sound)
    recorder.finish()
    assert (recorder.done, recorder.failed) == (True, "")
    assert read(tmp_path / "x.flac").shape == sound.shape
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.flac"]


def test_a_disk_that_does_not_get_on_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_FINISH_S", 0.1)
    go_on, close = threading.Event(), WavFile.close
    monkeypatch.setattr(WavFile, "close", lambda self: (go_on.wait(10.0), close(self))[1])
    recorder = Recorder(tmp_path / "x.wav", 48000, first=0)
    recorder.finish()
    assert not recorder.done
    go_on.set()
    wait_for(recorder)
