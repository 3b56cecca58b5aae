"""Files to pieces for a band: human ones by their roles, and the arranger's over tunes whose chords are known."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, Chord
from engine.music.midifile import read_midi
from engine.music.roles import assign_roles
from engine.music.score import ROLES, Note, Score, Track
from training.data.arrange.arrange import arrange
from training.data.arrange.styles import GRID_STYLES
from training.data.pieces import PROGRAMS, NotePiece
from training.data.tunes import BAR, Item, Pack, TuneError, chord_bars, cut, on_grid, read_chords, stretches

__all__ = ["LeftOut", "gather"]

_ON_GRID: Final = 0.8  # of a stretch's notes; below it is in triplets, or was played freely
_SONG_BARS: Final = 160  # longer stretches are cut: nothing is learned from a file of hours


class LeftOut(EngineError):
    """A file gives no piece; the message is the cause, in a few words that can be counted."""


def _clean(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Notes at their nearest sixteenth: what was read is kept for a grid only."""
    step = BAR // 16
    moved = [replace(n, start=step * round(n.start / step), length=max(1, n.length)) for n in notes]
    return tuple(sorted(moved))


def _band(tracks: dict[str, tuple[Note, ...]], score: Score) -> Score:
    made = tuple(Track(tracks.get(role, ()), PROGRAMS[role], role == "drum", role) for role in ROLES)
    return replace(score, tracks=made)


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _styles(key: str, count: int) -> list[str]:
    """Different styles for the versions of one tune, drawn by its name."""
    order = np.random.default_rng(_seed(key)).permutation(len(GRID_STYLES))
    names = GRID_STYLES
    return [names[order[index % len(names)]] for index in range(count)]


def _versions(
    item: Item, part: int, lead: Track, piano: Track | None, chords: tuple[tuple[Chord, ...], ...], count: int
) -> Iterator[NotePiece]:
    """The arranger's versions of a tune; every second one keeps the human piano, if there is one."""
    for number, style in enumerate(_styles(f"{item.uid}.{part}", count)):
        kept = piano if piano is not None and number % 2 else None
        name = f"{item.pack}/{item.file}#{part}.{style}"
        made = arrange(lead, chords, style, _seed(name), piano_track=kept)
        yield NotePiece(name, item.uid, item.licence, f"{style} (arranged)", made.score, made.chords)


def _tune(pack: Pack, item: Item, score: Score, versions: int) -> Iterator[NotePiece]:
    """A melody with known chords: as it is where it has a piano, and arranged."""
    named = {track.name.lower(): track for track in score.tracks if track.notes}
    melody = named.get("melody") or named.get("lead") or next((t for t in score.tracks if t.notes), None)
    if melody is None:
        raise LeftOut("no melody")
    chords = read_chords(pack.read(item.file.removesuffix(".mid") + ".chords.tsv").decode("utf-8"))
    for part, (tick, bars) in enumerate(stretches(score)):
        whole = cut(replace(score, tracks=tuple(t for t in (melody, named.get("piano")) if t is not None)), tick, bars)
        if on_grid(sum((track.notes for track in whole.tracks), ())) < _ON_GRID or not whole.tracks[0].notes:
            continue
        lead = replace(whole.tracks[0], notes=_clean(whole.tracks[0].notes))
        piano = replace(whole.tracks[1], notes=_clean(whole.tracks[1].notes)) if len(whole.tracks) > 1 else None
        rows = chord_bars(chords, tick, bars)
        if sum(chord == NO_CHORD for bar in rows for chord in bar) > 0.5 * sum(map(len, rows)):
            continue
        if piano is not None:
            steps = tuple(chord for bar in rows for chord in bar for _ in range(16 // len(bar)))
            band = _band({"lead": lead.notes, "piano": piano.notes}, whole)
            yield NotePiece(f"{item.pack}/{item.file}#{part}", item.uid, item.licence, item.style, band, steps)
        yield from _versions(item, part, lead, piano, rows, versions)


def _human(item: Item, score: Score) -> Iterator[NotePiece]:
    """Any other file: its tracks by role, stretch by stretch."""
    roles = assign_roles(score)
    for part, (tick, bars) in enumerate(stretches(roles)):
        whole = cut(roles, tick, min(bars, _SONG_BARS))
        if on_grid(sum((track.notes for track in whole.tracks), ())) < _ON_GRID:
            continue
        band = _band({role: _clean(t.notes) for role, t in zip(ROLES, whole.tracks, strict=True)}, whole)
        if any(track.notes for track in band.tracks):
            yield NotePiece(f"{item.pack}/{item.file}#{part}", item.uid, item.licence, item.style, band)


def gather(pack: Pack, item: Item, versions: int) -> list[NotePiece]:
    """All pieces that one file gives.

    Args:
        versions: arrangements of a tune whose chords are known.
    Raises:
        LeftOut: none, and why.
    """
    try:
        score = read_midi(pack.read(item.file))
        if not stretches(score):
            raise LeftOut("no eight bars of 4/4")
        with_chords = item.pack in ("pop909", "leadsheets")
        found = list(_tune(pack, item, score, versions) if with_chords else _human(item, score))
    except TuneError as error:
        raise LeftOut(str(error)) from None
    if not found:
        raise LeftOut("off the grid of sixteenths, or without notes")
    return found
