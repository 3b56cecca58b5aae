"""``python -m engine list | describe | render | bench | replay``: the commands that need no sound card."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.controls import describe as in_words
from engine.controls import walk, with_value
from engine.errors import ControlError, EngineError
from engine.music.units import TEMPO_BPM, is_tempo

__all__ = ["bench_main", "bundles_main", "main", "render_main", "replay_main"]

_INTERRUPTED: Final = 130  # what a shell gives for Ctrl-C
_LONGEST: Final = 200  # characters of a fact that are shown
_PICTURE_S: Final = 600.0  # longer renders are drawn up to here


def main(argv: Sequence[str] | None = None) -> int:
    """Run one of this room's verbs. 0: done, 1: failed, 2: wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbs: Mapping[str, Callable[[Sequence[str]], int]] = {
        "list": bundles_main,
        "describe": bundles_main,
        "render": render_main,
        "bench": bench_main,
        "replay": replay_main,
    }
    parser = argparse.ArgumentParser(prog="python -m engine", description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=list(verbs))
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments[:1] or ["--help"])
    return verbs[parsed.verb](arguments[1:])


def _guarded(work: Callable[[], int]) -> int:
    """Run `work`; an expected error becomes one line on stderr and 1."""
    try:
        return work()
    except OSError as error:
        named = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        print(f"ripieno: {named}", file=sys.stderr)
        return 1
    except EngineError as error:
        print(f"ripieno: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def bundles_main(argv: Sequence[str]) -> int:
    """``ripieno bundles``: the installed bundles, or all facts of one."""
    parser = argparse.ArgumentParser(
        prog="ripieno bundles",
        description="List the installed bundles, or describe one. A bundle is a folder with a trained model; the "
        "environment variable RIPIENO_BUNDLES names further folders that hold bundles.",
    )
    parser.add_argument("bundle", nargs="?", help="name or folder of the bundle to describe; default: list all")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parsed = parser.parse_args(argv)
    return _guarded(lambda: _list(parsed.json) if parsed.bundle is None else _describe(parsed.bundle, parsed.json))


def _list(as_json: bool) -> int:
    from engine.bundles.bundle import bundles

    found = bundles()
    if as_json:
        print(json.dumps([_facts(info) for info in found], indent=1))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "family", "build", "licence", "folder", box=None)
    for info in found:
        table.add_row(info.name, info.family, info.build, info.licence, str(info.path or "built in"))
    Console().print(table)
    return 0


def _describe(reference: str, as_json: bool) -> int:
    from engine.bundles.bundle import describe

    info = describe(reference)
    facts = _facts(info)
    if as_json:
        print(json.dumps(facts, indent=1))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for key in ("name", "family", "build", "folder", "hash", "source", "licence"):
        console.print(f"{key:8} {facts[key]}", highlight=False, markup=False)
    table = Table("control", "takes", "default", "meaning", box=None)
    for control in facts["controls"]:
        table.add_row(control["path"], control["takes"], str(control["default"]), control["meaning"])
    console.print(table)
    return 0


def _facts(info: Any) -> dict[str, Any]:
    """A bundle as plain values."""
    controls = [
        {
            "path": "/".join(control.path),
            "takes": in_words(control.live, control.kind),
            "default": control.value,
            "meaning": control.live.meaning,
        }
        for control in walk(info.controls)
    ]
    return {
        "name": info.name,
        "family": info.family,
        "build": info.build,
        "folder": None if info.path is None else str(info.path),
        "hash": info.hash,
        "source": info.source,
        "licence": info.licence,
        "roles": list(info.roles),
        "facts": {name: _brief(value) for name, value in info.facts.items()},
        "controls": controls,
    }


def _brief(value: Any) -> Any:
    """A fact as it is; of a long text, such as a dictionary, only its length."""
    return f"{len(value)} characters" if isinstance(value, str) and len(value) > _LONGEST else value


