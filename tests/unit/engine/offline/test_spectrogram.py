"""Pictures of sound: what sounds is bright where it sounds, and bars and chords stand where they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.conductor import Conductor
from engine.errors import RecordError, ShapeError
from engine.music.harmony import parse_progression
from engine.offline.spectrogram import Picture, draw, mel_levels, save_picture

RATE = 16000
LOOK = Picture(width=200, spectrum=80, level=20, margin=30)


def sine(hertz: float, seconds: float, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None]


def test_a_full_scale_sine_is_about_zero_db_in_its_own_band() -> None:
    levels = mel_levels(sine(1000.0, 1.0, 1.0), RATE, 10, 200)
    assert levels.shape == (200, 10)
    middle = levels[:, 5]
    mel = 2595 * np.log10(1 + np.array([30.0, 1000.0, 8000.0]) / 700)
    assert abs(int(middle.argmax()) - 201 * (mel[1] - mel[0]) / (mel[2] - mel[0])) < 2
    assert -8.0 < middle.max() < 0.0


def test_what_sounds_later_is_bright_later() -> None:
    sound = np.concatenate([np.zeros((1, RATE), np.float32), sine(1000.0, 1.0)], axis=1)
    pixels = np.asarray(draw(sound, RATE, None, LOOK)).astype(int).sum(axis=2)
    spectrum = pixels[30:110, 30:230]
    assert spectrum[:, 120:].max() > 500
    assert spectrum[:, :90].max() < 100
    level = pixels[112:130, 30:230]
    assert level[:, 120:].mean() > 3 * level[:, :90].mean()


def test_bars_are_lines_where_the_conductor_has_them() -> None:
    conductor = Conductor(44100)  # another rate than the sound's
    conductor.set_tempo(120.0, 0.0)
    silence = np.zeros((2, 4 * RATE), np.float32)
    with_bars = np.asarray(draw(silence, RATE, conductor, LOOK)).astype(int)
    without = np.asarray(draw(silence, RATE, None, LOOK)).astype(int)
    rows = slice(30, 129)
    lines = np.flatnonzero((with_bars != without)[rows].any(axis=2).all(axis=0))
    assert lines.tolist() == [30, 130]


def test_chord_names_are_written_where_they_begin() -> None:
    conductor = Conductor(RATE)
    silence = np.zeros((1, 8 * RATE), np.float32)
    plain = np.asarray(draw(silence, RATE, conductor, LOOK)).astype(int)
    conductor.set_progression(parse_progression("Am Am F G"), 0)
    named = np.asarray(draw(silence, RATE, conductor, LOOK)).astype(int)
    columns = np.flatnonzero((plain != named).any(axis=(0, 2)))
    starts = columns[np.insert(np.diff(columns) > 20, 0, True)]
    assert np.allclose(starts, [33, 133, 183], atol=4)  # bars 0, 2 and 3; the second Am is not named again


def test_a_picture_is_a_png_of_the_size_asked_for(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", sine(440.0, 0.01), RATE, None, LOOK)
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert image.size == (260, 160)


def test_no_sound_and_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="needs sound"):
        draw(np.zeros((2, 0), np.float32), RATE)
    with pytest.raises(RecordError, match="cannot be written"):
        save_picture(tmp_path / "none" / "a.png", sine(440.0, 0.1), RATE)
