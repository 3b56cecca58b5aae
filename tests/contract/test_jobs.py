"""Every job keeps the Job protocol: one line an implementation."""

import atexit
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from engine.bundles.bundle import open_model
from engine.models.getmusic.model import Filled, FillSettings, Getmusic
from engine.music.bandfeatures import BAND_FEATURES
from engine.offline.continuation import Continued, ContinueTask, continued
from engine.protocols.streamer import Job
from tests.contract.job import CHECKS, Case
from tests.tiny_getmusic import open_tiny_network
from tests.tiny_musicgen import write_tiny


def filling(kind: str, columns: int, settings: FillSettings, **facts: int) -> Case:
    """A fill of two tracks in the middle of a piece."""
    return fill_of(Getmusic(open_tiny_network(kind, **facts)), columns, settings)


@cache
def shipped(name: str) -> Getmusic:
    return open_model(name, "infill")


def fill_of(model: Getmusic, columns: int, settings: FillSettings) -> Case:
    rng, rows = np.random.default_rng(5), model.network.rows
    grid = np.full((14, columns), 15)
    for track, (low, count) in enumerate(zip(rows.lows, rows.counts, strict=True)):
        onsets = rng.random(columns) < 0.3
        grid[2 * track] = np.where(onsets, low + rng.integers(0, count, columns), 15)
        grid[2 * track + 1] = np.where(onsets, rng.integers(0, 15, columns), 15)
    grid[12:] = rows.size - 20
    targets = np.zeros((6, columns), np.bool_)
    targets[1, 16 : columns - 8] = targets[4, 20 : columns - 20] = True
    kept = np.concatenate([~np.repeat(targets, 2, axis=0), np.ones((2, columns), np.bool_)])

    def untouched(made: Filled) -> bool:
        return all(np.array_equal(each[kept], grid[kept]) for each in made.grids)

    def same(a: Filled, b: Filled) -> bool:
        return np.array_equal(a.grids, b.grids) and a.passes == b.passes

    features = np.zeros((BAND_FEATURES, columns), np.float32) if model.network.conducted else None
    return Case(lambda: model.fill(grid, targets, settings, features=features), same, untouched)


def continuing(kind: str) -> Case:
    """Sound from nothing; what it may not touch is a file beside its own."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, True)
    bundle = write_tiny(folder / kind, kind)
    (folder / "other.wav").write_bytes(b"as it was")
    task = ContinueTask(source=None, out=folder / "out.wav", seconds=0.3, bundle=str(bundle))

    def begin() -> Job[Continued]:
        return continued(task)

    def same(a: Continued, b: Continued) -> bool:
        return (a.made, a.steps, a.path) == (b.made, b.steps, b.path)

    def untouched(_: Continued) -> bool:
        return (folder / "other.wav").read_bytes() == b"as it was" and not list(folder.glob(".*part"))

    return Case(begin, same, untouched)


JOBS: dict[str, Callable[[], Case]] = {
    "fill": lambda: filling("network", 64, FillSettings(steps=6, variations=2, refine=0.2, refine_passes=2)),
    "fill through windows": lambda: filling("network", 160, FillSettings(steps=3), context=64, window=64),
    "fill with a kept past": lambda: filling("window", 96, FillSettings(steps=3), context=64, window=32),
    "fill by getmusic-live": lambda: fill_of(shipped("getmusic-live"), 64, FillSettings(steps=3, variations=2)),
    "continue": lambda: continuing("wordless"),
    "fill by the official plan": lambda: filling("network", 40, FillSettings(plan="official")),
}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_job_keeps_its_contract(check: Callable[[Case], None], name: str) -> None:
    check(JOBS[name]())
