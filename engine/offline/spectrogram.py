"""A picture of sound: spectrogram, level, bar lines and chord names, as a PNG (numpy and pillow)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.conductor import Conductor
from engine.errors import RecordError, ShapeError
from engine.music.arrays import F32
from engine.music.audio import Audio
from engine.music.spectrum import hann, mel_matrix
from engine.music.units import TICKS_PER_BEAT

__all__ = ["Picture", "draw", "mel_levels", "save_picture"]


_WINDOW: Final = 2048
_RANGE_DB: Final = 80.0  # from the loudest down to black
_LEVEL_DB: Final = 48.0  # of the level strip
_MAX_BEATS: Final = 4000  # lines closer than this would say nothing
_INK, _PAPER, _FAINT = (232, 232, 226), (14, 14, 18), (120, 120, 130)
_LEVEL = (94, 196, 182)

# Control points of the colours, dark to bright (own choice: black, indigo, magenta, orange, pale yellow).
_COLOURS: Final = np.array(
    [(6, 5, 14), (42, 20, 92), (128, 31, 124), (214, 70, 84), (250, 158, 66), (252, 246, 196)], np.float64
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """Sizes in pixels, and what to write above."""

    width: int = 1200
    spectrum: int = 360
    level: int = 60
    title: str = ""
    margin: int = 46


def mel_levels(audio: Audio, sample_rate: int, columns: int, bands: int) -> F32:
    """[bands, columns] levels in dB, lowest band first: one 2048-sample spectrum at the middle of each column.

    Args:
        audio: [C, N], the power of channels is averaged, so that none cancels another; N of at least 1.
    """
    samples = audio.shape[1]
    starts = np.minimum((np.arange(columns) + 0.5) * samples / columns, samples - 1).astype(np.int64)
    power = np.zeros((columns, _WINDOW // 2 + 1))
    for channel in audio:
        frames = np.pad(channel, _WINDOW // 2)[starts[:, None] + np.arange(_WINDOW)] * hann(_WINDOW)
        power += np.abs(np.fft.rfft(frames, axis=-1)) ** 2 / len(audio)
    mel = power @ mel_matrix(sample_rate, _WINDOW, bands).T
    # The bin of a full-scale sine holds (window / 4)^2: that is 0 dB, less where a band is the mean of many bins.
    return np.asarray(10.0 * np.log10(np.maximum(mel.T / (_WINDOW / 4) ** 2, 1e-12)), np.float32)


def draw(audio: Audio, sample_rate: int, conductor: Conductor | None = None, look: Picture | None = None) -> Any:
    """The picture as a pillow image.

    Args:
        audio: [C, N], N of at least 1.
        conductor: whose beats, bars and chords are drawn; its sample 0 is the audio's (rates may differ).
        look: sizes and title.
    Raises:
        ShapeError: no sound to draw.
    """
    look = look or Picture()
    if audio.ndim != 2 or not audio.size:
        raise ShapeError(f"a picture needs sound [C, N], got shape {audio.shape}")
    image = Image.new("RGB", (look.width + 2 * look.margin, look.spectrum + look.level + 2 * look.margin), _PAPER)
    image.paste(_spectrogram(audio, sample_rate, look), (look.margin, look.margin))
    pen = ImageDraw.Draw(image)
    pen.text((look.margin, 8), look.title, _INK, font=_font(16))
    _draw_level(pen, audio, look)
    _draw_frequencies(pen, sample_rate, look)
    seconds = audio.shape[1] / sample_rate
    if conductor is None:
        _draw_seconds(pen, seconds, look)
    else:
        _draw_bars(pen, seconds, conductor, look)
    return image


def save_picture(
    path: str | Path, audio: Audio, sample_rate: int, conductor: Conductor | None = None, look: Picture | None = None
) -> None:
    """Draw into a PNG file; arguments as for `draw`.

    Raises:
        RecordError: the file cannot be written.
    """
    image = draw(audio, sample_rate, conductor, look)
    try:
        image.save(path, "PNG")
    except OSError as error:
        raise RecordError(f"{path}: the picture cannot be written ({error}); choose another folder") from None


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _spectrogram(audio: Audio, sample_rate: int, look: Picture) -> Any:
    levels = mel_levels(audio, sample_rate, look.width, look.spectrum)
    top = max(float(levels.max()), -60.0)
    share = np.clip((levels[::-1] - top) / _RANGE_DB + 1.0, 0.0, 1.0) * (len(_COLOURS) - 1)
    low = np.minimum(share.astype(np.int64), len(_COLOURS) - 2)
    part = (share - low)[..., None]
    return Image.fromarray((_COLOURS[low] * (1 - part) + _COLOURS[low + 1] * part).astype(np.uint8))


def _draw_level(pen: Any, audio: Audio, look: Picture) -> None:
    """Peak of each column, louder is higher."""
    top = look.margin + look.spectrum
    edges = np.linspace(0, audio.shape[1], look.width + 1).astype(np.int64)[:-1]
    peaks = np.maximum.reduceat(np.abs(audio).max(axis=0), np.minimum(edges, audio.shape[1] - 1))
    share = np.clip(20.0 * np.log10(np.maximum(peaks, 1e-6)) / _LEVEL_DB + 1.0, 0.0, 1.0)
    for column, height in enumerate((share * (look.level - 4)).astype(int)):
        if height > 0:
            x = look.margin + column
            pen.line([(x, top + look.level), (x, top + look.level - int(height))], _LEVEL)


def _draw_frequencies(pen: Any, sample_rate: int, look: Picture) -> None:
    """A few frequencies beside the bands that hold them."""
    centres = mel_matrix(sample_rate, _WINDOW, look.spectrum).argmax(axis=1) * sample_rate / _WINDOW
    for hertz in (100, 300, 1000, 3000, 10000):
        if hertz < sample_rate / 2:
            y = look.margin + look.spectrum - 1 - int(np.abs(centres - hertz).argmin())
            text = f"{hertz // 1000}k" if hertz >= 1000 else str(hertz)
            pen.text((look.margin - 6, y), text, _FAINT, font=_font(11), anchor="rm")


def _draw_seconds(pen: Any, seconds: float, look: Picture) -> None:
    """A mark at round seconds, about ten of them."""
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 36000) if seconds / s <= 12 or s == 36000)
    bottom = look.margin + look.spectrum + look.level
    for index in range(int(seconds / step) + 1):
        x = look.margin + look.width * index * step / seconds
        pen.line([(x, bottom), (x, bottom + 5)], _FAINT)
        pen.text((x, bottom + 8), f"{index * step:g} s", _FAINT, font=_font(11), anchor="ma")


def _draw_bars(pen: Any, seconds: float, conductor: Conductor, look: Picture) -> None:
    """Beats as short marks, bars as lines with their number, and each chord's name where it begins."""
    rate = conductor.sample_rate
    total, sample, lines = seconds * rate, -1.0, 0
    named = ""
    room = look.width / max(1.0, seconds * conductor.tempo_at(0.0) / 60.0)
    top, bottom = look.margin, look.margin + look.spectrum + look.level
    while lines < _MAX_BEATS:
        sample = conductor.next_line(sample, TICKS_PER_BEAT)
        if sample >= total:
            break
        lines += 1
        x = look.margin + look.width * sample / total
        tick = round(float(conductor.ticks_at(np.array([sample]))[0]))
        is_bar = tick % conductor.bar_ticks == 0
        if is_bar:
            pen.line([(x, top), (x, bottom)], _FAINT)
        else:
            pen.line([(x, bottom), (x, bottom + 4)], _FAINT)
        bar = tick // conductor.bar_ticks
        if is_bar and (room * conductor.beats_per_bar > 24 or bar % 8 == 0):
            pen.text((x, bottom + 6), str(bar), _FAINT, font=_font(11), anchor="ma")
        chord = conductor.chord_at(tick + 0.5, sample + 0.5)
        name = "" if chord is None else str(chord)
        if name != named and name:
            pen.text((x + 3, top - 16), name, _INK, font=_font(12))
        named = name
