"""What fewer bits cost: how surprised a language model is by real sound, by codebook, in each of its builds.

python -m tests.measure.musicgen_quality SOUND... --bundle FP32 --bundle INT8 [--seconds 10] [--text WORDS]

Each sound is coded by the first bundle's codec and then told step by step to every bundle; what is printed is the mean
cross-entropy of the codes in nats, and how much more it is than the first bundle's. Equal codes, equal words.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from engine.bundles.bundle import describe, open_model
from engine.models.musicgen.model import Musicgen, together
from engine.models.musicgen.state import Conditions
from engine.music.arrays import F64, I64
from engine.music.audio import read_audio
from engine.processes import cores


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sounds", nargs="+", type=Path)
    parser.add_argument("--bundle", action="append", required=True, help="the first is what others are compared with")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each sound, from its middle (10)")
    parser.add_argument("--text", default="", help="words that go with all of them")
    parser.add_argument("--threads", type=int, default=0)
    parsed = parser.parse_args(argv)
    codes: list[I64] = []
    first: F64 | None = None
    for reference in parsed.bundle:
        without = frozenset() if parsed.text else frozenset({"text"})
        model = open_model(reference, "continue", threads=parsed.threads or cores(), without=without)
        codes = codes or [coded(model, path, parsed.seconds) for path in parsed.sounds]
        told = model.conditions(parsed.text, guided=False)
        rows = np.stack([surprise(model, told, each) for each in codes])
        mean = rows.mean(axis=0)
        first = mean if first is None else first
        print(
            json.dumps(
                {
                    "bundle": reference,
                    "build": describe(reference).build,
                    "sounds": len(codes),
                    "nats": [round(float(value), 4) for value in mean],
                    "more_percent": [round(float(value), 3) for value in 100.0 * (mean / first - 1.0)],
                }
            )
        )
    return 0


def coded(model: Musicgen, path: Path, seconds: float) -> I64:
    """[K, T] codes of the middle of a sound."""
    sound, rate = read_audio(path)
    codec, streams = model.codec, model.facts.streams
    wide = soxr.resample(sound.T, rate, codec.sample_rate).T.astype(np.float32)
    wide = wide.mean(axis=0, keepdims=True) if streams == 1 else wide[np.minimum(np.arange(streams), len(wide) - 1)]
    frames = min(int(seconds * codec.sample_rate / codec.hop), wide.shape[1] // codec.hop, model.facts.window - 1)
    start = (wide.shape[1] - frames * codec.hop) // 2
    return together(codec.encode(wide[:, None, start : start + frames * codec.hop]))


def surprise(model: Musicgen, told: Conditions, codes: I64) -> F64:
    """[K] mean cross-entropy in nats of codes [K, T], each after all that came before."""
    state = model.begin(told, codes)
    last, state.steps = state.steps, 1
    sums, counts = np.zeros(len(codes)), np.zeros(len(codes))
    books = np.arange(len(codes))
    while state.steps < last:
        model.prefill(state)
        frames = state.steps - 1 - state.delays
        said = state.codes[books, state.margin + frames]
        logits = state.cache.logits[0].astype(np.float64)
        top = logits.max(axis=1)
        log_p = logits - top[:, None] - np.log(np.exp(logits - top[:, None]).sum(axis=1))[:, None]
        real = frames >= 0
        sums[real] -= log_p[books[real], said[real]]
        counts += real
        state.steps += 1
    return np.asarray(sums / np.maximum(counts, 1), np.float64)


if __name__ == "__main__":
    sys.exit(main())
