"""A fact is declared in one place of the project."""

import re
from collections.abc import Iterator
from pathlib import Path

from engine.music.units import TEMPO_BPM

ROOT = Path(__file__).parents[2]


def modules() -> Iterator[tuple[str, str]]:
    for room in ("engine", "bridge", "training", "export"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_array_types_are_declared_in_music_arrays_and_nowhere_else() -> None:
    alias = re.compile(r"^[A-Z]+\d+ *(?::[^=]+)?= *npt\.NDArray", re.M)
    assert [name for name, text in modules() if alias.search(text)] == ["engine/music/arrays.py"]


def test_the_range_of_tempo_is_declared_once() -> None:
    low, high = TEMPO_BPM
    both = re.compile(rf"(?<![\d.]){low:g}(?:\.0)?\b[^\n]*(?<![\d.]){high:g}(?:\.0)?\b")
    assert [name for name, text in modules() if both.search(text)] == ["engine/music/units.py"]
