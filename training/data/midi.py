"""Packs and folders of MIDI to a store of grids: ``python -m training.data.midi PACK ... --out FOLDER``.

Three steps, each in shards that are written once, so that interrupted work resumes where it stopped: files to
pieces (`gather`), all pieces of the training side to a dictionary, pieces to grids. What was lost, and why, is counted.
"""

import argparse
import hashlib
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import I64, U16
from engine.music.bars import COLUMN, Bars
from engine.music.columns import shift_of, table_of
from engine.music.grid import encode
from engine.music.harmony import NO_CHORD, Chord
from engine.music.score import ROLES, Score
from engine.music.tokens import nearest_codes, split_of
from engine.music.vocabulary import Dictionary
from training.data.corpus import DataError
from training.data.gather import LeftOut, gather
from training.data.grids import BAR, DICTIONARY_FILE, PAD, StoreEntry, read_shard, write_shard
from training.data.licences import UNKNOWN, may_ship
from training.data.pieces import NotePiece, chord_rows, read_pieces, side_of, write_pieces
from training.data.tunes import Item, Pack

__all__ = ["StoreSettings", "Summary", "main", "prepare"]

log = logging.getLogger(__name__)

_FORMAT: Final = 2
_SHARD: Final = 48  # files to a shard
_ABOUT: Final = "about.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreSettings:
    """How a store is made.

    Args:
        versions: arrangements of each tune whose chords are known.
        valid: share of tunes held out.
        licence: of packs without an index.
        any_licence: take files whose licence forbids shipping what learned from them, too: for comparison only.
        share: of all that is struck together in a track, what the dictionary holds (the published rule).
        least: how often it must have been struck.
        most: compounds of each track. splits: durations of two parts, the most frequent.
        limit: files of each pack at most, spread evenly; 0 is all.
        dictionary: a file to take instead of counting, so that a network that speaks it can go on learning.
    """

    versions: int = 3
    valid: float = 0.05
    licence: str = UNKNOWN
    any_licence: bool = False
    share: float = 0.98
    least: int = 8
    most: int = 900
    splits: int = 64
    limit: int = 0
    dictionary: str = ""


