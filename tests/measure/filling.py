"""How good and how fast a bundle fills, by the number of passes, and beside players without a network.

    python -m tests.measure.filling BUNDLE STORE [--songs 12] [--bars 4] [--passes 4 8 16 ...] [--pulls 0 2 ...]
        [--beside 16] [--json OUT]

STORE is a store of grids (`python -m training.data.midi`) with the bundle's dictionary. Of tunes that nobody trained on
the first bars are given, of the last ones only the lead: the other tracks are filled, as `ripieno infill` and the band
do it, and compared with what was really there (measures of `training.evaluate.bands`). The row
"real" is the real playing.
`--beside PASSES` compares with simple players instead, as ``ripieno train --evaluate`` does, but plays with the bundle.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.bundles.bundle import open_model
from engine.models.getmusic.defaults import played
from engine.models.getmusic.limits import conducted, default_pull, limits_of, tones_of
from engine.models.getmusic.model import FillSettings, Getmusic
from engine.music.chords import chord_of
from engine.music.score import ROLES
from engine.protocols.streamer import work
from training.data.band_batches import PartProfile
from training.data.grids import BAR, Grids, Window
from training.evaluate.band_report import choose_songs
from training.evaluate.band_report import measure as beside
from training.evaluate.bands import ACCOMPANIMENT, Bands, compare

PASSES = (4, 8, 12, 16, 25, 50, 100)
SHOWN = (
    "chord_accuracy", "kl_pitch", "kl_duration", "kl_ioi", "density", "density_error", "out_of_key", "pad_share",
)  # fmt: skip


def filled(
    model: Getmusic, window: Window, first: int, settings: FillSettings, pull: float | None, told: bool = False
) -> tuple[np.ndarray, int, float]:
    """The grid filled from column `first` on, passes, and seconds."""
    grid = window.grid
    targets = np.zeros((len(ROLES), grid.shape[1]), np.bool_)
    for role in ACCOMPANIMENT:
        there = (grid[2 * ROLES.index(role)] != model.dictionary.empty).any()
        targets[ROLES.index(role), first:] = there
    chords = [
        chord_of(int(state)) for state in Bands(model.dictionary).written(grid)
    ]  # one a bar, as infill hears them
    tones = tones_of(chords, grid.shape[1])
    density, register = PartProfile(model.dictionary).of(grid) if told else _defaults(model, grid, first, settings.seed)
    features = conducted(chords, grid.shape[1], density=density, register=register) if model.network.conducted else None
    limits = limits_of(model.dictionary, tones=tones, pull=default_pull(model.network) if pull is None else pull)
    began_s = time.perf_counter()
    made = work(model.fill(grid, targets, settings, limits=limits, features=features))
    return made.grids[0], made.passes, time.perf_counter() - began_s


def _defaults(model: Getmusic, grid: np.ndarray, first: int, seed: int) -> tuple[Any, Any]:
    """As infill: parts that start from nothing have default density and register."""
    if model.defaults is None or first:
        return None, None
    lead = played(grid[0], model.dictionary, "lead")
    return model.defaults.choose(ACCOMPANIMENT, grid.shape[1], seed, lead=lead)


def measure(model: Getmusic, songs: list[Window], bars: int, settings: FillSettings, pull: float) -> dict[str, Any]:
    """One row: the measures, passes and milliseconds for each bar made."""
    bands = Bands(model.dictionary)
    made = [filled(model, window, window.grid.shape[1] - bars * BAR, settings, pull) for window in songs]
    real, new = (
        [grid[:, -bars * BAR :] for grid in grids] for grids in ([w.grid for w in songs], [m[0] for m in made])
    )
    numbers = compare(real, new, bands).numbers()
    count = len(songs) * bars
    return {
        **{name: numbers[name] for name in SHOWN},
        "passes_a_bar": sum(m[1] for m in made) / count,
        "ms_a_bar": 1000.0 * sum(m[2] for m in made) / count,
    }


def _beside(model: Getmusic, grids: Grids, passes: int, songs: int, pull: float) -> int:
    def play(windows: Sequence[Window], first: int, told: bool) -> list[np.ndarray]:
        return [
            filled(model, window, first, FillSettings(steps=passes, seed=number), pull, told)[0]
            for number, window in enumerate(windows)
        ]

    for table in beside(grids, play, f"at most {passes} passes for a window, chord pull {pull:g}", songs=songs):
        print(table.title)
        for row in table.rows:
            print("".join(f"{word:>18}" for word in row))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("store", type=Path)
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--bars", type=int, default=4, help="made; as many again are given")
    parser.add_argument("--passes", type=int, nargs="+", default=list(PASSES))
    parser.add_argument("--pulls", type=float, nargs="+", help="towards the chords (the bundle's default)")
    parser.add_argument("--beside", type=int, metavar="PASSES", help="compare with simple players")
    parser.add_argument("--refine", type=float, default=0.0)
    parser.add_argument("--plan", default="cosine")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    model, grids = open_model(parsed.bundle, "infill", threads=parsed.threads), Grids(parsed.store)
    if grids.dictionary.text != model.dictionary.text:
        print("the store was made with another dictionary than the bundle", file=sys.stderr)
        return 1
    pulls = parsed.pulls or [default_pull(model.network)]
    if parsed.beside:
        return _beside(model, grids, parsed.beside, parsed.songs, pulls[0])
    songs = choose_songs(grids, parsed.songs, 2 * parsed.bars * BAR)
    real = [window.grid[:, -parsed.bars * BAR :] for window in songs]
    rows: dict[str, dict[str, Any]] = {"real": compare(real, real, Bands(model.dictionary)).numbers()}
    filled(model, songs[0], parsed.bars * BAR, FillSettings(steps=2), 0.0)  # warm
    for steps in parsed.passes:
        for pull in pulls:
            settings = FillSettings(steps=steps, plan=parsed.plan, refine=parsed.refine, seed=1)
            rows[f"{steps} / {pull:g}"] = measure(model, songs, parsed.bars, settings, pull)
    names = (*SHOWN, "passes_a_bar", "ms_a_bar")
    print(f"{len(songs)} tunes, {parsed.bars} bars each\n{'passes/pull':12}" + "".join(f"{name:>15}" for name in names))
    for name, row in rows.items():
        print(f"{name:12}" + "".join(f"{row.get(key, float('nan')):15.3f}" for key in names))
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
