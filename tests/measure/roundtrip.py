"""How much of real files comes back from a grid: notes, starts, lengths, and what was lost to which cause.

    python -m tests.measure.roundtrip FOLDER [--official DICT] [--dictionary DICT] [--least N ...] [--limit N]
        [--json OUT]

FOLDER holds MIDI files in folders, one a collection. Three passes: count the chords of all files (or read them from
`--counts`), build dictionaries of all chords seen at least N times in all files together, encode and decode every file
with each, from tokens alone (nothing kept beside the grid is used). A last check has the bass and bars 3-4 of every
file as targets, and compares what `give_back` gives back of all the rest note for note.

*On the grid* is a note within 20 ticks (a sixth of a sixteenth) of a column; *mapped* one of a track that has a role.
A note has come back if its role, column and pitch have. Its length has if it is the table's nearest to what it was.
"""

import argparse
import json
import pickle
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pool
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.music.bars import COLUMN, Bars
from engine.music.columns import shift_of, table_of
from engine.music.grid import decode, encode, give_back
from engine.music.midifile import read_midi
from engine.music.roles import roles_of
from engine.music.score import ROLES, Score, ScoreError
from engine.music.tokens import nearest_codes, split_of
from engine.music.vocabulary import UNITS, Dictionary

_NEAR: Final = COLUMN // 6
_FEW: Final = 100  # notes of a file, below which its share says little
_SPLITS: Final = "lengths"  # beside the roles, where durations of two parts are counted
Counts = dict[str, Counter[tuple[int, ...]]]


