"""``ripieno continue``: continue a sound file, or make sound from a text prompt."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from engine.controls import walk, with_value
from engine.errors import ControlError, EngineError
from engine.models.musicgen.model import MusicgenControls
from engine.music.units import TEMPO_BPM, is_tempo
from engine.offline.continuation import Continued, ContinueTask, continued

__all__ = ["continue_main"]

_INTERRUPTED: Final = 130  # what a shell gives for Ctrl-C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ripieno continue",
        description="Continue a sound file in the same style, tempo and chords, steered by a text prompt or a melody; "
        "without IN, make sound from the text prompt alone. Ctrl-C stops early and keeps what is made so far.",
        epilog="Examples: ripieno continue in.wav out.wav --seconds 20; "
        'ripieno continue out.wav --text "techno with drums and bass, 128 bpm"',
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="[IN] OUT", help="sound file to continue, and file to write, .wav or .flac")
    add("--seconds", type=float, default=20.0, help="length of the new sound; default 20")
    add("--context", type=float, default=10.0, help="seconds at the end of IN to use as prompt; 0: all; default 10")
    add("--text", default="", help='text prompt, such as "ambient with chords and bass"')
    add("--melody", metavar="FILE", help="sound file whose melody to follow (only bundles of melody models)")
    add("--bundle", default="", help="bundle that continues sound; default: the first one")
    for control in walk(MusicgenControls()):
        name, kind = control.path[0], control.kind
        add(
            f"--{name.replace('_', '-')}",
            type=kind,
            default=None,
            help=f"{control.live.meaning}; default: set by the bundle",
        )
    add("--seed", type=int, default=0, help="same seed, same sound; default 0")
    add(
        "--tempo",
        type=float,
        default=0.0,
        help="tempo in bpm, bars counted from the first sample of IN; default: detected in IN, or read from --text",
    )
    add("--free", action="store_true", help="do not follow the beat and chords detected in IN")
    add("--beats", type=int, default=4, help="beats per bar; default 4")
    add("--progression", default="", help="chords, one per bar, repeated, such as 'Am F C G'; default: detected in IN")
    add("--alone", action="store_true", help="write only the new sound, without IN before it")
    add("--picture", metavar="OUT.png", help="also draw a spectrogram to this file")
    add("--threads", type=int, default=0, help="number of threads; default: one per core")
    return parser


def continue_main(argv: Sequence[str]) -> int:
    """``ripieno continue``. 0: done, 1: failed (one line on stderr says why), 130: interrupted, the result is kept."""
    parser = _parser()
    parsed = parser.parse_args(argv)
    if len(parsed.files) > 2:
        parser.error(f"takes one file to read and one to write, got {len(parsed.files)}: {' '.join(parsed.files)}")
    try:
        made = _run(_task(parsed))
    except EngineError as error:
        print(f"ripieno continue: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        print(f"ripieno continue: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ripieno continue: interrupted before there was any sound; no file was written", file=sys.stderr)
        return _INTERRUPTED
    for line in made.summary():
        print(line, file=sys.stderr)
    return 0 if made.complete else _INTERRUPTED


def _task(parsed: argparse.Namespace) -> ContinueTask:
    """The arguments as a task.

    Raises:
        ControlError: one of them cannot be used.
    """
    from engine.processes import cores

    *source, out = (Path(file) for file in parsed.files)
    return ContinueTask(
        source=source[0] if source else None,
        out=out,
        seconds=parsed.seconds,
        context=parsed.context,
        text=parsed.text,
        melody=None if parsed.melody is None else Path(parsed.melody),
        bundle=parsed.bundle,
        seed=parsed.seed,
        controls=_controls(parsed),
        conductor=_conductor(parsed),
        beats=parsed.beats,
        progression=_progression(parsed.progression),
        by_ear=not parsed.free,
        alone=parsed.alone,
        picture=None if parsed.picture is None else Path(parsed.picture),
        threads=parsed.threads or cores(),
    )


def _controls(parsed: argparse.Namespace) -> MusicgenControls:
    """The bundle's controls with the values of the flags."""
    controls = _defaults(parsed.bundle)
    for control in walk(controls):
        given = getattr(parsed, control.path[0])
        if given is not None:
            try:
                controls = with_value(controls, control.path, given)
            except ControlError as error:
                raise ControlError(f"--{control.path[0].replace('_', '-')} {error}") from None
    return controls


def _defaults(bundle: str) -> MusicgenControls:
    """The bundle's default controls; a bundle of another family is refused when it is opened."""
    from engine.bundles.bundle import describe, first_for

    told = describe(bundle or first_for("continue")).controls
    if not isinstance(told, MusicgenControls):
        return MusicgenControls()
    # Those of a voice are more: here only how codes are drawn is wanted.
    return MusicgenControls(**{control.path[0]: getattr(told, control.path[0]) for control in walk(MusicgenControls())})


def _conductor(parsed: argparse.Namespace) -> Any:
    """Musical time, if a tempo is given."""
    from engine.conductor import Conductor

    if not 1 <= parsed.beats <= 16:
        raise ControlError(f"--beats takes 1..16, got {parsed.beats}")
    if not parsed.tempo:
        return None
    if not is_tempo(parsed.tempo):
        raise ControlError(f"--tempo takes {TEMPO_BPM[0]:g}..{TEMPO_BPM[1]:g} bpm, got {parsed.tempo:g}")
    conductor = Conductor(48000, beats_per_bar=parsed.beats)
    conductor.set_tempo(parsed.tempo, 0.0)
    return conductor


def _progression(text: str) -> Any:
    """Chords, one entry a bar."""
    from engine.music.harmony import parse_progression

    return parse_progression(text) if text.strip() else ()


@contextmanager
def _asking() -> Iterator[Callable[[], bool]]:
    """Within it, the first Ctrl-C is only noted; a second one interrupts as usual."""
    asked: list[int] = []

    def remember(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, remember)
    except ValueError:  # not the main thread: nobody presses keys there
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _run(task: ContinueTask) -> Continued:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from engine.protocols.streamer import Progress, work

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar, _asking() as asked:
        source = "text" if task.source is None else task.source.name
        line = bar.add_task(f"{source} -> {task.out.name}", total=None)

        def tell(progress: Progress) -> None:
            bar.update(line, total=max(1, progress.total), completed=progress.done)

        return work(continued(task), tell, asked)
