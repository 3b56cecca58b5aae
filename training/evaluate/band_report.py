"""The measurements of a trained band, beside simple players on the same bars of music that nobody trained on."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engine.music.arrays import I64
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from training.data.corpus import DataError
from training.data.grids import BAR, Grids, Window
from training.evaluate.band_baselines import BarLibrary, chord_random, copy_bar
from training.evaluate.bands import Bands, Comparison, compare
from training.task import Table

__all__ = ["Player", "choose_songs", "measure"]

Player = Callable[[Sequence[Window], int, bool], list[I64]]
"""Plays stretches of music from a column on; the last argument: with density and register of the real tracks."""


def choose_songs(grids: Grids, songs: int, columns: int, *, seed: int = 0) -> list[Window]:
    """One stretch of each of `songs` held-out tunes, with a lead and at least four other tracks that play in it.

    Raises:
        DataError: there is none.
    """
    rng = np.random.default_rng(seed)
    bands = Bands(grids.dictionary)
    chosen: dict[str, Window] = {}
    for index in rng.permutation(grids.pieces(held_out=True)):
        entry = grids.entries[int(index)]
        if entry.uid in chosen or entry.columns < columns:
            continue
        starts = rng.permutation((entry.columns - columns) // BAR + 1)[:6]
        for start in starts:
            window = grids.window(int(index), BAR * int(start), columns)
            playing = [role for role in ROLES if bands.onsets(window.grid, role).any()]
            if "lead" in playing and len(playing) >= 5:
                chosen[entry.uid] = window
                break
        if len(chosen) == songs:
            break
    if not chosen:
        raise DataError("no held-out piece has a lead and four other tracks: prepare the store with arrangements")
    return list(chosen.values())


def measure(
    grids: Grids, play: Player, how: str, *, songs: int = 32, bars: int = 16, context: int = 8, seed: int = 0
) -> list[Table]:
    """Two tasks: five tracks from a lead and its chords alone, and a continuation of `context` bars of the whole band.

    Args:
        grids: the store; its held-out side is measured, its training side feeds the baselines.
        play: the network. how: its settings, for the title.
        bars: that are made.
    """
    library = BarLibrary(grids)
    windows = choose_songs(grids, songs, (context + bars) * BAR, seed=seed)
    tables = []
    for title, first in (("five tracks from a lead", 0), (f"continuation of {context} bars", context * BAR)):
        cut = [_from(each, context * BAR) if first == 0 else each for each in windows]
        players = _players(cut, first, play, library, grids.dictionary, seed)
        bands = Bands(grids.dictionary)
        real = [each.grid[:, first:] for each in cut]
        rows = {name: compare(real, [grid[:, first:] for grid in made()], bands) for name, made in players.items()}
        tables.append(Table(f"{title}: {len(cut)} held-out songs, {bars} bars each, {how}", _lines(rows)))
    return tables


def _lines(players: Mapping[str, Comparison]) -> tuple[tuple[str, ...], ...]:
    """A header of players, then a line a measure."""
    names = Comparison.__dataclass_fields__
    measures = [
        (name.replace("_", " "), *(f"{getattr(each, name):.3f}" for each in players.values())) for name in names
    ]
    return (("", *players), *measures)


def _from(window: Window, first: int) -> Window:
    return Window(window.grid[:, first:], window.chords[:, first:], window.entry, window.first + first)


def _players(
    windows: Sequence[Window], first: int, play: Player, library: BarLibrary, dictionary: Dictionary, seed: int
) -> dict[str, Callable[[], list[I64]]]:
    rng = np.random.default_rng(seed)
    grids = [each.grid for each in windows]

    def kept(made: I64, real: I64) -> I64:
        """Tracks that the real piece does not have stay empty for everybody."""
        absent = (real == dictionary.empty).all(axis=1)
        made[absent] = dictionary.empty
        return made

    def copied() -> list[I64]:
        made = []
        for grid in grids:
            # Where nothing was played before, the first bar is one of the training set with its chord.
            start = library.retrieve(grid[:, :BAR], 0, rng) if first == 0 else grid[:, first - BAR : first]
            made.append(kept(copy_bar(grid, first, start), grid))
        return made

    return {
        "real": lambda: [grid.copy() for grid in grids],
        "network": lambda: play(windows, first, False),
        "network, with levels": lambda: play(windows, first, True),
        "copy bar": copied,
        "chord random": lambda: [kept(chord_random(g, first, library.rates, dictionary, rng), g) for g in grids],
        "retrieved": lambda: [kept(library.retrieve(g, first, rng), g) for g in grids],
    }
