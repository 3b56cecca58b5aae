"""How long GETMusic's networks take, and how often whole numbers choose what floats choose.

``python -m tests.measure.getmusic_speed [CHECKPOINT] [--threads 2] [--json OUT]`` exports the checkpoint, or a network
of the published sizes with random weights, as fp32 and int8, and prints: seconds of a pass for several lengths, seconds
of whole fills by number of steps, and the share of hidden cells whose likeliest token is the same in both builds.
Beside seconds by the clock stands processor time divided by threads: what a machine takes that has nothing else to do.
"""

import argparse
import json
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from engine.graphs.graph import Graph, open_graph
from engine.models.getmusic.model import Filled, FillSettings, Getmusic
from engine.music.arrays import I64, Mask
from engine.music.bandfeatures import BAND_FEATURES
from engine.music.vocabulary import Dictionary
from engine.protocols.streamer import Job
from export.graphs.getmusic.bundle import examples, export
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_files import Loaded, load, save

DICTIONARY = Path(__file__).resolve().parents[3] / "shared" / "data" / "parity" / "getmusic" / "dict.txt"
BUILDS = ("fp32", "int8")
LENGTHS = (32, 96, 128, 192, 512)
STEPS = (4, 8, 12, 16, 25, 50)
Grid = I64


def checkpoint(given: Path | None, folder: Path) -> Path:
    """The checkpoint asked for, or one of the published sizes with random weights."""
    if given is not None:
        return given
    torch.manual_seed(0)
    dictionary = Dictionary.load(DICTIONARY)
    network = GETDiff(GetdiffConfig(vocabulary=TokenRanges.of(dictionary))).eval()
    save(folder / "random.safetensors", network, dictionary, {"source": "random weights"})
    return folder / "random.safetensors"


def opened(folder: Path, threads: int) -> dict[str, Graph]:
    return {path.stem: open_graph(path, threads=threads) for path in sorted(folder.glob("*.onnx"))}


def timed(work: Callable[[], object], threads: int, times: int) -> tuple[float, float]:
    """Least seconds by the clock, and least processor seconds / `threads`, of `times` runs after a first one."""
    work()
    clock, busy = [], []
    for _ in range(times):
        start, used = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - start)
        busy.append((time.process_time() - used) / threads)
    return min(clock), min(busy)


def passes(loaded: Loaded, graphs: dict[str, Graph], threads: int) -> list[dict[str, Any]]:
    """Seconds of one run of every graph."""
    rows = []
    for role, graph in graphs.items():
        for length in LENGTHS:
            if length > graph.manifest.fact("window" if role == "window" else "context"):
                continue
            feeds = {name: value.numpy() for name, value in examples(loaded, role, 1, 1, length).items()}
            clock, busy = timed(partial(graph.run, feeds), threads, 3)
            rows.append({"graph": role, "columns": length, "seconds": clock, "unhindered": busy})
    return rows


def finish(ask: Callable[[], Job[Filled]]) -> None:
    """Run a job to its end."""
    deque(ask(), maxlen=0)


def stage(model: Getmusic, bars: int, open_bars: int, tracks: Sequence[int]) -> tuple[Grid, Mask]:
    """A grid with a lead and random accompaniment, the last bars of some tracks open."""
    rng, rows, length = np.random.default_rng(0), model.network.rows, 16 * bars
    grid = np.full((14, length), 15, np.int64)
    for track in range(6):
        onset = rng.random(length) < 0.3
        grid[2 * track] = np.where(onset, rows.lows[track] + rng.integers(0, 100, length), 15)
        grid[2 * track + 1] = np.where(onset, 3, 15)
    grid[12], grid[13] = rows.size - 20, rows.size - 8
    targets = np.zeros((6, length), np.bool_)
    targets[list(tracks), length - 16 * open_bars :] = True
    return grid, targets


def fills(model: Getmusic, threads: int) -> list[dict[str, Any]]:
    """Seconds of whole jobs: what plays live, and what rewrites a song."""
    live = model.facts.kind == "live"
    tasks = [("1 bar x 5 tracks", 8, 1, range(1, 6))] if live else [("4 bars x 5 tracks", 12, 4, range(1, 6))]
    tasks.append(("32 bars x 6 tracks", 32, 32, range(6)))
    rows = []
    for name, bars, open_bars, tracks in tasks:
        grid, targets = stage(model, bars, open_bars, list(tracks))
        features = np.zeros((BAND_FEATURES, 16 * bars), np.float32) if live else None
        for steps in STEPS:
            ask = partial(model.fill, grid, targets, FillSettings(steps=steps), features=features)
            clock, busy = timed(partial(finish, ask), threads, 1)
            rows.append({"job": name, "steps": steps, "seconds": clock, "unhindered": busy})
    return rows


def agreement(loaded: Loaded, one: dict[str, Graph], other: dict[str, Graph], rounds: int = 4) -> float:
    """Share of hidden cells whose likeliest token is the same."""
    role = "window" if "window" in one else "network"
    same = total = 0
    for seed in range(rounds):
        length = 32 if role == "window" else 128
        feeds = {name: value.numpy() for name, value in examples(loaded, role, seed, 1, length).items()}
        first, second = one[role].run(feeds), other[role].run(feeds)
        same += sum(int((first[name].argmax(1) == second[name].argmax(1)).sum()) for name in first)
        total += sum(len(first[name]) for name in first)
    return same / total


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        source = checkpoint(given.checkpoint, Path(folder))
        loaded, graphs = load(source), {}
        for build in BUILDS:
            made = export(source, Path(folder) / build, build)
            graphs[build] = opened(Path(folder) / build, given.threads)
            jobs = fills(Getmusic.of(graphs[build]), given.threads)
            rows = passes(loaded, graphs[build], given.threads)
            found[build] = {"sizes": dict(made.sizes), "parity": dict(made.parity), "passes": rows, "jobs": jobs}
            for row in (*rows, *jobs):
                words = [f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
                print(build, "  ".join(words), flush=True)
        found["agreement"] = agreement(loaded, graphs["fp32"], graphs["int8"])
        print(f"int8 chooses as fp32 in {100 * found['agreement']:.2f} % of hidden cells")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