def _render_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ripieno render",
        description="Play a bundle into a sound file, faster than real time. Ctrl-C stops early and keeps what is "
        "written so far.",
        epilog="Example: ripieno render musika-live out.wav --bars 16 --progression 'Am F C G' --set density=0.8",
    )
    parser.add_argument("bundle", help="name or folder of a bundle, or tone for the test tone")
    parser.add_argument("out", help="file to write, .wav (32-bit float) or .flac (24-bit)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, help="length in seconds; default 30")
    length.add_argument("--bars", type=int, help="length in bars, instead of --seconds")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same music; default 0")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set a control, such as density=0.8 (ripieno bundles NAME lists them); repeatable",
    )
    parser.add_argument("--tempo", type=float, default=120.0, help="quarter notes per minute, 20..400; default 120")
    parser.add_argument("--beats", type=int, default=4, help="quarter notes per bar; default 4")
    parser.add_argument("--progression", default="", help="chords, one per bar, repeated, such as 'Am F C G'")
    parser.add_argument("--picture", metavar="PNG", help="also draw spectrogram, level, bars and chords to this file")
    parser.add_argument(
        "--provider",
        default="cpu",
        metavar="NAME",
        help="onnxruntime provider that runs the model: cpu (default), or cuda, coreml, ... if installed",
    )
    parser.add_argument("--workers", type=int, default=0, help="number of threads; default: one per core")
    return parser


def render_main(argv: Sequence[str]) -> int:
    """``ripieno render``: play a bundle into a sound file."""
    parser = _render_parser()
    parsed = parser.parse_args(argv)
    if parsed.seconds is not None and not 0.0 < parsed.seconds <= 1e6:
        parser.error(f"--seconds takes more than 0 and at most 1000000, got {parsed.seconds:g}")
    if parsed.bars is not None and not 0 < parsed.bars <= 100_000:
        parser.error(f"--bars takes 1..100000, got {parsed.bars}")
    if not 0 <= parsed.seed < 2**31:
        parser.error(f"--seed takes 0..{2**31 - 1}, got {parsed.seed}")
    if not is_tempo(parsed.tempo):
        parser.error(f"--tempo takes {TEMPO_BPM[0]:g}..{TEMPO_BPM[1]:g}, got {parsed.tempo:g}")
    if parsed.workers < 0:
        parser.error(f"--workers takes 1 or more, or 0 for all cores, got {parsed.workers}")
    if parsed.picture and not Path(parsed.picture).absolute().parent.is_dir():
        parser.error(f"--picture {parsed.picture}: the folder does not exist; create it or choose another")
    if any("=" not in setting for setting in parsed.set):
        parser.error("--set takes PATH=VALUE, such as --set style/seed=4")
    return _guarded(lambda: _render(parsed))


