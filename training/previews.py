"""Sounds and pictures of a run on its way, written with nothing but the standard library and numpy."""

import struct
import zlib
from pathlib import Path

import numpy as np

from engine.music.arrays import U8
from engine.music.audio import Audio, write_audio
from engine.music.spectrum import mel_matrix, stft
from training.task import Preview

__all__ = ["spectrogram_image", "write_png", "write_preview"]


# Black, violet, orange, pale yellow: dark is soft, and steps look equally large.
_COLOURS = np.array([[0, 0, 4], [60, 15, 110], [150, 40, 105], [225, 90, 50], [250, 175, 40], [252, 255, 165]], float)


def spectrogram_image(audio: Audio, sample_rate: int, bands: int = 128, width: int = 1200) -> U8:
    """Log-mel spectrogram of [C, N] as a picture, low notes at the bottom.

    Returns:
        uint8 [bands, up to `width`, 3]; 80 dB from dark to bright below the loudest moment.
    """
    mono = audio.mean(axis=0, keepdims=True)
    if mono.shape[1] < 2048:
        mono = np.pad(mono, ((0, 0), (0, 2048 - mono.shape[1])))
    hop = max(512, mono.shape[1] // width)
    power = np.abs(stft(mono, 2048, hop)[0]) ** 2
    decibels = 10.0 * np.log10(mel_matrix(sample_rate, 2048, bands) @ power + 1e-7)
    level = np.clip((decibels - decibels.max()) / 80.0 + 1.0, 0.0, 1.0)[::-1, :width]
    steps = np.linspace(0.0, 1.0, len(_COLOURS))
    return np.stack([np.interp(level, steps, colour) for colour in _COLOURS.T], axis=-1).astype(np.uint8)


def write_png(path: Path, pixels: U8) -> None:
    """Write [H, W, 3] as an uncommented 8-bit RGB PNG."""
    height, width, _ = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    # Every row begins with its filter type, 0: as it is.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, 3 * width)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def write_preview(folder: Path, preview: Preview) -> list[Path]:
    """Write every sound as NAME.wav with its picture NAME.png, and all else, into `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, audio in preview.sounds.items():
        sound = np.clip(np.nan_to_num(audio), -1.0, 1.0).astype(np.float32)
        write_audio(folder / f"{name}.wav", sound, preview.sample_rate)
        write_png(folder / f"{name}.png", spectrogram_image(audio, preview.sample_rate))
        written += [folder / f"{name}.wav", folder / f"{name}.png"]
    for name, pixels in preview.pictures.items():
        write_png(folder / f"{name}.png", pixels)
        written.append(folder / f"{name}.png")
    for name, data in preview.files.items():
        (folder / name).write_bytes(data)
        written.append(folder / name)
    return written
