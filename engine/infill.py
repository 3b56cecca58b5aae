"""``ripieno infill``: make some tracks of some bars of a MIDI file anew, from all the rest of it."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import ControlError, EngineError
from engine.filling import Infilled, InfillTask, infill, targets_of, written_bars
from engine.models.getmusic import FillSettings
from engine.models.getmusic_plan import PLANS
from engine.music.score import ROLES

__all__ = ["infill_main"]

_INTERRUPTED: Final = 130  # what a shell gives for Ctrl-C
_PER_ROLE: Final = "ROLE=VALUE, several set off by commas"


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
    add("--temperature", type=float, default=1.0, help="of pitches and lengths: 1 as the network says (1)")
    add("--top-p", type=float, default=1.0, help="only the likeliest pitches that together reach this share (1)")
    add("--refine", type=float, default=0.0, help="share of odd notes to draw again in a last pass, such as 0.15 (0)")
    add("--chords", default="", help='chords from bar 1 on, one a bar, repeated, such as "Am F C G" (as heard)')
    add("--density", default="", metavar="ROLE=X,...", help="share of sixteenths with an onset, such as drum=0.5")
    add("--range", default="", metavar="ROLE=LOW-HIGH,...", help="MIDI pitches, such as bass=28-52")
    add("--chord-tones", default="", metavar="ROLE,...", help="tracks that keep to the notes of the chords")
    add("--chord-pull", type=float, default=None, help="how strongly notes are drawn to the chords, 0..20 (0, or 2)")
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
    from engine.render import cores

    per_role = _per_role(parsed.density, "--density")
    return InfillTask(
        source=Path(parsed.source),
        out=Path(parsed.out),
        targets=targets_of(parsed.targets),
        bars=written_bars(parsed.bars),
        bundle=parsed.bundle,
        chords=parsed.chords,
        picture=None if parsed.picture is None else Path(parsed.picture),
        ranges={role: _pitches(text) for role, text in _per_role(parsed.range, "--range")},
        chord_tones=targets_of(parsed.chord_tones) if parsed.chord_tones else (),
        pull=None if parsed.chord_pull is None else _number(str(parsed.chord_pull), 0.0, 20.0, "--chord-pull"),
        threads=parsed.threads or cores(),
        settings=FillSettings(
            steps=parsed.steps,
            plan=parsed.plan,
            seed=parsed.seed,
            variations=parsed.variations,
            temperature=parsed.temperature,
            top_p=parsed.top_p,
            refine=parsed.refine,
            densities={role: _number(text, 0.0, 1.0, "--density") for role, text in per_role},
        ),
    )


def _per_role(text: str, flag: str) -> list[tuple[str, str]]:
    """``bass=1,drum=2`` as pairs."""
    rows = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(sign and value.strip() and role.strip() in ROLES for role, sign, value in rows):
        raise ControlError(f"{flag} takes {_PER_ROLE}, roles being {', '.join(ROLES)}; got {text!r}")
    return [(role.strip(), value.strip()) for role, _, value in rows]


def _number(text: str, low: float, high: float, flag: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise ControlError(f"{flag} takes {low:g}..{high:g}, got {text!r}")
    return value


def _pitches(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and int(low) <= int(high) <= 127):
        raise ControlError(f"--range takes pitches 0..127 such as 28-52, got {text!r}")
    return int(low), int(high)


def _run(task: InfillTask, name: str) -> Infilled:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from engine.stream import Progress, work

    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        line = bar.add_task(f"{task.source.name} -> {Path(name).name}", total=None)

        def tell(progress: Progress) -> None:
            told: Mapping[str, Any] = {"total": max(1, progress.total), "completed": progress.done}
            bar.update(line, **told)

        return work(infill(task), tell)
