"""`ripieno corpus OUT`: render band music from seeds, with everything that is known of it."""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from training.data.band.folder import CorpusFolder
from training.data.band.piece import make_piece
from training.data.band.soundfonts import FONTS, find_font
from training.data.band.tune_books import TuneBook

__all__ = ["corpus_main", "render_corpus"]

_AHEAD = 4  # pieces that each process may be ahead of the last one needed


@lru_cache(maxsize=2)
def _book(tunes: str) -> TuneBook:
    return TuneBook(Path(tunes) if tunes else None)


def _make(task: tuple[Path, int, int, str]) -> int:
    """Render one piece into the folder unless it is there; returns its number."""
    out, seed, number, tunes = task
    folder = CorpusFolder(out)
    if not folder.has(number):
        folder.write(make_piece(seed, number, _book(tunes)))
    return number


def render_corpus(out: Path, hours: float, seed: int, tunes: Path | None = None, jobs: int = 1) -> list[dict[str, Any]]:
    """Render pieces by number until they last long enough; finished ones are kept.

    Args:
        out: folder of the corpus, empty or begun with the same settings.
        hours: length of all pieces together.
        seed: of the corpus: 0 or greater.
        tunes: folder with packs of tunes, or None.
        jobs: processes.
    Returns:
        The lines of the index.
    Raises:
        DataError: the folder holds something else, or `tunes` no tunes.
        FontError: a sound font is not installed.
        RenderError: FluidSynth is missing.
    """
    for name in FONTS:
        find_font(name)
    tunes_path = str(tunes.resolve()) if tunes else ""
    _book(tunes_path)
    folder = CorpusFolder(out)
    folder.begin({"seed": seed, "tunes": tunes.name if tunes else ""})
    folder.mend()
    lines = {line["number"]: line for line in folder.index()}
    progress = _RenderProgress(hours, sum(line["duration_s"] for line in lines.values()))
    made = 0.0
    for number in _numbers(folder, seed, tunes_path, jobs):
        line = lines.get(number)
        if line is None:
            line = lines[number] = folder.add(number)
            progress.count(line["duration_s"])
        made += line["duration_s"]
        if made >= 3600.0 * hours:
            break
    progress.close()
    return [lines[number] for number in sorted(lines)]


def _numbers(folder: CorpusFolder, seed: int, tunes: str, jobs: int) -> Iterator[int]:
    """Numbers of pieces in order, each once it is there."""
    tasks = ((folder.path, seed, number, tunes) for number in range(10**6))
    if jobs == 1:
        yield from map(_make, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        waiting = [pool.apply_async(_make, (next(tasks),)) for _ in range(_AHEAD * jobs)]
        while True:
            yield waiting.pop(0).get()
            waiting.append(pool.apply_async(_make, (next(tasks),)))


class _RenderProgress:
    """A line that is rewritten on a terminal, and written every half minute elsewhere."""

    def __init__(self, hours: float, begun_s: float) -> None:
        self._hours, self._begun, self._made = hours, begun_s, 0.0
        self._start = self._last = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def count(self, seconds: float) -> None:
        self._made += seconds
        now = time.monotonic()
        if now - self._last >= (0.2 if self._terminal else 30.0):
            self._last = now
            print(self._line(now), file=sys.stderr, end="\r" if self._terminal else "\n", flush=True)

    def close(self) -> None:
        print(self._line(time.monotonic()), file=sys.stderr, flush=True)

    def _line(self, now: float) -> str:
        done = (self._begun + self._made) / 3600.0
        speed = self._made / max(now - self._start, 1e-3)
        left = max(0.0, self._hours - done) * 60.0 / speed if speed else 0.0
        return f"{done:.2f} of {self._hours:g} h, {speed:.1f} times real time, {left:.0f} minutes left   "


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "ripieno corpus",
        description="Render band music with all that is known of it: beats, chords, who plays, captions. Interrupted "
        "work is resumed by the same command. Needs FluidSynth and the sound fonts that docs/corpus.md names.",
        epilog="Example: ripieno corpus corpus --hours 60 --seed 1 --jobs 2",
    )
    parser.add_argument("out", type=Path, help="folder of the corpus; made if missing")
    parser.add_argument("--hours", type=float, default=1.0, help="length of all pieces together; default 1")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same pieces; default 1")
    parser.add_argument(
        "--tunes", type=Path, help="folder with pop909.tar.gz or leadsheets.tar.gz; default: own tunes only"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes; default 1")
    return parser


def _summary(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    hours = sum(line["duration_s"] for line in lines) / 3600.0
    held = sum(line["held_out"] for line in lines)
    moved, dropped = (sum(line[name] for line in lines) for name in ("notes_moved", "notes_dropped"))
    yield f"{len(lines)} pieces, {hours:.2f} hours, {held} held out; notes moved by octaves {moved}, dropped {dropped}"
    for name in ("style", "room"):
        counts = Counter(line[name] for line in lines)
        yield f"{name}s: {', '.join(f'{key} {count}' for key, count in counts.most_common())}"


def corpus_main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit status: 0 finished; 1 failed, or interrupted; 2 wrong arguments."""
    args = _parser().parse_args(argv)
    if not (0.0 < args.hours <= 100000.0 and args.seed >= 0 and 1 <= args.jobs <= 256):
        print("ripieno corpus: wanted --hours above 0, --seed 0 or more, --jobs 1..256", file=sys.stderr)
        return 2
    try:
        lines = render_corpus(args.out, args.hours, args.seed, args.tunes, args.jobs)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command resumes", file=sys.stderr)
        return 1
    except (EngineError, OSError) as error:
        print(f"ripieno corpus: {error}", file=sys.stderr)
        return 1
    print("\n".join(_summary(lines)))
    return 0