def _files(folder: Path, limit: int) -> list[Path]:
    found: list[Path] = []
    for pack in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(pack.rglob("*.mid"))
        found += files if not limit else files[:: max(1, len(files) // limit)]
    return found


def _count(path: Path) -> Counts | str:
    try:
        score = read_midi(path)
        table, _ = table_of(score, roles_of(score), Bars.of(score))
    except ScoreError as error:
        return f"{path}: {error}"
    table = table.where(~table.doubled())
    made: Counts = {role: Counter() for role in (*ROLES, _SPLITS)}
    pitches = table.moved(shift_of(score, "near")).tolist()
    codes = nearest_codes(table.length / COLUMN).tolist()
    for group in table.groups():
        made[ROLES[int(table.role[group.start])]][tuple(pitches[group])] += 1
        low, rest = split_of(codes[group])
        made[_SPLITS][low, rest] += int(low != rest)
    return made


def _measure(score: Score, dictionary: Dictionary, official: bool) -> Counter[str]:
    """Counts of one file and one dictionary, from tokens alone."""
    made = encode(score, dictionary, official=official, chords=(None,))
    back = decode(made.grid, dictionary, made.shift, bars=made.bars)
    table, _ = table_of(score, made.roles, made.bars)
    near = np.abs(table.start - made.bars.ticks_of(table.column)) <= _NEAR
    wanted: dict[tuple[int, int, int], int] = {}
    for role, column, pitch, code, on in zip(
        table.role.tolist(), table.column.tolist(), table.pitch.tolist(),
        nearest_codes(table.length / COLUMN).tolist(), near.tolist(), strict=True,
    ):  # fmt: skip
        if on:
            wanted.setdefault((role, column, pitch), UNITS[code + 1] * COLUMN)
    got = {}
    for role, track in enumerate(back.tracks):
        columns = made.bars.columns_of(np.array([note.start for note in track.notes], np.int64))
        for column, note in zip(columns.tolist(), track.notes, strict=True):
            got[role, column, note.pitch] = note.length
    result = Counter({f"lost: {cause}": count for cause, count in made.losses.items()})
    result["notes"], result["mapped"], result["on grid"] = (
        sum(len(track.notes) for track in score.tracks), len(table), len(wanted),
    )  # fmt: skip
    result["back"] = sum(key in got for key in wanted)
    result["length"] = sum(got.get(key) == length for key, length in wanted.items())
    there = {*zip(table.role.tolist(), table.column.tolist(), table.pitch.tolist(), strict=True)}
    result["invented"] = len(set(got) - there)
    return result


def _untouched(score: Score, dictionary: Dictionary) -> bool:
    """Whether all that was no target comes back note for note, and cells that nobody changed give their notes back."""
    made = encode(score, dictionary, chords=(None,))
    whole = decode(made.grid, dictionary, made.shift, like=made)
    for own, track in zip(ROLES, whole.tracks, strict=True):
        source = [n for t, name in zip(score.tracks, made.roles, strict=True) if name == own for n in t.notes]
        if Counter(source) != Counter(track.notes):
            return False
    targets = np.zeros((len(ROLES), made.grid.shape[1]), np.bool_)
    targets[:, 32:64] = True
    targets[ROLES.index("bass")] = True
    given = give_back(score, made, made.grid, dictionary, targets)
    for index, (track, role) in enumerate(zip(score.tracks, made.roles, strict=True)):
        if not track.notes:
            continue
        columns = made.bars.columns_of(np.array([note.start for note in track.notes], np.int64))
        free = np.ones(len(columns), np.bool_) if role is None else ~targets[ROLES.index(role), columns]
        kept = [note for note, keep in zip(track.notes, free.tolist(), strict=True) if keep]
        if Counter(kept) - Counter(given.tracks[index].notes):
            return False
    return replace(given, tracks=score.tracks) == score


_WITH: list[tuple[str, Dictionary, bool]] = []


def _one(path: Path) -> tuple[str, dict[str, Counter[str]], bool] | str:
    try:
        score = read_midi(path)
        rows = {name: _measure(score, dictionary, official) for name, dictionary, official in _WITH}
        return str(path), rows, _untouched(score, _WITH[-1][1])
    except ScoreError as error:
        return f"{path}: {error}"


def _told(name: str, total: Counter[str], worst: list[tuple[float, str]]) -> Iterator[str]:
    grid = max(1, total["on grid"])
    yield (
        f"{name}: {total['on grid']} on-grid notes of {total['mapped']} mapped of {total['notes']}; "
        f"back {100 * total['back'] / grid:.2f} %, with length {100 * total['length'] / grid:.2f} %, "
        f"invented {total['invented']}"
    )
    for cause in sorted(key for key in total if key.startswith("lost: ")):
        yield f"    {cause}: {total[cause]} ({100 * total[cause] / max(1, total['notes']):.3f} % of all notes)"
    for share, path in sorted(worst)[:3]:
        yield f"    worst: {100 * share:.1f} % {path}"


def main(argv: list[str] | None = None) -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.roundtrip")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--official", type=Path)
    parser.add_argument("--dictionary", type=Path, help="one more of ours, such as a store's")
    parser.add_argument("--least", type=int, nargs="*", default=[1])
    parser.add_argument("--limit", type=int, default=0, help="about so many files a collection (all)")
    parser.add_argument("--counts", type=Path, help="file of counts, read if there, else written")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(argv)
    files, began = _files(asked.folder, asked.limit), time.monotonic()
    with Pool(2) as pool:
        if asked.counts and asked.counts.exists():
            counts: Counts = pickle.loads(asked.counts.read_bytes())
        else:
            counts = {role: Counter() for role in (*ROLES, _SPLITS)}
            for seen in pool.imap_unordered(_count, files, 8):
                if not isinstance(seen, str):
                    for name, seen_there in seen.items():
                        counts[name].update(seen_there)
            if asked.counts:
                asked.counts.write_bytes(pickle.dumps(counts))
    if asked.official:
        _WITH.append(("published way", Dictionary.load(asked.official), True))
        _WITH.append(("published dictionary, our way", Dictionary.load(asked.official), False))
    if asked.dictionary:
        given = Dictionary.load(asked.dictionary)
        _WITH.append((f"{asked.dictionary.name} ({given.size} tokens)", given, False))
    for least in asked.least:
        splits = {(low, rest): n for (low, rest), n in counts[_SPLITS].items() if n >= max(1, least)}
        dictionary = Dictionary.build(counts, least=least, splits=splits)
        _WITH.append((f"ours, seen {least} times or more ({dictionary.size} tokens)", dictionary, False))
    totals: dict[tuple[str, str], Counter[str]] = {}
    worst: dict[str, list[tuple[float, str]]] = {}
    broken: list[str] = []
    refused: list[str] = []
    with Pool(2) as pool:
        for found in pool.imap_unordered(_one, files, 8):
            if isinstance(found, str):
                refused.append(found)
                continue
            path, rows, whole = found
            if not whole:
                broken.append(path)
            for name, row in rows.items():
                pack = Path(path).relative_to(asked.folder).parts[0]
                for key in ((name, "all"), (name, pack)):
                    totals.setdefault(key, Counter()).update(row)
                if row["on grid"] >= _FEW:
                    worst.setdefault(name, []).append((row["back"] / row["on grid"], path))
    for (name, pack), total in sorted(totals.items(), key=lambda item: (item[0][0], item[0][1] != "all", item[0][1])):
        rows_ = list(_told(f"{name} | {pack}", total, worst.get(name, []) if pack == "all" else []))
        print("\n".join(rows_ if pack == "all" else rows_[:1]))
    print(f"{len(files)} files, {len(refused)} refused, untouched parts differ in {len(broken)}: {broken[:5]}")
    print("\n".join(refused[:10]), f"\n{time.monotonic() - began:.0f} s")
    if asked.json:
        table: dict[str, Any] = {f"{name} | {pack}": dict(total) for (name, pack), total in totals.items()}
        asked.json.write_text(json.dumps(table, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
