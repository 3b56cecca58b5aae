"""Rendered pieces: length, timing, level, and that one hears what the conditions say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from engine.music.harmony import parse_progression
from training.data.compose import Piece, compose
from training.data.piece import GENRES, TICKS_PER_BAR, Genre, Hit
from training.data.synth import conditions, main, render, stems
from training.data.voices import STEMS, drum, tone

RATE = 22050
both_genres = pytest.mark.parametrize("genre", GENRES)


def chroma_of(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """[12] of a mono sound: amplitude near each equal-tempered pitch from 60 Hz to 1.5 kHz."""
    size = 1 << 17
    amplitude = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    hertz = np.fft.rfftfreq(size, 1.0 / RATE)
    inside = (hertz > 60.0) & (hertz < 1500.0)
    pitch = 69.0 + 12.0 * np.log2(hertz[inside] / 440.0)
    near = np.abs(pitch - np.round(pitch)) < 0.25
    classes = np.round(pitch[near]).astype(int) % 12
    return np.bincount(classes, amplitude[inside][near] ** 2, minlength=12) ** 0.5


def centroid_of(sound: npt.NDArray[np.float32]) -> float:
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float((power * np.fft.rfftfreq(len(sound), 1.0 / RATE)).sum() / power.sum())


@both_genres
def test_the_length_is_whole_bars_and_the_same_piece_sounds_the_same(genre: Genre) -> None:
    piece = compose(1, genre, bars=2, tempo_bpm=97.3)
    sound = render(piece, RATE)
    assert sound.shape == (2, round(2 * 240 / 97.3 * RATE))
    assert sound.dtype == np.float32
    assert np.array_equal(sound, render(compose(1, genre, bars=2, tempo_bpm=97.3), RATE))


@both_genres
def test_levels_are_safe_loud_and_without_offset(genre: Genre) -> None:
    for seed in range(6):
        sound = render(compose(seed, genre, bars=2), RATE)
        assert np.isfinite(sound).all()
        assert 0.5 < np.abs(sound).max() < 0.85
        assert np.abs(sound.mean(axis=1)).max() < 5e-3


@both_genres
def test_layers_add_up_to_the_render_where_it_is_quiet(genre: Genre) -> None:
    piece = compose(2, genre, bars=2)
    total = sum(stems(piece, RATE).values())
    sound = render(piece, RATE)
    quiet = np.abs(total) < 0.6
    assert quiet.mean() > 0.9
    assert np.allclose(sound[quiet], total[quiet], atol=1e-6)


@pytest.mark.parametrize("tempo_bpm", [90.0, 123.45, 150.0])
def test_onsets_lie_on_the_sample_of_their_tick(tempo_bpm: float) -> None:
    piece = compose(0, "techno", bars=2, tempo_bpm=tempo_bpm)
    for tick in (0, 480, 1234, 3000):
        alone = replace(piece, hits=(Hit("hat", tick, 120, 0, 1.0),))
        sound = np.abs(render(alone, RATE)).max(axis=0)
        first = round(tick * 60.0 / (480.0 * tempo_bpm) * RATE)
        assert not sound[:first].any()
        assert sound[first : first + round(0.003 * RATE)].max() > 0.01


@both_genres
@pytest.mark.parametrize("quality", ["", "m"])
def test_the_chord_is_the_strongest_in_every_bar(genre: Genre, quality: str) -> None:
    """Over all roots and twelve styles; the bar is taken for one of 24 triads by plain template match."""
    names = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"]
    progression = parse_progression(" ".join(name + quality for name in names))
    triads = parse_progression(" ".join(name + kind for kind in ("", "m") for name in names))
    templates = np.stack([chords[0].chroma() for chords in triads])
    right = 0
    for root in range(12):
        piece = compose(root, genre, bars=1, chords=progression[root : root + 1])
        guess = int(np.argmax(templates @ chroma_of(render(piece, RATE).mean(axis=0))))
        right += triads[guess] == progression[root]
    assert right >= 11


@both_genres
def test_a_chord_is_clear_150_ms_after_it_changes(genre: Genre) -> None:
    piece = compose(4, genre, bars=2, tempo_bpm=120.0, density=0.3, chords=parse_progression("C F#"))
    layers = stems(piece, RATE)
    pitched = (layers["chords"] + layers["bass"]).mean(axis=0)
    change = RATE * 2
    after = chroma_of(pitched[change + round(0.15 * RATE) : change + round(0.45 * RATE)])
    old, new = parse_progression("C F#")
    assert after @ new[0].chroma() > 3.0 * (after @ old[0].chroma())


@both_genres
def test_brightness_raises_the_spectral_centroid(genre: Genre) -> None:
    for seed in range(3):
        centroids = [
            centroid_of(render(compose(seed, genre, bars=1, density=0.5, brightness=value), RATE).mean(axis=0))
            for value in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        assert centroids == sorted(centroids)
        assert centroids[-1] > 1.5 * centroids[0]


@both_genres
def test_a_loop_has_no_seam_and_a_plain_render_ends_in_silence(genre: Genre) -> None:
    piece = compose(3, genre, bars=2, density=1.0)
    plain, loop = render(piece, RATE), render(piece, RATE, loop=True)
    assert np.abs(plain[:, -1]).max() == 0.0
    assert plain.shape == loop.shape
    # The second of two turns of a piece that is written out twice is what the loop must sound like.
    shifted = tuple(replace(hit, start_tick=hit.start_tick + 2 * TICKS_PER_BAR) for hit in piece.hits)
    twice = replace(
        piece,
        chords=piece.chords * 2,
        density=piece.density * 2,
        brightness=piece.brightness * 2,
        hits=piece.hits + shifted,
    )
    tail = stems(twice, RATE, loop=True)
    once = stems(piece, RATE, loop=True)
    count = loop.shape[1]
    for name in ("drums", "arp"):
        assert np.abs(tail[name][:, :count] - once[name]).max() < 0.02


def test_mono_keeps_all_that_stereo_has() -> None:
    for genre in GENRES:
        sound = render(compose(8, genre, bars=2), RATE)
        middle, side = sound.mean(axis=0), 0.5 * (sound[0] - sound[1])
        assert (middle**2).sum() > 4.0 * (side**2).sum()
        assert (side**2).sum() > 0.0


def test_every_instrument_of_a_piece_has_a_stem_and_every_stem_voice_a_finite_sound() -> None:
    pieces = [compose(seed, genre, density=1.0) for genre in GENRES for seed in range(4)]
    used = {hit.instrument for piece in pieces for hit in piece.hits}
    assert used == set(STEMS)
    style = pieces[0].style
    for instrument, stem in STEMS.items():
        for brightness in (0.0, 1.0):
            for rate in (8000, 48000):
                if stem == "drums":
                    sound = drum(instrument, style, brightness, rate)
                else:
                    sound = tone(instrument, 45, 0.2, style, brightness, rate)
                assert sound.dtype == np.float32
                assert 0.05 < np.abs(sound).max() < 4.0
                assert abs(sound[0]) < 1e-3
                assert abs(sound[-1]) < 1e-3


def test_tones_are_in_tune() -> None:
    style = compose(0, "techno").style
    for pitch in (45, 60, 81):
        sound = tone("stab", pitch, 0.5, style, 0.0, RATE)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 18))
        hertz = float(np.argmax(spectrum)) * RATE / (1 << 18)
        assert abs(1200.0 * np.log2(hertz / (440.0 * 2.0 ** ((pitch - 69) / 12.0)))) < 3.0


def two_bars() -> Piece:
    return compose(
        0, "ambient", bars=2, chords=parse_progression("Am F | G/B"), density=[0.2, 0.8], brightness=[1.0, 0.0]
    )


def test_conditions_say_what_holds_at_each_tick() -> None:
    told = conditions(two_bars(), np.array([0.0, 959.0, 960.0, 1920.0, 2400.0, 3839.5]))
    chroma = [np.flatnonzero(column).tolist() for column in told["chroma"].T]
    assert chroma == [[0, 4, 9], [0, 4, 9], [0, 5, 9], [2, 7, 11], [2, 7, 11], [2, 7, 11]]
    assert told["bass"].argmax(axis=0).tolist() == [9, 9, 5, 11, 11, 11]
    assert told["density"] == pytest.approx([0.2, 0.2, 0.2, 0.8, 0.8, 0.8])
    assert told["brightness"] == pytest.approx([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    assert told["genre"].tolist() == [1.0] * 6
    assert told["bar_phase"][:5] == pytest.approx([0.0, 959 / 1920, 0.5, 0.0, 0.25])
    assert told["beat_phase"][:5] == pytest.approx([0.0, 479 / 480, 0.0, 0.0, 0.0])
    assert all(value.dtype == np.float32 for value in told.values())


def test_conditions_wrap_and_phases_stay_below_one() -> None:
    piece = two_bars()
    ticks = np.array([3840.0, -1e-12, -1920.0, 3840.0 - 1e-9, 1e7 + 1.25])
    told = conditions(piece, ticks)
    for name in ("bar_phase", "beat_phase"):
        assert ((told[name] >= 0.0) & (told[name] < 1.0)).all()
    assert told["density"][:4] == pytest.approx([0.2, 0.8, 0.8, 0.8])
    inside = conditions(piece, np.array([(1e7 + 1.25) % 3840.0]))
    for name, value in told.items():
        assert value[..., 4] == pytest.approx(inside[name][..., 0], abs=1e-5)


def test_the_command_writes_a_sound_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "piece.wav"
    assert main([str(out), "--seed", "3", "--genre", "ambient", "--bars", "1", "--tempo-bpm", "120"]) == 0
    sound, rate = soundfile.read(out)
    assert rate == 44100
    assert sound.shape == (88200, 2)
    assert "120 bpm" in capsys.readouterr().out


def test_the_command_says_what_went_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "a.wav"), "--bars", "0"]) == 1
    assert "bar" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere" / "a.wav"), "--bars", "1"]) == 1
    assert "nowhere" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "a.wav"), "--genre", "polka"])
    assert stopped.value.code == 2
