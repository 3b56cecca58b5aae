"""Measure the speed of this machine: each figure is the median of several runs, with that of another program (peer).

Peers, and models of published size without trained weights, are in rooms that engine may not import: they run as
``python -m export.bench.peer`` and ``python -m bridge.bench``, and are left out where those are not installed.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.bundles.bundle import bundles, describe, open_streamer
from engine.conductor import Conductor
from engine.errors import BundleError
from engine.models.families import FAMILIES, Family
from engine.offline.render import pieces
from engine.processes import cores
from engine.protocols.streamer import Streamer

__all__ = ["BENCHES", "Options", "Result", "machine", "run"]

_SECONDS: Final = 119.0  # of sound in one offline run of a bundle, ten patches of the published size
_LIVE_CHUNKS: Final = 60
_LIVE: Final = "_live"  # ends the name of a bench that measures a whole session
_PEER: Final = "export.bench.peer"
_PEER_TIMEOUT_S: Final = 600.0
_PEERS_SHAPE: Final = [24, 16, 4, 2048]  # layers, heads, codebooks and codes of the published small MusicGen
_LESS: Final = frozenset({"ms", "MB", "of_all"})  # units of which less is better


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One number.

    Args:
        name: what was measured. build: how weights were kept; empty where there are none.
        unit: ``x_realtime`` (seconds of sound per second), ``per_s``, ``ms``, ``MB``, ``of_1`` for a share, or
            ``of_all`` for a count.
        value: the median of `median_of` runs; best and worst beside it.
        peer: who else did the same work here; empty for nobody. peer_value: in the same unit.
        ratio: how many times better than the peer; 0 without one.
    """

    name: str
    build: str
    unit: str
    value: float
    best: float
    worst: float
    median_of: int
    peer: str = ""
    peer_value: float = 0.0

    @property
    def ratio(self) -> float:
        if not self.peer_value or not self.value:
            return 0.0
        return self.peer_value / self.value if self.unit in _LESS else self.value / self.peer_value

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the number is under the name of its unit."""
        values = asdict(self)
        return {**values, self.unit: values["value"], "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What to measure with.

    Args:
        bundles: names or paths; if none, those that can be found (or made) for the bench.
        runs: of each measurement. seconds: of sound in an offline run. workers: threads of an offline run.
        peers: whether to ask peers.
    """

    bundles: tuple[str, ...] = ()
    runs: int = 5
    seconds: float = _SECONDS
    workers: int = 0
    peers: bool = True


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = platform.processor() or platform.machine()
    flags: list[str] = []
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if f in value.split()]
    except OSError:
        pass  # not Linux: what platform says has to do
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else -1.0
    return {
        "processor": model,
        "flags": flags,
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": _version("onnxruntime"),
        "load": round(load, 2),
    }


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def run(name: str, options: Options) -> list[Result]:
    """The results of one bench of `BENCHES`.

    Raises:
        BundleError: there is no such bench, or no bundle to run it with.
    """
    if name in BENCHES:
        return BENCHES[name](options)
    try:
        family = describe(name).family
    except BundleError as error:
        raise BundleError(f"no bench '{name}'; there are {', '.join(BENCHES)}, or a bundle: {error}") from None
    if family not in BENCHES:
        raise BundleError(
            f"bundle '{name}' is of family {family}, which no bench measures; there are {', '.join(BENCHES)}"
        )
    return BENCHES[family](replace(options, bundles=(name,)))


def _bench_chunks(row: Family, options: Options) -> list[Result]:
    """Bundles of a family as streamers; without any, some of the published size with random weights, made now."""
    here = tuple(info.name for info in bundles() if info.family == row.name)
    results = _each(
        row, options.bundles or here, row.name, lambda reference: _bench_bundle(row.name, reference, options)
    )
    peer = _ask(_PEER, "measure", row.name) if options.peers and not row.built_in else None
    return [_beside(result, peer) for result in results]


def _bench_bundle(name: str, reference: str, options: Options) -> list[Result]:
    info = describe(reference)
    if info.family != name:
        raise BundleError(f"bundle '{reference}' is of family {info.family}, this bench is of {name}")
    return _bench_streamer(name, reference, info.build, options)


