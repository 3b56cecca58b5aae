"""Styles of the arranger: which step of the bar each part plays on, as text that can be read aloud.

Every pattern is sixteen characters, one for each sixteenth of a 4/4 bar, ``.`` for nothing. What the others mean:

- drums: ``X`` an accent, ``x`` a stroke, ``o`` a soft stroke that is sometimes left out.
- bass: ``R`` the chord's bass, ``5`` its fifth, ``3`` its third, ``7`` its seventh (or sixth), ``8`` the octave,
  ``w`` a step of the scale towards what comes, ``a`` a half or whole step next to the coming bass.
- guitar: ``D`` all strings, ``U`` the three highest, ``M`` these short, ``p`` root and fifth, ``0``..``5`` one string.
- piano: ``C`` a chord of the right hand, ``B`` a bass note of the left, ``A`` both, ``0``..``5`` single chord tones.
- string: ``P`` a chord, ``x`` a short one, ``H`` the highest voice in octaves, ``L`` a step of a line of its own.

Each part has levels from calm to full; each level has patterns to choose from. They stand in
`arrange_tables`, each line ``PART LEVEL PATTERN ...``, ``-`` for silence.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from training.data.arrange.tables import TEXT

__all__ = ["DRUM_KEYS", "LEVELS", "STYLES", "ArrangementStyle", "Beat", "Levels", "read_styles"]

Beat = tuple[str, ...]
"""Lines of a drum pattern, each ``KEY:sixteen steps``."""
Levels = tuple[tuple[str, ...], ...]
"""From calm to full: patterns to choose from."""
LEVELS: Final = ("calm", "main", "full")
PARTS: Final = {"bass": "R5378wa.", "guitar": "DUMp012345.", "piano": "CBA012345.", "string": "PxHL."}

DRUM_KEYS: Final = MappingProxyType(
    {
        **dict(zip("KSRPHOFCDB", (36, 38, 37, 39, 42, 46, 44, 49, 51, 53), strict=True)),
        **dict(zip("TMLtwscgkb", (50, 47, 43, 54, 56, 70, 63, 64, 75, 69), strict=True)),
    }
)
"""Letters of drum lines as General MIDI drum notes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrangementStyle:
    """How a band plays.

    Args:
        name: of the style.
        tempo: least and greatest beats a minute.
        drums, bass, guitar, piano, string: see the module's text; an empty level is silence.
        gates: longest note in sixteenths of bass, guitar, piano and string.
        sevenths: share of pieces whose plain triads are played as sevenths.
        fills: drum fills by name, see `arrange_drums.FILLS`.
    """

    name: str
    tempo: tuple[int, int]
    drums: tuple[tuple[Beat, ...], ...]
    bass: Levels
    guitar: Levels
    piano: Levels
    string: Levels
    gates: tuple[int, int, int, int]
    sevenths: float
    fills: tuple[str, ...]


def _check(good: bool, line: str) -> None:
    if not good:
        raise ValueError(f"got style line {line!r}, wanted PART LEVEL and patterns of sixteen known letters")


def _style(lines: list[str]) -> ArrangementStyle:
    name, low, high = lines[0].split()[1:]
    drums: dict[str, list[Beat]] = {level: [] for level in LEVELS}
    parts: dict[str, dict[str, tuple[str, ...]]] = {part: {} for part in PARTS}
    options = {"sevenths": ["0"]}
    for line in lines[1:]:
        key, *words = line.split()
        if key == "drums":
            level, *beat = words
            beat = [] if beat == ["-"] else beat
            _check(all(len(row) == 18 and row[0] in DRUM_KEYS and set(row[2:]) <= set("Xxo.") for row in beat), line)
            drums[level].append(tuple(beat))
        elif key in PARTS:
            level, *patterns = words
            patterns = [] if patterns == ["-"] else patterns
            _check(all(len(row) == 16 and set(row) <= set(PARTS[key]) for row in patterns), line)
            parts[key][level] = tuple(patterns)
        else:
            options[key] = words
    bass, guitar, piano, string = map(int, options["gates"])
    levels = {part: tuple(rows[level] for level in LEVELS) for part, rows in parts.items()}
    return ArrangementStyle(
        name=name,
        tempo=(int(low), int(high)),
        drums=tuple(tuple(drums[level]) for level in LEVELS),
        gates=(bass, guitar, piano, string),
        sevenths=float(options["sevenths"][0]),
        fills=tuple(options["fills"]),
        **levels,
    )


def read_styles(text: str) -> dict[str, ArrangementStyle]:
    """Styles by name from text of the form of `arrange_tables`: blocks apart by blank lines.

    Raises:
        ValueError: a pattern is not sixteen known letters.
    """
    styles = [_style(block.splitlines()) for block in text.strip().split("\n\n")]
    return {style.name: style for style in styles}


STYLES: Final = MappingProxyType(read_styles(TEXT))
"""All styles by name."""
