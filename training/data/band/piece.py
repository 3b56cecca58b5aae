"""One piece of the corpus from its number: song, performance, sound, mix, and the record of what is known of it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.music.arrays import F32, I64
from engine.music.audio import Audio
from engine.music.score import Track
from training.data.arrange.instruments import RANGES
from training.data.band.fluid import SAMPLE_RATE, Patch, PlayedNote, render_stems
from training.data.band.mix import Mastered, mix
from training.data.band.palette import instrument_names, style_names
from training.data.band.performance import BandPerformance, perform
from training.data.band.songs import BandSong, draw_song, piece_streams
from training.data.band.soundfonts import DRUM_BANK, FONTS, Preset, find_font, read_presets
from training.data.band.synthesizer import render_synth
from training.data.band.timeline import PartFacts, Timeline
from training.data.band.tune_books import TuneBook
from training.data.band.words import BandFacts, band_caption

__all__ = ["VERSION", "BandPiece", "make_piece", "playable"]

VERSION: Final = 2
"""Raised whenever the same seed gives another piece."""
_CAPTIONS: Final = 4
# What stands in for drums that a kit does not have.
_DRUMS: Final = {27: 37, 28: 39, 31: 37, 54: 42, 56: 51, 58: 39, 63: 48, 64: 45, 69: 42, 70: 42, 75: 37, 82: 42}
_ANY: Final = Preset("synthesizer", tuple(range(128)))
_DRIVEN: Final = {29: 0.15, 30: 0.25, 18: 0.1, 81: 0.06, 38: 0.05}


@dataclass(frozen=True, slots=True)
class BandPiece:
    """A piece as it is stored.

    Args:
        audio: [2, N] at 44.1 kHz.
        record: JSON values, see docs/corpus.md.
    """

    audio: Audio
    record: dict[str, Any]


def playable(
    notes: Sequence[PlayedNote], preset: Preset, low: int, high: int, drums: bool
) -> tuple[list[PlayedNote], int, int]:
    """Notes on keys that sound: moved by octaves into the instrument's range and onto the preset's keys.

    Args:
        low, high: range of the instrument.
        drums: keys are drums: those that the kit has not are played on the nearest of its kind.
    Returns:
        The notes, how many were moved, and how many cannot be played at all.
    """
    kept, moved, dropped = [], 0, 0
    for note in notes:
        if drums:
            key = next((k for k in (note.pitch, _DRUMS.get(note.pitch, 38)) if k in preset.keys), None)
        else:
            octaves = max(0, -(-(low - note.pitch) // 12)) - max(0, -(-(note.pitch - high) // 12))
            key = preset.nearest(note.pitch + 12 * octaves)
        if key is None:
            dropped += 1
            continue
        moved += key != note.pitch
        kept.append(PlayedNote(note.start_s, note.length_s, key, note.velocity))
    return kept, moved, dropped


def make_piece(seed: int, number: int, book: TuneBook) -> BandPiece:
    """Make one piece. The same arguments give the same samples on the same machine.

    Args:
        seed: of the corpus.
        number: of the piece, 0 or greater.
        book: where tunes come from.
    Raises:
        FontError: a font is not installed.
        RenderError: FluidSynth is missing.
    """
    song = draw_song(seed, number, book)
    _, for_performance, for_mix, for_words = piece_streams(seed, number)
    performance = perform(song, for_performance)
    played = _played(song, performance)
    stems = _stems(song, played, performance.duration_s, for_mix)
    roles = [track.name for track in song.score.tracks]
    drives = [_drive(track, for_mix) for track in song.score.tracks]
    mastered = mix(stems, roles, drives, for_mix, SAMPLE_RATE)
    timeline = _timeline(song, performance, [notes for notes, _, _ in played], mastered)
    counts = [sum(moved for _, moved, _ in played), sum(dropped for _, _, dropped in played)]
    return BandPiece(mastered.audio, _record(song, timeline, mastered, counts, for_words))


def _played(song: BandSong, performance: BandPerformance) -> list[tuple[list[PlayedNote], int, int]]:
    """For each track, its notes on keys that sound, how many were moved, and how many cannot be played."""
    presets = read_presets(find_font(song.room))
    found = []
    for track in song.score.tracks:
        low, high = (0, 127) if track.drums else RANGES[track.program]
        own = track.name in song.synthesized
        preset = _ANY if own else presets[_place(_patch(track, presets))]
        found.append(playable(performance.parts[track.name], preset, low, high, track.drums))
    return found


def _stems(
    song: BandSong, played: Sequence[tuple[list[PlayedNote], int, int]], duration_s: float, rng: np.random.Generator
) -> F32:
    """The sound of each track [P, 2, N], by the font or the synthesizer."""
    font = find_font(song.room)
    presets = read_presets(font)
    tracks = song.score.tracks
    by_font = [place for place, track in enumerate(tracks) if track.name not in song.synthesized]
    patches = [_patch(tracks[place], presets) for place in by_font]
    stems = np.zeros((len(tracks), 2, round(duration_s * SAMPLE_RATE)), np.float32)
    if by_font:
        stems[by_font] = render_stems(font, patches, [played[place][0] for place in by_font], duration_s)
    for place, track in enumerate(tracks):
        if track.name in song.synthesized:
            stems[place] = render_synth(track.name, played[place][0], duration_s, rng)
    return stems


def _place(patch: Patch) -> tuple[int, int]:
    return patch.bank, patch.program


def _patch(track: Track, presets: dict[tuple[int, int], Preset]) -> Patch:
    """The preset of a track; the first kit or the piano where the font has none of this number."""
    bank = DRUM_BANK if track.drums else 0
    return Patch(bank, track.program if (bank, track.program) in presets else 0)


def _drive(track: Track, rng: np.random.Generator) -> float:
    own = 0.0 if track.drums else _DRIVEN.get(track.program, 0.0)
    return own * float(rng.uniform(0.0, 1.5)) + (0.08 * float(rng.random()) if rng.random() < 0.15 else 0.0)


def _timeline(
    song: BandSong, performance: BandPerformance, parts: Sequence[Sequence[PlayedNote]], mastered: Mastered
) -> Timeline:
    chords, grid = song.band.chords, song.band.grid
    steps = [step for step in range(len(chords)) if step == 0 or chords[step] != chords[step - 1]]
    facts = tuple(
        PartFacts(track.name, instrument_names(track.program, track.drums)[0], track.program, _rows(notes))
        for track, notes in zip(song.score.tracks, parts, strict=True)
    )
    edges = performance.beats_s(song.bar_quarters)
    lufs = [mastered.meter.between(a, b) for a, b in itertools.pairwise(edges)]
    return Timeline(
        beats_s=performance.beats_s(song.beat_quarters),
        meter=(grid.beats, grid.unit),
        key=song.band.key,
        style=song.band.style,
        chord_beats=np.array([step / grid.pulse for step in steps]),
        chords=tuple(chords[step] for step in steps),
        parts=facts,
        lufs=np.array(lufs, np.float32),
    )


def _rows(notes: Sequence[PlayedNote]) -> I64:
    rows = [(round(1000 * n.start_s), round(1000 * n.length_s), n.pitch, n.velocity) for n in notes]
    return np.array(rows, np.int64).reshape(-1, 4)


def _facts(song: BandSong, density: float, lufs: float) -> BandFacts:
    grid = song.band.grid
    return BandFacts(
        styles=style_names(song.band.style),
        instruments=[instrument_names(track.program, track.drums) for track in song.score.tracks],
        tempo_bpm=song.band.tempo_bpm,
        key=song.band.key,
        meter=(grid.beats, grid.unit),
        density=density,
        lufs=lufs,
        swing=song.swing,
    )


def _record(
    song: BandSong, timeline: Timeline, mastered: Mastered, counts: list[int], rng: np.random.Generator
) -> dict[str, Any]:
    duration_s = mastered.audio.shape[1] / SAMPLE_RATE
    density = float(timeline.frames(np.arange(0.0, duration_s, 0.1)).density.mean())
    facts = _facts(song, density, mastered.lufs)
    return {
        "version": VERSION,
        "number": song.number,
        "seed": song.seed,
        "held_out": song.held_out,
        "duration_s": round(duration_s, 6),
        "tempo_bpm": song.band.tempo_bpm,
        "swing": song.swing,
        "swing_unit": song.band.swing_unit,
        "tune": song.tune,
        "licence": song.licence,
        "style_seed": song.style_seed,
        "room": song.room,
        "synthesized": sorted(song.synthesized),
        "font_licence": FONTS[song.room].licence,
        "density": round(density, 3),
        "integrated_lufs": round(mastered.lufs, 2),
        "true_peak_db": round(mastered.true_peak_db, 2),
        "notes_moved": counts[0],
        "notes_dropped": counts[1],
        "captions": [band_caption(facts, rng) for _ in range(_CAPTIONS)],
        "timeline": timeline.record(),
    }