def _render(parsed: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from engine.bundles.bundle import open_streamer
    from engine.conductor import Conductor
    from engine.music.harmony import parse_progression
    from engine.offline.render import render

    streamer = open_streamer(parsed.bundle, provider=parsed.provider)
    controls = streamer.controls()
    for setting in parsed.set:
        path, _, value = setting.partition("=")
        try:
            controls = with_value(controls, tuple(path.strip("/").split("/")), value)
        except ControlError as error:
            raise ControlError(f"--set {setting}: {error}") from None
    conductor = Conductor(streamer.spec.sample_rate)
    conductor.set_meter(parsed.beats)
    conductor.set_tempo(parsed.tempo, 0.0)
    if parsed.progression.strip():
        conductor.set_progression(parse_progression(parsed.progression), 0)
    bar_s = 60.0 / parsed.tempo * parsed.beats
    seconds = parsed.bars * bar_s if parsed.bars else parsed.seconds or 30.0
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{parsed.bundle} -> {parsed.out}", total=1.0)
        made = render(
            streamer, parsed.out, seconds=seconds, seed=parsed.seed, controls=controls, conductor=conductor,
            workers=parsed.workers or None, progress=lambda share: bar.update(task, completed=share),
        )  # fmt: skip
    lasts = made.samples / made.sample_rate
    clipped = f", peaks of {made.peak:.2f} were clipped: lower the gain" if made.peak > 1.0 else ""
    console.print(
        f"{parsed.out}: {lasts:.2f} s at {made.sample_rate} Hz, {made.realtime:.1f} times real time{clipped}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if parsed.picture and made.samples:
        _picture(parsed, conductor)
    return 0 if made.complete else _INTERRUPTED


def _picture(parsed: argparse.Namespace, conductor: Any) -> None:
    import soundfile

    from engine.offline.spectrogram import Picture, save_picture

    with soundfile.SoundFile(parsed.out) as file:
        rate = file.samplerate
        sound = file.read(int(_PICTURE_S * rate), dtype="float32", always_2d=True)
    save_picture(parsed.picture, sound.T, rate, conductor, Picture(title=f"{parsed.bundle}   seed {parsed.seed}"))


def bench_main(argv: Sequence[str]) -> int:
    """``ripieno bench``: the speed of models on this machine."""
    from engine.bench.bench import BENCHES, Options, machine, run

    parser = argparse.ArgumentParser(
        prog="ripieno bench",
        description="Measure the speed of models on this machine. Each figure is the median of several runs; close "
        "other programs first. x_realtime: seconds of sound per second of computation.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help=f"bundle or family to measure; osc: the OSC server, start: time to the first sound: {', '.join(BENCHES)}",
    )
    parser.add_argument(
        "--bundle", action="append", default=[], help="bundle to measure; default: all of the family; repeatable"
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement; default 5")
    parser.add_argument("--seconds", type=float, default=119.0, help="seconds of sound per offline run; default 119")
    parser.add_argument("--workers", type=int, default=0, help="threads of an offline run; default: one per core")
    parser.add_argument("--no-peer", action="store_true", help="do not also measure other programs for comparison")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parsed = parser.parse_args(argv)
    if parsed.runs < 1 or parsed.seconds <= 0.0:
        parser.error("--runs takes 1 or more, --seconds more than 0")
    options = Options(
        bundles=tuple(parsed.bundle), runs=parsed.runs, seconds=parsed.seconds, workers=parsed.workers,
        peers=not parsed.no_peer,
    )  # fmt: skip

    def work() -> int:
        about = machine()
        results = run(parsed.name, options)
        if parsed.json:
            print(json.dumps({"machine": about, "results": [result.as_dict() for result in results]}, indent=1))
            return 0
        print(f"{about['processor']}, {about['cores']} cores, load {about['load']} at the start")
        for result in results:
            beside = f"   {result.ratio:.1f} times {result.peer} ({result.peer_value:.1f})" if result.peer else ""
            spread = f"{min(result.best, result.worst):.1f}..{max(result.best, result.worst):.1f}"
            print(f"{result.name:34} {result.build:5} {result.value:10.1f} {result.unit:11} ({spread}){beside}")
        return 0

    return _guarded(work)


def replay_main(argv: Sequence[str]) -> int:
    """``ripieno replay``: render the sound of a take."""
    parser = argparse.ArgumentParser(
        prog="ripieno replay",
        description="Render the sound of a recorded session again, bit for bit, from its take: the log of commands "
        "that ripieno live writes into the session folder.",
    )
    parser.add_argument("take", help="take file, such as takes/2026-11-30-201500/take-20261130-201500.jsonl")
    parser.add_argument("out", help="file to write, .wav or .flac")
    parsed = parser.parse_args(argv)

    def work() -> int:
        from engine.session.replay import render_take

        samples = render_take(parsed.take, parsed.out)
        print(f"{parsed.out}: {samples} samples", file=sys.stderr)
        return 0

    return _guarded(work)


if __name__ == "__main__":
    sys.exit(main())