@dataclass
class Summary:
    """What was made, in numbers."""

    files: int = 0
    pieces: int = 0
    bars: int = 0
    notes: int = 0
    held_out: int = 0
    vocabulary: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    roles: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[tuple[str, str]]:
        """Rows of a table for people."""

        def most(counts: Counter[str]) -> str:
            return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(24)) or "none"

        return [
            ("files", f"{self.files:,}"),
            ("pieces", f"{self.pieces:,} ({self.held_out:,} held out)"),
            ("bars", f"{self.bars:,}"),
            ("notes", f"{self.notes:,}"),
            ("dictionary", f"{self.vocabulary:,} tokens"),
            ("files left out", most(self.left_out)),
            ("notes lost", most(self.lost)),
            ("bars by role", most(self.roles)),
            ("pieces by licence", most(self.licences)),
            ("pieces by style", most(self.styles)),
        ]


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            if done % max(1, total // 10) == 0:
                log.info("%s: %d of %d", name, done, total)

        yield count
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        yield lambda: bar.advance(task)


def _chosen(packs: Sequence[Path], settings: StoreSettings) -> tuple[list[tuple[Path, list[Item]]], Counter[str]]:
    """Files to read, by pack; what is left out for its licence is counted."""
    chosen, left = [], Counter[str]()
    for path in packs:
        with Pack(path, settings.licence) as pack:
            everything = pack.items()
        items = [item for item in everything if settings.any_licence or may_ship(item.licence)]
        left["licence"] += len(everything) - len(items)
        if settings.limit and len(items) > settings.limit:
            items = [items[int(i)] for i in np.linspace(0, len(items) - 1, settings.limit)]
        chosen.append((path, items))
    if not any(items for _, items in chosen):
        raise DataError(f"no file of {', '.join(map(str, packs))} may be used: name packs, or tell their licence")
    return chosen, left


def _digest(chosen: Iterable[tuple[Path, list[Item]]], settings: StoreSettings) -> str:
    about = [[asdict(item) for item in items] for _, items in chosen]
    text = json.dumps([_FORMAT, about, asdict(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _begin(out: Path, digest: str, settings: StoreSettings) -> None:
    """Take a folder, or go on in it.

    Raises:
        DataError: it holds a store made from other files or settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    about = out / _ABOUT
    if about.exists():
        if json.loads(about.read_text("utf-8"))["digest"] != digest:
            raise DataError(f"{out} holds a store of other files or settings: choose another folder, or remove it")
        return
    about.write_text(json.dumps({"digest": digest, "settings": asdict(settings)}, indent=1) + "\n", "utf-8")


def _gather(chosen: Sequence[tuple[Path, list[Item]]], out: Path, settings: StoreSettings) -> list[Path]:
    """Step one: shards of pieces."""
    shards: list[Path] = []
    with _progress("files to pieces", sum(len(items) for _, items in chosen)) as advance:
        for path, items in chosen:
            batches = [items[first : first + _SHARD] for first in range(0, len(items), _SHARD)]
            names = [out / f"pieces-{len(shards) + index:05d}.npz" for index in range(len(batches))]
            shards += names
            if all(name.exists() for name in names):
                for _ in items:
                    advance()
                continue
            with Pack(path, settings.licence) as pack:
                for name, batch in zip(names, batches, strict=True):
                    found, left = _read(pack, batch if not name.exists() else [], settings, advance)
                    if not name.exists():
                        write_pieces(name, found, {"files": len(batch), "left_out": left})
    return shards


def _read(
    pack: Pack, items: Sequence[Item], settings: StoreSettings, advance: Callable[[], None]
) -> tuple[list[NotePiece], Counter[str]]:
    found: list[NotePiece] = []
    left: Counter[str] = Counter()
    for item in items:
        try:
            found += gather(pack, item, settings.versions)
        except LeftOut as cause:
            left[str(cause)] += 1
        except EngineError as error:  # a file that is no music: named, counted, passed over
            left[type(error).__name__] += 1
            log.info("%s/%s: %s", item.pack, item.file, error)
        advance()
    return found, left


def _dictionary(shards: Sequence[Path], out: Path, settings: StoreSettings) -> Dictionary:
    """Step two: what is struck together on the training side, most frequent first."""
    path = out / DICTIONARY_FILE
    if path.exists():
        return Dictionary.load(path)
    if settings.dictionary:
        given = Dictionary.load(settings.dictionary)
        path.write_text(given.text, "utf-8")
        return given
    counts: dict[str, Counter[tuple[int, ...]]] = {role: Counter() for role in ROLES}
    splits: Counter[tuple[int, int]] = Counter()
    with _progress("pieces to dictionary", len(shards)) as advance:
        for shard in shards:
            for piece in read_pieces(shard)[0]:
                if not side_of(piece.uid, settings.valid):
                    _strike(piece.score, counts, splits)
            advance()
    dictionary = Dictionary.build(
        counts, share=settings.share, least=settings.least, most=settings.most,
        splits=dict(splits.most_common(settings.splits)),
    )  # fmt: skip
    draft = out / f".{DICTIONARY_FILE}"
    draft.write_text(dictionary.text, "utf-8")
    draft.replace(path)
    return dictionary


def _strike(score: Score, counts: Mapping[str, Counter[tuple[int, ...]]], splits: Counter[tuple[int, int]]) -> None:
    """Add what is struck together in each role, in the key of the grid, and lengths of two parts."""
    table, _ = table_of(score, ROLES, Bars.of(score))
    table = table.where(~table.doubled())
    codes = nearest_codes(table.length / COLUMN).tolist()
    pitches, roles = table.moved(shift_of(score, "near")), table.role
    for group in table.groups():
        together = tuple(sorted({int(pitch) for pitch in pitches[group]}))
        if together[0] >= 0 and together[-1] <= 127:
            counts[ROLES[int(roles[group.start])]][together] += 1
        low, rest = split_of(codes[group])
        if low != rest:
            splits[low, rest] += 1


def _of_bars(chords: Sequence[Chord]) -> list[Chord | None]:
    """The chord that holds longest in each bar, the earlier of two; None where there is none."""
    bars = [chords[first : first + BAR] for first in range(0, len(chords), BAR)]
    longest = [max(bar, key=Counter(bar).__getitem__) for bar in bars]
    return [None if chord == NO_CHORD else chord for chord in longest]


def _grid(
    piece: NotePiece, dictionary: Dictionary, settings: StoreSettings
) -> tuple[StoreEntry, I64, Any, Counter[str]]:
    """One piece as whole bars of tokens; roles without notes are EMPTY, and nothing else is."""
    encoded = encode(piece.score, dictionary, roles=ROLES, chords=_of_bars(piece.chords) or None)
    columns = BAR * max(1, -(-piece.score.end // (4 * 480)))
    grid = np.full((14, columns), PAD, np.int64)
    width = min(columns, encoded.grid.shape[1])
    grid[:, :width] = encoded.grid[:, :width]
    for track, own in enumerate(piece.score.tracks):
        rows = slice(2 * track, 2 * track + 2)
        if not own.notes:
            grid[rows] = dictionary.empty
        else:
            grid[rows][grid[rows] >= dictionary.empty] = PAD
    if width < columns:  # the last notes are held over the line: so is their chord
        grid[12:, width:] = grid[12:, width - 1 : width]
    shifted = [chord.transposed(encoded.shift) for chord in piece.chords[:columns]]
    chords = chord_rows([*shifted, *[NO_CHORD] * (columns - len(shifted))])
    entry = StoreEntry(
        piece.name,
        piece.uid,
        piece.licence,
        piece.style,
        piece.score.tempos[0].bpm,
        encoded.shift,
        columns,
        side_of(piece.uid, settings.valid),
    )
    return entry, grid, chords, Counter(encoded.losses)


def _grids(
    shards: Sequence[Path], out: Path, dictionary: Dictionary, settings: StoreSettings, summary: Summary
) -> None:
    """Step three: shards of grids, and the count of everything."""
    with _progress("pieces to grids", len(shards)) as advance:
        for number, shard in enumerate(shards):
            path = out / f"grids-{number:05d}.npz"
            pieces, about = read_pieces(shard)
            if not path.exists():
                made = [_grid(piece, dictionary, settings) for piece in pieces]
                lost = sum((each[3] for each in made), Counter[str]())
                notes = sum(len(track.notes) for piece in pieces for track in piece.score.tracks)
                more = {"lost": lost, "notes": notes}
                write_shard(path, [m[0] for m in made], [m[1] for m in made], [m[2] for m in made], more)
            entries, cells, _, more = read_shard(path)
            _count(summary, entries, cells, dictionary)
            summary.files += about["files"]
            summary.left_out.update(about["left_out"])
            summary.lost.update(more["lost"])
            summary.notes += more["notes"]
            advance()


def _count(summary: Summary, entries: Sequence[StoreEntry], cells: U16, dictionary: Dictionary) -> None:
    summary.pieces += len(entries)
    summary.bars += cells.shape[1] // BAR
    summary.held_out += sum(entry.held_out for entry in entries)
    summary.licences.update(entry.licence for entry in entries)
    summary.styles.update(entry.style or "unknown" for entry in entries)
    for track, role in enumerate(ROLES):
        row = cells[2 * track].reshape(-1, BAR)
        summary.roles[role] += int(((row != PAD) & (row < dictionary.empty)).any(axis=1).sum())


def prepare(packs: Sequence[Path], out: Path, settings: StoreSettings | None = None) -> Summary:
    """Make a store, or finish one that was begun.

    Args:
        packs: folders or ``.tar.gz``.
        out: the store's folder.
    Raises:
        DataError: nothing may be used, or `out` holds another store.
        TuneError: a pack cannot be read.
    """
    settings = settings or StoreSettings()
    chosen, left = _chosen(packs, settings)
    digest = _digest(chosen, settings)
    _begin(out, digest, settings)
    shards = _gather(chosen, out, settings)
    dictionary = _dictionary(shards, out, settings)
    summary = Summary(left_out=left, vocabulary=dictionary.size)
    _grids(shards, out, dictionary, settings, summary)
    about = {"digest": digest, "settings": asdict(settings), "summary": vars(summary)}
    (out / _ABOUT).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    return summary


def _show(summary: Summary) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    for row in summary.lines():
        table.add_row(*row)
    Console().print(table)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 1 failed, 2 wrongly called."""
    parser = argparse.ArgumentParser("python -m training.data.midi", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packs", nargs="+", type=Path, help="folders of MIDI, or packs as .tar.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/bands"), help="folder of the store")
    parser.add_argument("--versions", type=int, default=StoreSettings().versions, help="arrangements of each tune")
    parser.add_argument("--licence", default=UNKNOWN, help="of folders without an index.csv")
    parser.add_argument("--any-licence", action="store_true", help="for comparison only: do not ship what learned here")
    parser.add_argument("--dictionary", default="", help="a dictionary to take instead of building one")
    parser.add_argument("--limit", type=int, default=0, help="files of each pack at most")
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    settings = replace(
        StoreSettings(),
        versions=args.versions,
        licence=args.licence,
        any_licence=args.any_licence,
        limit=args.limit,
        dictionary=args.dictionary,
    )
    try:
        _show(prepare(args.packs, args.out, settings))
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
