"""Styles of the arranger: which step of the bar each part plays on, as text that can be read aloud.

Every pattern has one character for each sixteenth of a bar (16 in 4/4, 12 in 3/4 and 6/8, 8 in 2/4), ``.`` for
nothing. What the others mean:

- drums: ``X`` an accent, ``x`` a stroke, ``o`` a soft stroke that is sometimes left out.
- bass: ``R`` the chord's bass, ``5`` its fifth, ``3`` its third, ``7`` its seventh (or sixth), ``8`` the octave,
  ``w`` a step of the scale towards what comes, ``a`` a half or whole step next to the coming bass.
- guitar: ``D`` all strings, ``U`` the three highest, ``M`` these short, ``p`` root and fifth, ``0``..``5`` one string.
- piano: ``C`` a chord of the right hand, ``B`` a bass note of the left, ``A`` both, ``0``..``5`` single chord tones.
- string: ``P`` a chord, ``x`` a short one, ``H`` the highest voice in octaves, ``L`` a step of a line of its own.

Each part has levels from calm to full; each level has patterns to choose from. They stand in `tables` and its
neighbours, each line ``PART LEVEL PATTERN ...``, ``-`` for silence. Other lines of a style say ``meter 3/4``,
``swing 0.62 8``, ``harmony FAMILY``, ``programs ROLE PROGRAM,PROGRAM ... ROLE ...``, and what `ArrangementStyle` lists.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.music.score import ROLES
from training.data.arrange import tables, tables_meters, tables_modern
from training.data.arrange.instruments import KITS, RANGES
from training.data.arrange.meters import GRIDS, BarGrid
from training.data.pieces import PROGRAMS

__all__ = [
    "DRUM_KEYS",
    "GRID_STYLES",
    "LEVELS",
    "STYLES",
    "ArrangementStyle",
    "Beat",
    "Levels",
    "draw_programs",
    "read_styles",
]

Beat = tuple[str, ...]
"""Lines of a drum pattern, each ``KEY:STEPS``."""
Levels = tuple[tuple[str, ...], ...]
"""From calm to full: patterns to choose from."""
LEVELS: Final = ("calm", "main", "full")
OPTIONS: Final = {
    "gates": ["4", "4", "4", "16"],
    "sevenths": ["0"],
    "fills": [],
    "meter": ["4/4"],
    "swing": ["0.5", "8"],
    "programs": [],
    "harmony": ["pop"],
    "crash": ["yes"],
}
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
        fills: drum fills by name, see `drums.FILLS`; none are played without.
        meter: a key of `meters.GRIDS`; a tune that is arranged has this meter.
        swing: where in a pair of `swing_unit` notes the second falls, 0.5 straight .. 0.67 triplet. Notes are written
            straight: who plays them swings them.
        swing_unit: 8 where eighths swing, 16 where sixteenths do.
        programs: General MIDI programs to choose from, by role; of the drums, kits.
        harmony: family of chord progressions, see `harmony.FAMILIES`.
        crash: whether sections begin with a crash and pieces end with one.
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
    meter: str
    swing: float
    swing_unit: int
    programs: MappingProxyType[str, tuple[int, ...]]
    harmony: str
    crash: bool

    @property
    def grid(self) -> BarGrid:
        """The bar that its patterns fill."""
        return GRIDS[self.meter]


def _check(good: bool, line: str) -> None:
    if not good:
        raise ValueError(
            f"got style line {line!r}, wanted a known option, or PART LEVEL and patterns of a letter a sixteenth"
        )


def _programs(words: list[str]) -> MappingProxyType[str, tuple[int, ...]]:
    """`lead 73,66 bass 33` as programs by role; the usual one where a role is not named."""
    named = dict(zip(words[::2], words[1::2], strict=True))
    found = {role: tuple(map(int, named.get(role, str(PROGRAMS[role])).split(","))) for role in ROLES}
    known = all(program in (KITS if role == "drum" else RANGES) for role, row in found.items() for program in row)
    _check(known and set(named) <= set(ROLES), " ".join(words))
    return MappingProxyType(found)


def _patterns(lines: list[str], steps: int) -> tuple[dict[str, list[Beat]], dict[str, dict[str, tuple[str, ...]]]]:
    """The drum patterns by level, and those of the other parts by part and level."""
    drums: dict[str, list[Beat]] = {level: [] for level in LEVELS}
    parts: dict[str, dict[str, tuple[str, ...]]] = {part: {} for part in PARTS}
    for line in lines:
        key, level, *rows = line.split()
        rows = [] if rows == ["-"] else rows
        if key == "drums":
            good = (len(row) == steps + 2 and row[0] in DRUM_KEYS and set(row[2:]) <= set("Xxo.") for row in rows)
            drums[level].append(tuple(rows))
        else:
            good = (len(row) == steps and set(row) <= set(PARTS[key]) for row in rows)
            parts[key][level] = tuple(rows)
        _check(all(good), line)
    return drums, parts


def _style(lines: list[str]) -> ArrangementStyle:
    name, low, high = lines[0].split()[1:]
    written = [line for line in lines[1:] if line.split()[0] in ("drums", *PARTS)]
    options = {key: words for key, *words in (line.split() for line in lines[1:] if line not in written)}
    for line in lines[1:]:
        _check(line in written or line.split()[0] in OPTIONS, line)
    options = {**OPTIONS, **options}
    drums, parts = _patterns(written, GRIDS[options["meter"][0]].steps)
    bass, guitar, piano, string = map(int, options["gates"])
    return ArrangementStyle(
        name=name,
        tempo=(int(low), int(high)),
        drums=tuple(tuple(drums[level]) for level in LEVELS),
        gates=(bass, guitar, piano, string),
        sevenths=float(options["sevenths"][0]),
        fills=tuple(options["fills"]),
        meter=options["meter"][0],
        swing=float(options["swing"][0]),
        swing_unit=int(options["swing"][1]),
        programs=_programs(options["programs"]),
        harmony=options["harmony"][0],
        crash=options["crash"] == ["yes"],
        **{part: tuple(rows[level] for level in LEVELS) for part, rows in parts.items()},
    )


def read_styles(text: str) -> dict[str, ArrangementStyle]:
    """Styles by name from text of the form of `tables.TEXT`: blocks apart by blank lines.

    Raises:
        ValueError: a pattern has not one known letter a sixteenth, or an option or program is not known.
    """
    styles = [_style(block.splitlines()) for block in text.strip().split("\n\n")]
    return {style.name: style for style in styles}


_FIRST: Final = read_styles(tables.TEXT)
STYLES: Final = MappingProxyType({**_FIRST, **read_styles(tables_meters.TEXT), **read_styles(tables_modern.TEXT)})
"""All styles by name."""
GRID_STYLES: Final = tuple(_FIRST)
"""The first styles, all in 4/4: those that stores of grids are made from."""


def draw_programs(style: ArrangementStyle, seed: int) -> dict[str, int]:
    """One General MIDI program for each role, of those that a style has; the same for the same seed."""
    rng = np.random.default_rng([seed, *style.name.encode()])
    return {role: int(rng.choice(style.programs[role])) for role in ROLES}
