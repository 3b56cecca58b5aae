"""Sound files are whole at any moment, equal for equal sound, and replaced only by whole ones."""

import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from engine.errors import RecordError, ShapeError
from engine.music.audio import read_audio, write_audio
from engine.music.soundwriter import SOUND_ENDINGS, FlacFile, WavFile, replacing_sound, sound_file


def noise(samples: int, seed: int = 0, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (channels, samples)).astype(np.float32)


def read(path: Path) -> np.ndarray:
    sound, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    return sound.T


def test_a_growing_file_is_readable_up_to_its_last_sync(tmp_path: Path) -> None:
    file, sound = WavFile(tmp_path / "x.wav", 48000), noise(3000)
    file.write(sound[:, :1000])
    file.sync()
    file.write(sound[:, 1000:])
    assert np.array_equal(read(tmp_path / "x.wav"), sound[:, :1000])
    file.close()
    assert np.array_equal(read(tmp_path / "x.wav"), sound)
    assert soundfile.info(str(tmp_path / "x.wav")).subtype == "FLOAT"


def test_more_than_four_gigabytes_is_said_in_long_sizes(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "x.wav", 48000)
    file.samples = 600_000_000
    head = file._header()
    assert head[:4] == b"RF64"
    assert head[12:16] == b"ds64"
    assert struct.unpack("<QQQ", head[20:44]) == (4_800_000_086, 4_800_000_000, 600_000_000)
    assert len(head) == 94
    file.samples = 0
    file.close()


class FullDisk(io.BytesIO):
    """Takes so many bytes and then refuses, like a disk without room."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: object) -> int:
        if self.tell() + len(bytes(data)) > self.room:  # type: ignore[call-overload]
            raise OSError(28, "No space left on device")
        return super().write(data)  # type: ignore[arg-type]


def test_a_full_disk_keeps_what_was_written() -> None:
    disk = FullDisk(94 + 8 * 1500)

    def opener(path: Path) -> BinaryIO:
        return disk

    file = WavFile(Path("full.wav"), 48000, opener=opener)
    file.write(noise(1000))
    with pytest.raises(RecordError, match="No space left"):
        file.write(noise(1000))
    file.sync()
    sound, _ = soundfile.read(io.BytesIO(disk.getvalue()), dtype="float32", always_2d=True)
    assert np.array_equal(sound.T, noise(1000))


class Full(io.BytesIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_from_the_start_is_left_without_an_empty_file(tmp_path: Path) -> None:
    def opener(path: Path) -> io.BytesIO:
        path.touch()
        return Full()

    with pytest.raises(RecordError, match="No space left"):
        WavFile(tmp_path / "x.wav", 48000, opener=opener)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", SOUND_ENDINGS)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_is_written_piece_by_piece_is_read_again(tmp_path: Path, ending: str, channels: int) -> None:
    path, sound = tmp_path / f"x{ending}", noise(3001, channels=channels)
    with sound_file(path, 44100, channels) as file:
        for begin in range(0, 3001, 1000):
            file.write(sound[:, begin : begin + 1000])
    assert (file.samples, file.channels) == (3001, channels)
    info = soundfile.info(str(path))
    assert (info.samplerate, info.channels, info.frames) == (44100, channels, 3001)
    assert info.subtype == {".wav": "FLOAT", ".flac": "PCM_24"}[ending]
    assert np.abs(read(path) - sound).max() <= (0.0 if ending == ".wav" else 2.0**-23)


@pytest.mark.parametrize("ending", SOUND_ENDINGS)
def test_equal_sound_makes_equal_files(tmp_path: Path, ending: str) -> None:
    for name in ("a", "b"):
        write_audio(tmp_path / f"{name}{ending}", noise(500), 48000)
    assert (tmp_path / f"a{ending}").read_bytes() == (tmp_path / f"b{ending}").read_bytes()


def test_a_stereo_header_is_as_it_always_was(tmp_path: Path) -> None:
    """Recordings and keeps that were made before and now are the same files for the same sound."""
    write_audio(tmp_path / "x.wav", np.zeros((2, 1), np.float32), 48000)
    head = b"RIFF\x5e\0\0\0WAVEJUNK\x1c\0\0\0" + struct.pack("<QQQI", 94, 8, 1, 0)
    head += b"fmt \x12\0\0\0\x03\0\x02\0" + struct.pack("<IIHHH", 48000, 384000, 8, 32, 0)
    assert (tmp_path / "x.wav").read_bytes() == head + b"fact\x04\0\0\0\x01\0\0\0data\x08\0\0\0" + bytes(8)


@pytest.mark.parametrize("ending", SOUND_ENDINGS)
def test_a_file_is_replaced_once_the_new_one_is_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    write_audio(path, noise(100), 48000)

    def fail() -> None:
        with replacing_sound(path, 48000) as file:
            file.write(noise(50, 1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with replacing_sound(path, 48000) as file:
        file.write(noise(70, 2))
        assert read(path).shape == (2, 100)
    assert read(path).shape == (2, 70)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", SOUND_ENDINGS)
def test_a_failure_names_the_file_that_was_asked_for(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "missing" / f"x{ending}"
    with pytest.raises(RecordError, match=rf"missing.x\{ending}: .*make room or choose another folder"):
        replacing_sound(path, 48000).__enter__()
    with pytest.raises(OSError, match="choose another folder"):
        write_audio(path, noise(3), 48000)


def test_another_ending_and_another_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"x\.mp3: sound is written as \.wav or \.flac; rename the file"):
        sound_file(tmp_path / "x.mp3", 48000)
    with WavFile(tmp_path / "x.wav", 48000) as wav, FlacFile(tmp_path / "x.flac", 48000) as flac:
        for file in (wav, flac):
            for wrong in (noise(3, channels=1), noise(3)[0]):
                with pytest.raises(ShapeError, match=r"wanted \[2, N\]"):
                    file.write(wrong)
    with pytest.raises(OSError, match="rename the file"):
        write_audio(tmp_path / "x.ogg", noise(3), 48000)
    assert read_audio(tmp_path / "x.wav")[0].shape == (2, 0)
