"""Sound files in, however they end, and channels to channels."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.music.audio import Audio, read_audio, to_channels, to_mono, to_stereo, write_audio

RATE = 8000
SOUND = (0.3 * np.sin(np.arange(80_000) * 0.1)).astype(np.float32)


def noise(channels: int) -> Audio:
    return np.random.default_rng(1).normal(0.0, 0.1, (channels, 4000)).astype(np.float32)


def power(audio: Audio) -> float:
    return float(np.square(audio, dtype=np.float64).sum())


def test_channels_that_cancel_each_other_are_heard_in_mono() -> None:
    left = noise(1)
    assert np.array_equal(to_mono(np.concatenate([left, -left])), left)
    assert power(to_mono(np.concatenate([0.5 * left, -left]))) >= 0.05 * power(left)
    assert np.array_equal(to_mono(np.concatenate([left, left])), left)
    independent = noise(2)
    assert np.array_equal(to_mono(independent), independent.mean(axis=0, keepdims=True))


def test_surround_sound_is_mixed_down_by_where_its_channels_are() -> None:
    surround = np.zeros((6, 10), np.float32)
    for place, sides in enumerate([(1, 0), (0, 1), (0.5**0.5, 0.5**0.5), (0, 0), (0.5**0.5, 0), (0, 0.5**0.5)]):
        surround[:] = 0.0
        surround[place] = 1.0
        got = to_stereo(surround)[:, 0]
        assert got * 2**0.5 == pytest.approx(sides, abs=1e-6), place


@pytest.mark.parametrize("channels", range(1, 12))
def test_mixing_down_keeps_the_power_of_independent_channels(channels: int) -> None:
    stereo = to_stereo(noise(channels))
    assert stereo.shape == (2, 4000)
    for side in stereo:
        assert power(side) == pytest.approx(power(noise(1)), rel=0.2)


def test_sound_for_more_channels_is_at_the_front() -> None:
    made = to_channels(noise(1), 6)
    assert np.array_equal(made[:2], np.repeat(noise(1), 2, axis=0))
    assert not made[2:].any()
    assert to_channels(noise(6), 6) is not None
    assert to_channels(noise(6), 1).shape == (1, 4000)


def test_the_last_seconds_are_read_without_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, *args: Any, **more: Any) -> Any:
        made = real(self, *args, **more)
        read.append(len(made))
        return made

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, SOUND[None], RATE)
        whole, _ = read_audio(tmp_path / name)
        read.clear()
        got, rate = read_audio(tmp_path / name, last_s=2.0, most_samples=2 * RATE)
        assert np.array_equal(got, whole[:, -2 * rate :])
        assert sum(read) == 2 * RATE
        with pytest.raises(OSError, match="too many"):
            read_audio(tmp_path / name, most_samples=2 * RATE)


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, SOUND[None], RATE)
        whole, _ = read_audio(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        got, _ = read_audio(tmp_path / name)
        assert 0.4 * len(SOUND) < got.shape[1] < 0.6 * len(SOUND)
        assert np.array_equal(got, whole[:, : got.shape[1]])
        end, _ = read_audio(tmp_path / name, last_s=1.0)
        assert np.array_equal(end, got[:, -RATE:])


def test_a_header_that_was_never_filled_in_hides_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "crashed.wav"
    soundfile.write(path, SOUND, RATE, subtype="FLOAT")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    for size in (bytes(4), b"\xff" * 4):
        data[4:8] = data[at + 4 : at + 8] = size
        path.write_bytes(data)
        assert np.array_equal(read_audio(path)[0][0], SOUND)
    flac = tmp_path / "streamed.flac"
    soundfile.write(flac, SOUND, RATE)
    data = bytearray(flac.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # FLAC: the number of samples is not known
    flac.write_bytes(data)
    got = read_audio(flac)[0]
    assert got.shape[1] == len(SOUND)


def test_a_file_that_cannot_be_sought_in_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.wav"
    soundfile.write(path, SOUND, RATE, subtype="GSM610")
    whole, _ = read_audio(path)
    assert abs(whole.shape[1] - len(SOUND)) < 400
    assert np.array_equal(read_audio(path, last_s=1.0)[0], whole[:, -RATE:])


def test_what_has_no_header_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(bytes(1000))
    (tmp_path / "empty.wav").write_bytes(b"")
    for name in ("a.raw", "empty.wav", "none.wav"):
        with pytest.raises(OSError, match=name):
            read_audio(tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes only there")
def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    for ending in ("wav", "flac"):
        path = tmp_path / os.fsdecode(b"caf\xe9." + ending.encode())
        write_audio(path, SOUND[None], RATE)
        assert read_audio(path)[0].shape == (1, len(SOUND))
