"""Whole pieces: every style in its meter, on its instruments within their ranges, the same for the same seed."""

from itertools import pairwise

import numpy as np
import pytest

from engine.music.harmony import NO_CHORD, QUALITIES
from engine.music.score import ROLES
from training.data.arrange.arrange import ArrangeError
from training.data.arrange.instruments import RANGES
from training.data.arrange.songs import write_song
from training.data.arrange.styles import STYLES


@pytest.mark.parametrize("style", STYLES)
def test_a_song_is_in_its_styles_meter_on_its_instruments(style: str) -> None:
    for seed in range(3):
        made = write_song(style, seed, bars=16)
        chosen = STYLES[style]
        assert made.score.meters == (made.grid.meter,)
        assert made.grid.name == chosen.meter
        assert (made.swing, made.swing_unit) == (chosen.swing, chosen.swing_unit)
        assert len(made.chords) == 16 * made.grid.steps
        assert len(made.levels) == len(made.densities) == 16
        assert chosen.tempo[0] <= made.tempo_bpm <= chosen.tempo[1]
        for role, track in zip(ROLES, made.score.tracks, strict=True):
            assert track.program == made.programs[role]
            assert track.program in chosen.programs[role]
            assert track.end <= 16 * made.grid.ticks
            if role != "drum":
                low, high = RANGES[track.program]
                assert all(low <= note.pitch <= high for note in track.notes)


def test_levels_say_who_plays() -> None:
    for style in ("pop", "waltz", "ballad_68", "polka"):
        made = write_song(style, 4)
        assert all(0.0 < level <= 1.0 for bar in made.levels for level in bar.values())
        assert all(0.0 <= density <= 1.0 for density in made.densities)
        for role, track in zip(ROLES, made.score.tracks, strict=True):
            begun = {note.start // made.grid.ticks for note in track.notes}
            said = {bar for bar, levels in enumerate(made.levels) if role in levels}
            assert begun <= said
            assert all(
                any(n.start < (b + 1) * made.grid.ticks and n.end > b * made.grid.ticks for n in track.notes)
                for b in said
            )


def test_the_same_arguments_give_the_same_song_and_another_seed_another() -> None:
    assert write_song("jazz_waltz", 5) == write_song("jazz_waltz", 5)
    assert write_song("jazz_waltz", 5) != write_song("jazz_waltz", 6)


def test_grooves_repeat_as_a_drummers_do() -> None:
    likeness = []
    for style in ("rock", "funk", "jazz", "waltz", "ballad_68", "polka", "house", "soul"):
        for seed in range(4):
            made = write_song(style, seed)
            bars = [set() for _ in range(32)]
            for note in made.score.tracks[2].notes:
                bars[note.start // made.grid.ticks].add((note.start % made.grid.ticks, note.pitch))
            likeness += [len(a & b) / len(a | b) for a, b in pairwise(bars) if a and b]
    assert 0.6 <= np.mean(likeness) <= 0.85


def test_the_band_sounds_what_its_chords_say() -> None:
    whole = []
    for style in ("pop", "bossa", "jazz", "soul", "house", "waltz", "ballad_68", "metal"):
        for seed in range(3):
            made = write_song(style, seed)
            parts = [
                track.notes
                for role, track in zip(ROLES, made.score.tracks, strict=True)
                if role not in ("lead", "drum")
            ]
            for bar in range(32):
                steps = made.chords[bar * made.grid.steps : (bar + 1) * made.grid.steps]
                if len(set(steps)) > 1 or steps[0] == NO_CHORD:
                    continue
                sounding = {n.pitch % 12 for notes in parts for n in notes if n.start // made.grid.ticks == bar}
                tones = QUALITIES[steps[0].quality]
                said = {(steps[0].root + tone) % 12 for tone in tones if len(tones) < 4 or tone != 7}
                whole.append(said <= sounding)
    assert len(whole) > 300
    assert np.mean(whole) > 0.8


def test_few_strums_lie_between_eighths() -> None:
    strums = odd = 0
    for style in ("pop", "folk", "country", "disco", "rock"):
        for seed in range(6):
            starts = [note.start for note in write_song(style, seed).score.tracks[3].notes]
            chords = {start for start in starts if starts.count(start) >= 3}
            strums += len(chords)
            odd += sum(start % 240 != 0 for start in chords)
    assert odd / strums < 0.2


def test_no_bar_is_silent() -> None:
    for style in ("folk", "folk_guitar", "rock", "waltz", "film", "house"):
        for seed in range(8):
            assert all(write_song(style, seed).levels), (style, seed)


def test_bars_without_a_chord_are_the_drums() -> None:
    silent = 0
    for seed in range(30):
        made = write_song("rock", seed)
        for bar in range(32):
            if set(made.chords[bar * 16 : bar * 16 + 16]) == {NO_CHORD}:
                silent += 1
                assert "drum" in made.levels[bar]
                assert not any(
                    n.start // 1920 == bar for track in made.score.tracks if not track.drums for n in track.notes
                )
    assert silent


@pytest.mark.parametrize(("style", "seed", "bars"), [("yodel", 0, 8), ("pop", -1, 8), ("pop", 0, 0)])
def test_what_cannot_be_written_is_said(style: str, seed: int, bars: int) -> None:
    with pytest.raises(ArrangeError, match="wanted"):
        write_song(style, seed, bars=bars)
