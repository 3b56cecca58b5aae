"""``ripieno infill``: write new parts for some tracks and bars of a MIDI file, fitting the rest of it."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import EngineError
from engine.models.getmusic.model import FillSettings
from engine.models.getmusic.plan import PLANS
from engine.music.score import ROLES
from engine.offline.infill import Infilled, InfillTask, infill, targets_of, written_bars
from engine.offline.infill_options import INFILL_OPTIONS, infill_options

__all__ = ["infill_main"]

_INTERRUPTED: Final = 130  # what a shell gives for Ctrl-C


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ripieno infill",
        description="Write new parts for tracks of a MIDI file, fitting the other tracks. IN.mid is not changed; "
        "in OUT.mid every event outside the target tracks and bars is as it was. Ctrl-C cancels and writes nothing.",
        epilog="Example: ripieno infill song.mid new.mid --targets bass,drum --bars 9-16 --variations 4",
    )
    add = parser.add_argument
    add("source", metavar="IN.mid", help="MIDI file to read")
    add("out", metavar="OUT.mid", help="MIDI file to write; with --variations OUT-1.mid, OUT-2.mid, ...")
    add("--targets", required=True, help=f"tracks to write, such as bass,drum; any of {', '.join(ROLES)}")
    add(
        "--bars",
        default="",
        help="bars to write, counted from 1, such as 9-16; may reach past the end; default: all with music",
    )
    add("--song", type=int, help="which song of a file that holds several (type 2), from 1")
    add("--variations", type=int, default=1, help="number of versions to make; default 1")
    add("--picture", metavar="OUT.png", help="also draw the given and the new notes as piano rolls to this file")
    add("--bundle", default="", help="bundle that makes notes; default: the first one")
    add("--steps", type=int, default=16, help="network passes: more is slower and more coherent; default 16")
    add("--plan", choices=PLANS, default="cosine", help="how many notes each pass decides; default cosine")
    add("--seed", type=int, default=0, help="same seed, same notes; default 0")
    add("--temperature", type=float, help="randomness of pitches and lengths; 1 (default): as trained")
    add("--top-p", type=float, help="sample only from the likeliest pitches with this total probability; default 1")
    add("--refine", type=float, help="share of unlikely notes to sample again in a last pass, such as 0.15; default 0")
    add(
        "--chords",
        default="",
        help="chords from bar 1 on, one per bar, repeated, such as 'Am F C G'; default: detected",
    )
    add("--density", default="", metavar="ROLE=X,...", help="share of sixteenths with an onset, such as drum=0.5")
    add("--range", default="", metavar="ROLE=LOW-HIGH,...", help="range of MIDI pitches, such as bass=28-52")
    add("--chord-tones", default="", metavar="ROLE,...", help="tracks that may use only notes of the chords")
    add("--chord-pull", type=float, help="bias of pitches towards chord notes, 0..20; default: set by the bundle")
    add("--option", default="", metavar='"NAME=VALUE ..."', help=f"more options, for all tracks: {INFILL_OPTIONS}")
    add("--wish", default="", help=argparse.SUPPRESS)  # the name until version 0.1
    add("--threads", type=int, default=0, help="number of threads; default: one per core")
    return parser


def infill_main(argv: Sequence[str]) -> int:
    """``ripieno infill``. 0: done, 1: failed (one line on stderr says why), 130: interrupted."""
    parsed = _parser().parse_args(argv)
    if parsed.wish:
        print("ripieno infill: --wish is now called --option; the old name still works", file=sys.stderr)
    try:
        task = _task(parsed)
        made = _run(task, str(parsed.out))
    except EngineError as error:
        print(f"ripieno infill: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"ripieno infill: no such file: {error.filename}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ripieno infill: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ripieno infill: interrupted; no file was written", file=sys.stderr)
        return _INTERRUPTED
    for line in made.summary():
        print(line, file=sys.stderr)
    return 0


def _task(parsed: argparse.Namespace) -> InfillTask:
    """The arguments as a task.

    Raises:
        ControlError: one of them cannot be used.
    """
    from engine.processes import cores

    settings = FillSettings(steps=parsed.steps, plan=parsed.plan, seed=parsed.seed, variations=parsed.variations)
    return InfillTask(
        source=Path(parsed.source),
        out=Path(parsed.out),
        targets=targets_of(parsed.targets),
        bars=written_bars(parsed.bars),
        song=parsed.song,
        bundle=parsed.bundle,
        chords=parsed.chords,
        picture=None if parsed.picture is None else Path(parsed.picture),
        threads=parsed.threads or cores(),
        options=infill_options(" ".join(_words(parsed)), settings),
    )


def _words(parsed: argparse.Namespace) -> Iterator[str]:
    """The flags that are infill options, as ``NAME=VALUE``."""
    for name, value in (
        ("temperature", parsed.temperature), ("top_p", parsed.top_p), ("refine", parsed.refine),
        ("pull", parsed.chord_pull),
    ):  # fmt: skip
        if value is not None:
            yield f"{name}={value}"
    for name, text in (("density", parsed.density), ("range", parsed.range)):
        for word in text.split(","):
            role, _, value = word.partition("=")
            if word.strip():
                yield f"{role.strip()}.{name}={value.strip()}"
    if parsed.chord_tones:
        yield from (f"{role}.tones=chord" for role in targets_of(parsed.chord_tones))
    yield from (parsed.wish, parsed.option)


def _run(task: InfillTask, name: str) -> Infilled:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from engine.protocols.streamer import Progress, work

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(f"{task.source.name} -> {Path(name).name}", total=None)

        def tell(progress: Progress) -> None:
            told: Mapping[str, Any] = {"total": max(1, progress.total), "completed": progress.done}
            bar.update(line, **told)

        return work(infill(task), tell)
