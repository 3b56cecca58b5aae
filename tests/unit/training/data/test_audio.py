"""Folders of sound: any format, mono, odd rates, broken and doubled files, and one clear error for none."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.music.audio import write_audio
from training.config import Data
from training.data.audio import Folder, find_audio, read_stereo
from training.data.corpus import DataError
from training.data.opening import open_corpus

RATE = 8000


def tone(channels: int, seconds: float, rate: int = RATE, hz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.repeat((0.5 * np.sin(2 * np.pi * hz * time))[None], channels, axis=0).astype(np.float32)


def test_files_are_found_below_and_in_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a/c.FLAC", ".hidden.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_audio(tmp_path)] == ["c.FLAC", "b.wav"]
    assert find_audio(tmp_path / "b.wav") == (tmp_path / "b.wav",)


def test_a_folder_without_sound_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_audio(tmp_path / "missing")
    with pytest.raises(DataError, match=r"no sound files in it or below; wanted .*\.wav"):
        find_audio(tmp_path)
    (tmp_path / "a.wav").write_bytes(b"not sound")
    with pytest.raises(DataError, match=r"none of 1 sound files can be read; the first: .*a\.wav"):
        Folder(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_channels_become_two(tmp_path: Path, channels: int) -> None:
    write_audio(tmp_path / "x.wav", tone(channels, 0.1), RATE)
    audio = read_stereo(tmp_path / "x.wav", RATE)
    assert audio.shape == (2, 800)
    assert np.array_equal(audio[0], audio[1])


def test_any_rate_becomes_the_asked_one(tmp_path: Path) -> None:
    write_audio(tmp_path / "x.flac", tone(2, 1.0, 11025), 11025)
    audio = read_stereo(tmp_path / "x.flac", RATE)
    assert audio.shape[1] == pytest.approx(RATE, abs=2)
    inner = slice(1000, 7000)
    assert np.abs(audio[:, inner] - tone(2, 1.0)[:, inner]).max() < 1e-3


def test_bad_empty_and_doubled_files_are_named_and_left_out(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    write_audio(music / "a.wav", tone(1, 0.5), RATE)
    (music / "copy.wav").write_bytes((music / "a.wav").read_bytes())
    write_audio(music / "b.wav", tone(2, 0.5, hz=300.0), RATE)
    write_audio(music / "empty.wav", np.zeros((2, 0), np.float32), RATE)
    (music / "broken.mp3").write_bytes(b"\x00" * 100)
    corpus = Folder(music, tmp_path / "cache")
    assert [entry.name for entry in corpus.entries] == ["a.wav", "b.wav"]
    assert [entry.duration_s for entry in corpus.entries] == [0.5, 0.5]
    told = "\n".join(corpus.problems)
    assert len(corpus.problems) == 3
    for name in ("broken.mp3: not readable", "copy.wav: the same file as", "empty.wav: holds no sound"):
        assert name in told


def test_index_saves_reading_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    music, cache = tmp_path / "music", tmp_path / "cache"
    music.mkdir()
    write_audio(music / "a.wav", tone(1, 0.5), RATE)
    first = Folder(music, cache).entries

    def reads(_path: Path) -> str:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr("training.data.audio.sha256_of", reads)
        assert Folder(music, cache).entries == first
    write_audio(music / "a.wav", tone(1, 0.6), RATE)
    assert Folder(music, cache).entries[0].checksum != first[0].checksum
    (cache / "index.json").write_text("{broken")
    assert Folder(music, cache).entries[0].duration_s == pytest.approx(0.6)
    assert json.loads((cache / "index.json").read_text())


def test_rhythm_of_a_recording_is_heard(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = np.zeros((1, 8 * 22050), np.float32)
    for beat in range(16):
        sound[0, beat * 11025 : beat * 11025 + 800] = rng.uniform(-0.5, 0.5, 800)
    write_audio(tmp_path / "x.wav", sound, 22050)
    corpus = open_corpus(Data(folder=str(tmp_path), cache=str(tmp_path / "cache")))
    tempo, onsets = corpus.rhythm(corpus.entries[0])
    assert tempo == pytest.approx(120.0, rel=0.01)
    assert np.abs(onsets[:16] - np.arange(16) / 2).max() < 0.02
