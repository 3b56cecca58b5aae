"""``python -m engine.bench.musicgen BUNDLE``: measure the speed of a language model of sound; prints one JSON value.

It runs in a process of its own, so that its memory can be measured. As in a live session, codes are sampled step by
step and decoded to sound on the way; at 50 frames per second, 50 steps per second are real time.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from engine.models.musicgen.model import Musicgen, apart
from engine.models.musicgen.state import HEAD, Conditions
from engine.processes import cores

__all__ = ["floor_bytes", "main"]

_CONTEXT: Final = 250  # frames of the prompt: 5 s
_STEPS: Final = 200  # of a run
_PIECE: Final = 10  # frames that are turned into sound at a time
_READ: Final = 1 << 28  # bytes that memory is read in, more than any cache holds
_POSITIONS: Final = 1536


def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers."""
    parser = argparse.ArgumentParser(prog="python -m engine.bench.musicgen", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="name or folder of a musicgen bundle")
    parser.add_argument("--runs", type=int, default=3, help="runs of each measurement; default 3")
    parser.add_argument("--steps", type=int, default=_STEPS, help="steps per run; default 200")
    parser.add_argument("--threads", type=int, default=0, help="threads of the network; default: one per core")
    parsed = parser.parse_args(argv)
    json.dump(_measured(parsed.bundle, parsed.runs, parsed.steps, parsed.threads or cores()), sys.stdout)
    return 0


def _measured(bundle: str, runs: int, steps: int, threads: int) -> Mapping[str, Any]:
    import psutil

    from engine.bundles.bundle import describe, open_model

    info = describe(bundle)
    model: Musicgen = open_model(bundle, "continue", threads=threads, without={"text"})
    facts = model.facts
    context = min(_CONTEXT, facts.keep)
    prompt = np.random.default_rng(0).integers(0, facts.entries, (facts.codebooks, context))
    told = {"unguided": model.conditions(), "guided": _guided(model)}
    rates: dict[str, list[float]] = {name: [] for name in told}
    prefill_ms: list[float] = []
    for _ in range(runs):
        for name, each in told.items():  # by turns, so that a noisy moment meets both
            took_ms, rate = _run(model, each, prompt, steps)
            rates[name].append(rate)
            if name == "unguided":
                prefill_ms.append(took_ms)
    memory = psutil.Process().memory_info().rss / 2**20
    bandwidth = _bandwidth(threads)
    lm_bytes = 0 if info.path is None else (info.path / "lm.onnx").stat().st_size
    shares = {
        name: floor_bytes(model, lm_bytes, each.batch, context + steps // 2)
        / bandwidth
        * statistics.median(rates[name])
        for name, each in told.items()
    }
    return {
        "build": info.build, "shape": [facts.layers, facts.heads, facts.codebooks, facts.entries], "rates": rates,
        "prefill_ms": prefill_ms, "context": context, "memory_mb": memory,
        "read_gb_s": bandwidth / 1e9, "share_of_floor": shares, "threads": threads,
    }  # fmt: skip


def _guided(model: Musicgen) -> Conditions:
    """Two rows, told 16 pieces of anything and not told: what is told does not change the work."""
    rng = np.random.default_rng(1)
    one, facts = model.conditions(), model.facts
    arrays = {}
    for name, value in one.arrays.items():
        length = value.shape[1] if facts.prefix else 16
        shape = (2, length, value.shape[2]) if facts.prefix else (2, facts.heads, length, HEAD)
        arrays[name] = rng.standard_normal(shape).astype(np.float32)
    return Conditions(arrays, True, one.before)


def _run(model: Musicgen, told: Conditions, prompt: Any, steps: int) -> tuple[float, float]:
    """Milliseconds until the prompt is prefilled, and steps a second with the sound of what they say."""
    begun = time.perf_counter()
    state = model.begin(told, prompt, frames=steps)
    model.prefill(state)
    prefill_ms = 1000.0 * (time.perf_counter() - begun)
    sound, made, streams = model.codec.begin_decode(model.facts.streams), [], model.facts.streams
    count, begun = 0, time.perf_counter()
    while not state.ended:
        frame = model.step(state)
        count += 1
        if frame is not None:
            made.append(frame)
        if len(made) == _PIECE:
            model.codec.decode_step(sound, apart(np.stack(made, axis=1), streams))
            made = []
    return prefill_ms, count / (time.perf_counter() - begun)


def floor_bytes(model: Musicgen, lm_bytes: int, batch: int, steps: int) -> float:
    """Bytes that one step must at least read: all weights but the tables of which it takes a row, and its cache."""
    facts = model.facts
    width = facts.heads * HEAD
    rows = facts.codebooks * (facts.entries + 1) + (0 if facts.rotary else _POSITIONS)
    return lm_bytes - 4.0 * rows * width + 8.0 * facts.layers * width * steps * batch


def _bandwidth(threads: int) -> float:
    """Bytes a second that memory is read here."""
    parts = np.array_split(np.ones(_READ // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        best = float("inf")
        for _ in range(4):
            begun = time.perf_counter()
            list(pool.map(np.max, parts))
            best = min(best, time.perf_counter() - begun)
    return _READ / best


if __name__ == "__main__":
    sys.exit(main())