def _each(row: Family, chosen: Sequence[str], size: str, measured: Callable[[str], list[Result]]) -> list[Result]:
    """What is measured of each bundle; of none, of those of a `size` that are made now."""
    with tempfile.TemporaryDirectory() as folder:
        if not chosen:
            made = _ask(_PEER, "make", size, folder)
            if made is None:
                raise BundleError(f"no {row.name} bundle here; name one with --bundle, or install the extra 'export'")
            chosen = tuple(str(Path(folder) / build) for build in made["builds"])
        return [result for reference in chosen for result in measured(reference)]


def _bench_streamer(name: str, reference: str, build: str, options: Options) -> list[Result]:
    """Offline speed with all cores, live speed with one, the longest live chunk, and the first sound."""
    streamer = open_streamer(reference)
    spec = streamer.spec
    _live(streamer, 2)
    offline, live, first, longest = [], [], [], []
    for _ in range(options.runs):
        offline.append(_offline(streamer, options))
        begun = time.perf_counter()
        _live(streamer, 1)
        first.append(1000.0 * (time.perf_counter() - begun))
        took_s = _live(streamer, _LIVE_CHUNKS)
        live.append(spec.chunk / spec.sample_rate / statistics.median(took_s))
        longest.append(1000.0 * max(took_s))
    return [
        _result(f"{name} offline", build, "x_realtime", offline),
        _result(f"{name} live, one core", build, "x_realtime", live),
        _result(f"{name} longest chunk of {_LIVE_CHUNKS}", build, "ms", longest),
        _result(f"{name} first sound", build, "ms", first),
    ]


def _offline(streamer: Streamer[Any, Any], options: Options) -> float:
    samples = int(options.seconds * streamer.spec.sample_rate)
    begun = time.perf_counter()
    for _ in pieces(streamer, samples=samples, seed=1, workers=options.workers or None):
        pass
    return options.seconds / (time.perf_counter() - begun)


def _live(streamer: Streamer[Any, Any], chunks: int) -> list[float]:
    """Seconds that each of the first `chunks` steps takes; the first includes `begin`."""
    spec, conductor, controls = streamer.spec, Conductor(streamer.spec.sample_rate), streamer.controls()
    took_s = []
    begun = time.perf_counter()
    state = streamer.begin(1)
    for chunk in range(chunks):
        span = conductor.span(chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate)
        streamer.step(state, controls, span)
        now = time.perf_counter()
        took_s.append(now - begun)
        begun = now
    return took_s


_START: Final = """
import sys, time
begun = time.perf_counter()
from engine.bundles.bundle import open_streamer
from engine.conductor import Conductor
s = open_streamer(sys.argv[1])
p = s.spec
s.step(s.begin(1), s.controls(), Conductor(p.sample_rate).span(0, p.frames, p.hop, p.sample_rate))
print(1000.0 * (time.perf_counter() - begun))
"""


def _bench_steps(row: Family, options: Options) -> list[Result]:
    """Language models by their steps; unless named, one of the published size with random weights, as the peer's."""
    alike: list[bool] = []

    def measured(reference: str) -> list[Result]:
        told = _told(f"engine.bench.{row.bench}", reference, "--runs", str(options.runs), *_threads(options))
        alike.append(told["shape"] == _PEERS_SHAPE)
        return _of_steps(row.name, told)

    results = _each(row, options.bundles, row.name, measured)
    # Only the same work can be compared.
    peer = _ask(_PEER, "measure", row.name) if options.peers and all(alike) else None
    return [_beside(result, peer) for result in results]


def _bench_live(row: Family, options: Options) -> list[Result]:
    """Bundles that continue sound, as voices; without any, one of the starter's size with random weights, made now."""
    seconds, name = ("--seconds", str(options.seconds)), f"{row.name}{_LIVE}"

    def measured(reference: str) -> list[Result]:
        told = _told("engine.bench.live", reference, "--runs", str(options.runs), *seconds, *_threads(options))
        return _of_live(name, told, describe(reference).build)

    chosen = options.bundles or tuple(info.name for info in bundles() if info.family == row.name)
    return _each(row, chosen, name, measured)


def _told(module: str, reference: str, *words: str) -> dict[str, Any]:
    """What a process says that measures a bundle."""
    told = _ask(module, reference, *words)
    if told is None:
        raise BundleError(f"'{reference}' could not be measured: see 'python -m {module}'")
    return told


