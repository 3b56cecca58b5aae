"""``ripieno infill``: make some tracks of some bars of a MIDI file anew, from all the rest of it."""

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
        description="Make tracks of a MIDI file anew, from all that is left of it. The file itself is never changed; "
        "in the result only the tracks and bars asked for are other than before. Ctrl-C leaves nothing behind.",
    )
    add = parser.add_argument
    add("source", metavar="IN.mid", help="what to fill")
    add("out", metavar="OUT.mid", help="file to write; of several variations OUT-1.mid, OUT-2.mid, ...")
    add("--targets", required=True, help=f"tracks to make, such as bass,drum; any of {', '.join(ROLES)}")
    add("--bars", default="", help="bars to make, the first is 1, such as 9-16; beyond the end goes on (all bars)")
    add("--variations", type=int, default=1, help="how many to make (1)")
    add("--picture", metavar="OUT.png", help="draw what is given and what was made as piano rolls")
    add("--bundle", default="", help="name or folder; the first that makes notes if not given")
    add("--steps", type=int, default=16, help="passes of the network: more is slower and more coherent (16)")
    add("--plan", choices=PLANS, default="cosine", help="how many cells each pass decides (cosine)")
    add("--seed", type=int, default=0, help="same seed, same notes (0)")
    add("--temperature", type=float, help="of pitches and lengths: 1 as usual (1)")
    add("--top-p", type=float, help="only the likeliest pitches that together reach this share (1)")
    add("--refine", type=float, help="share of odd notes to draw again in a last pass, such as 0.15 (0)")
    add("--chords", default="", help='chords from bar 1 on, one a bar, repeated, such as "Am F C G" (as heard)')
    add("--density", default="", metavar="ROLE=X,...", help="share of sixteenths with an onset, such as drum=0.5")
    add("--range", default="", metavar="ROLE=LOW-HIGH,...", help="MIDI pitches, such as bass=28-52")
    add("--chord-tones", default="", metavar="ROLE,...", help="tracks that keep to the notes of the chords")
    add("--chord-pull", type=float, help="how strongly notes are drawn to the chords, 0..20 (2; published weights 0)")
    add("--wish", default="", metavar='"NAME=VALUE ..."', help=f"any of these and more: {INFILL_OPTIONS}")
    add("--threads", type=int, default=0, help="of the network (all cores)")
    return parser


def infill_main(argv: Sequence[str]) -> int:
    """``ripieno infill``. 0: done, 1: failed (one line on stderr says why), 130: interrupted."""
    parsed = _parser().parse_args(argv)
    try:
        task = _task(parsed)
        made = _run(task, str(parsed.out))
    except EngineError as error:
        print(f"ripieno infill: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"ripieno infill: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ripieno infill: interrupted, nothing was written", file=sys.stderr)
        return _INTERRUPTED
    for line in made.told():
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
        bundle=parsed.bundle,
        chords=parsed.chords,
        picture=None if parsed.picture is None else Path(parsed.picture),
        threads=parsed.threads or cores(),
        wishes=infill_options(" ".join(_words(parsed)), settings),
    )


def _words(parsed: argparse.Namespace) -> Iterator[str]:
    """All flags that are wishes, as wishes are written."""
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
    yield parsed.wish


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
