"""``python -m engine list | describe | render | bench | replay``: everything that needs no sound card."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.controls import describe as in_words
from engine.controls import walk, with_value
from engine.errors import ControlError, EngineError

__all__ = ["bench_main", "bundles_main", "main", "render_main", "replay_main"]

_INTERRUPTED: Final = 130  # what a shell gives for Ctrl-C
_LONGEST: Final = 200  # characters of a fact that are shown
_PICTURE_S: Final = 600.0  # longer renders are drawn up to here


def main(argv: Sequence[str] | None = None) -> int:
    """One of this room's verbs. 0: done, 1: failed, 2: wrong usage."""
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


def _told(work: Callable[[], int]) -> int:
    """Run `work`; what goes wrong on purpose becomes one line on stderr and 1."""
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
    """``ripieno bundles``: what can be played, or all about one bundle."""
    parser = argparse.ArgumentParser(prog="ripieno bundles", description="List bundles, or describe one.")
    parser.add_argument("bundle", nargs="?", help="name or folder; all are listed without one")
    parser.add_argument("--json", action="store_true", help="for programs")
    parsed = parser.parse_args(argv)
    return _told(lambda: _list(parsed.json) if parsed.bundle is None else _describe(parsed.bundle, parsed.json))


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
    """A fact as it is; of a long text, such as a dictionary, how long it is."""
    return f"{len(value)} characters" if isinstance(value, str) and len(value) > _LONGEST else value


def _render_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ripieno render",
        description="Play a bundle into a sound file, faster than live. Ctrl-C ends it early and leaves it valid.",
    )
    parser.add_argument("bundle", help="name or folder of a bundle, or: tone")
    parser.add_argument("out", help="file to write, .wav (32-bit float) or .flac (24-bit)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, help="how long (30 if neither this nor --bars is given)")
    length.add_argument("--bars", type=int, help="how long in bars")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same music (0)")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="a control; may be repeated")
    parser.add_argument("--tempo", type=float, default=120.0, help="quarter notes a minute (120)")
    parser.add_argument("--beats", type=int, default=4, help="quarter notes in a bar (4)")
    parser.add_argument("--progression", default="", help="chords, one a bar, repeated, such as: Am F C G")
    parser.add_argument("--picture", metavar="PNG", help="draw what was made: spectrogram, level, bars, chords")
    parser.add_argument(
        "--provider",
        default="cpu",
        metavar="NAME",
        help="what runs the graphs: cpu, or cuda, coreml, ... where there is one",
    )
    parser.add_argument("--workers", type=int, default=0, help="threads (all cores)")
    return parser


def render_main(argv: Sequence[str]) -> int:
    """``ripieno render``: a bundle into a sound file."""
    parser = _render_parser()
    parsed = parser.parse_args(argv)
    if parsed.seconds is not None and not 0.0 < parsed.seconds <= 1e6:
        parser.error(f"--seconds takes more than 0 and at most 1000000, got {parsed.seconds:g}")
    if parsed.bars is not None and not 0 < parsed.bars <= 100_000:
        parser.error(f"--bars takes 1..100000, got {parsed.bars}")
    if not 0 <= parsed.seed < 2**31:
        parser.error(f"--seed takes 0..{2**31 - 1}, got {parsed.seed}")
    if not 20.0 <= parsed.tempo <= 400.0:
        parser.error(f"--tempo takes 20..400, got {parsed.tempo:g}")
    if parsed.workers < 0:
        parser.error(f"--workers takes 1 or more, or 0 for all cores, got {parsed.workers}")
    if parsed.picture and not Path(parsed.picture).absolute().parent.is_dir():
        parser.error(f"--picture {parsed.picture}: there is no such folder; make it or choose another")
    if any("=" not in setting for setting in parsed.set):
        parser.error("--set takes PATH=VALUE, such as --set style/seed=4")
    return _told(lambda: _render(parsed))


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
    clipped = f", peaks of {made.peak:.2f} clipped: lower the gain" if made.peak > 1.0 else ""
    console.print(
        f"{parsed.out}: {lasts:.2f} s at {made.sample_rate} Hz, {made.realtime:.1f} times live speed{clipped}",
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
    """``ripieno bench``: how fast this machine plays."""
    from engine.bench.bench import BENCHES, Options, machine, run

    parser = argparse.ArgumentParser(prog="ripieno bench", description="Measure this machine; medians of several runs.")
    parser.add_argument("name", choices=list(BENCHES))
    parser.add_argument("--bundle", action="append", default=[], help="name or folder; may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="of each measurement (5)")
    parser.add_argument("--seconds", type=float, default=119.0, help="of sound in an offline run (119)")
    parser.add_argument("--workers", type=int, default=0, help="threads of an offline run (all cores)")
    parser.add_argument("--no-peer", action="store_true", help="do not measure anybody else")
    parser.add_argument("--json", action="store_true", help="for programs")
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
        print(f"{about['processor']}, {about['cores']} cores, load {about['load']} when this began")
        for result in results:
            beside = f"   {result.ratio:.1f} times {result.peer} ({result.peer_value:.1f})" if result.peer else ""
            spread = f"{min(result.best, result.worst):.1f}..{max(result.best, result.worst):.1f}"
            print(f"{result.name:34} {result.build:5} {result.value:10.1f} {result.unit:11} ({spread}){beside}")
        return 0

    return _told(work)


def replay_main(argv: Sequence[str]) -> int:
    """``ripieno replay``: the sound of a take again."""
    parser = argparse.ArgumentParser(prog="ripieno replay", description="Make the sound of a take again, as a file.")
    parser.add_argument("take", help="the take's file")
    parser.add_argument("out", help="file to write, .wav or .flac")
    parsed = parser.parse_args(argv)

    def work() -> int:
        from engine.session.replay import render_take

        samples = render_take(parsed.take, parsed.out)
        print(f"{parsed.out}: {samples} samples", file=sys.stderr)
        return 0

    return _told(work)


if __name__ == "__main__":
    sys.exit(main())