def _of_live(name: str, told: Mapping[str, Any], build: str) -> list[Result]:
    """What a process that played live says, as results."""
    begin, end = told["memory_mb"]
    return [
        _result(f"{name} continue to sound", build, "ms", told["continue_ms"]),
        _result(f"{name} prepares 6 s", build, "ms", told["prepared_ms"]),
        _result(f"{name} beside its sound", build, "x_realtime", told["realtime"]),
        _result(f"{name} memory", build, "MB", [float(end)]),
        _result(f"{name} memory grown in {told['seconds']:g} s", build, "MB", [float(end) - float(begin)]),
        _result(f"{name} underruns in {told['seconds']:g} s", build, "of_all", [float(told["underruns"])]),
    ]


def _threads(options: Options) -> list[str]:
    return ["--threads", str(options.workers)] if options.workers else []


def _of_steps(model: str, told: Mapping[str, Any]) -> list[Result]:
    """What a process that measured says, as results."""
    build = str(told["build"])
    results = [
        _result(f"{model} {name} steps, decoding", build, "per_s", rates) for name, rates in told["rates"].items()
    ]
    results.append(_result(f"{model} prefills {told['context']} frames", build, "ms", told["prefill_ms"]))
    results.append(_result(f"{model} memory", build, "MB", [float(told["memory_mb"])]))
    for name, share in told["share_of_floor"].items():
        results.append(_result(f"{model} {name}, share of memory speed", build, "of_1", [float(share)]))
    return results


def _bench_start(options: Options) -> list[Result]:
    """From a fresh process to the first chunk: imports, checks, loading, one step."""
    results = []
    for reference in options.bundles or tuple(info.name for info in bundles() if info.streams):
        info = describe(reference)
        took_ms = []
        for _ in range(options.runs):
            done = _python(["-c", _START, reference])
            if done.returncode:
                raise BundleError(f"'{reference}' did not start: {done.stderr.strip().splitlines()[-1]}")
            took_ms.append(float(done.stdout))
        results.append(_result(f"{info.name} from nothing to first sound", info.build, "ms", took_ms))
    return results


def _bench_osc(options: Options) -> list[Result]:
    """Messages parsed and routed a second, measured by the bridge."""
    told = _ask("bridge.bench", "osc", "--runs", str(options.runs))
    if told is None:
        raise BundleError("the OSC bench needs the bridge, and it did not answer; install the whole program")
    result = _result("osc parse and route", "", "per_s", [float(value) for value in told["per_s"]])
    return [_beside(result, {"peer": told["peer"], "values": {result.name: told["peer_per_s"]}})]


_SOUND: Final = tuple(row for row in FAMILIES.values() if row.streams)
BENCHES: Final[Mapping[str, Callable[[Options], list[Result]]]] = {
    **{row.name: partial(_bench_steps if row.bench else _bench_chunks, row) for row in _SOUND},
    **{f"{row.name}{_LIVE}": partial(_bench_live, row) for row in _SOUND if row.continues},
    "osc": _bench_osc,
    "start": _bench_start,
}
"""What can be measured: the families that make sound, those that continue sound as live voices, OSC, and starting."""


def _result(name: str, build: str, unit: str, values: Sequence[float]) -> Result:
    low, high = min(values), max(values)
    best, worst = (low, high) if unit in _LESS else (high, low)
    middle = statistics.median(values)
    return Result(name=name, build=build, unit=unit, value=middle, best=best, worst=worst, median_of=len(values))


def _beside(result: Result, told: Mapping[str, Any] | None) -> Result:
    """The result with the peer's number, where the peer has one of this name."""
    if told is None or result.name not in told["values"]:
        return result
    values = {**asdict(result), "peer": str(told["peer"]), "peer_value": float(told["values"][result.name])}
    return Result(**values)


def _ask(module: str, *arguments: str) -> dict[str, Any] | None:
    """The JSON that another room's module prints; None if it is not there or fails."""
    try:
        done = _python(["-m", module, *arguments])
        answer = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return answer if isinstance(answer, dict) else None


def _python(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run this Python with the same rooms to import from."""
    rooms = os.pathsep.join([str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_PEER_TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": rooms},
    )
