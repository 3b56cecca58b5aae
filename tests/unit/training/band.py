"""A small store of grids for tests: a dictionary of singles and a few chords, tunes that follow their chords."""

from pathlib import Path

import numpy as np

from engine.music.harmony import Chord
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary
from training.data.grids import DICTIONARY_FILE, StoreEntry, write_shard
from training.data.pieces import chord_rows

TRIADS = [(0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16)]


def dictionary() -> Dictionary:
    counts: dict[str, dict[tuple[int, ...], int]] = {role: {} for role in ROLES}
    for low in (48, 60):
        for shift in range(-6, 6):
            for triad in TRIADS:
                chord = tuple(low + shift + step for step in triad)
                for role in ("guitar", "piano", "string"):
                    counts[role][chord] = 9
    counts["drum"] = {(36, 42): 9, (38, 42): 9}
    return Dictionary.build(counts, splits={(8, 3): 5, (3, 1): 2})


def grid(words: Dictionary, bars: int, seed: int = 0, *, empty: tuple[str, ...] = ()) -> np.ndarray:
    """C F G Am by turns: roots, triads, kick and snare, a lead on chord tones."""
    rng = np.random.default_rng(seed)
    made = np.full((14, 16 * bars), PAD, np.int64)

    def put(role: str, column: int, pitches: tuple[int, ...], length: int) -> None:
        token = words.token(role, pitches)
        assert token is not None
        track = ROLES.index(role)
        made[2 * track, column], made[2 * track + 1, column] = token, length - 1

    for bar in range(bars):
        number = int(rng.integers(4)) if seed else bar % 4
        triad = TRIADS[number]
        made[12, 16 * bar : 16 * bar + 16] = words.roots[(0, 5, 7, 9)[number]]
        made[13, 16 * bar : 16 * bar + 16] = words.kinds[1 if number == 3 else 0]
        for beat in range(4):
            column = 16 * bar + 4 * beat
            put("lead", column, (72 + int(rng.choice(triad)),), 4)
            put("drum", column, (36, 42) if beat % 2 == 0 else (38, 42), 1)
        put("bass", 16 * bar, (36 + triad[0],), 9)
        put("guitar", 16 * bar + 4, tuple(48 + step for step in triad), 4)
        put("piano", 16 * bar, tuple(60 + step for step in triad), 6)
        put("string", 16 * bar, tuple(60 + step for step in triad), 9)
    for role in empty:
        track = ROLES.index(role)
        made[2 * track : 2 * track + 2] = words.empty
    return made


def chords(made: np.ndarray, words: Dictionary) -> np.ndarray:
    """The chord rows of a grid as the store keeps chords."""
    qualities = ("maj", "min")
    rows = []
    for root, kind in zip(made[12], made[13], strict=True):
        pitch = int(root) - words.roots.start
        rows.append(Chord(pitch, qualities[int(kind) - words.kinds.start], pitch))
    return chord_rows(rows)


def write_store(folder: Path, songs: int = 12, bars: int = 8) -> Path:
    """Songs 0, 4, 8 ... are held out; song 1 has no strings and is short."""
    folder.mkdir(parents=True, exist_ok=True)
    words = dictionary()
    (folder / DICTIONARY_FILE).write_text(words.text, "utf-8")
    entries, grids, rows = [], [], []
    for song in range(songs):
        length = 3 if song == 1 else bars
        entries.append(StoreEntry(f"song-{song}", f"tune-{song}", "CC0", "test", 100.0, 0, 16 * length, song % 4 == 0))
        grids.append(grid(words, length, song + 1, empty=("string",) if song == 1 else ()))
        rows.append(chords(grids[-1], words))
    half = songs // 2
    write_shard(folder / "grids-00000.npz", entries[:half], grids[:half], rows[:half], {"lost": {}, "notes": 0})
    write_shard(folder / "grids-00001.npz", entries[half:], grids[half:], rows[half:], {"lost": {}, "notes": 0})
    return folder
