"""Drums of the arranger: grooves that stay recognisable, small changes, fills where phrases end."""

from typing import Final

import numpy as np

from training.data.arrange.form import BarPlan
from training.data.arrange.meters import BarGrid
from training.data.arrange.styles import DRUM_KEYS, ArrangementStyle, Beat

__all__ = ["FILLS", "drum_hits"]

Hits = list[tuple[int, int, int]]
"""(step in the bar, drum note, velocity)"""

# Fills as drum lines: they replace all that is written from their first step on, kick and pedal aside.
FILLS: Final = {
    "snare": (("S:............XxXx",), ("S:........x.x.xxXX",), ("S:..........x.x.XX",)),
    "toms": (
        ("T:............XX..", "M:..............X.", "L:...............X"),
        ("T:........Xx......", "M:..........Xx....", "L:............XxX."),
        ("S:........XX......", "T:..........XX....", "M:............XX..", "L:..............XX"),
    ),
    "break": (("K:............X...", "S:............X.X."), ("S:..........X..X..", "K:..........X.....")),
    "crescendo": (("S:........o.o.x.xX",), ("S:o.o.o.o.x.x.xxXX", "K:X...X...X...X...")),
    "swung": (
        ("S:............x.x.",),
        ("S:........x.x.x.x.",),
        ("S:..........x.X.x.",),
        ("T:........x.x.....", "L:............x.x."),
    ),
    "waltz": (("S:............x.x.",), ("S:........x...x.x.",)),
    "swung_waltz": (("S:............x.x.",), ("S:......x...x...x.",), ("T:........x.......", "L:............x.x.")),
    "rim": (("R:............x.xx",), ("R:........x..x..x.",)),
}  # fmt: skip

SIX_FILLS: Final = {
    "snare": (("S:......x.x.x.",), ("S:......x.xxXX",), ("S:x.x.x.xxxxXX",)),
    "toms": (
        ("T:......X.....", "M:........X...", "L:..........X."),
        ("T:......Xx....", "M:........Xx..", "L:..........XX"),
    ),
    "break": (("K:......X.....", "S:........X.X."),),
    "crescendo": (("S:o.o.x.x.x.XX",), ("S:oooxxxxxxXXX",)),
    "rim": (("R:......x.x.x.",),),
}
"""Fills of 6/8."""

_LOUD: Final = {"X": 112, "x": 92, "o": 54}


def _steps(beat: Beat) -> dict[str, dict[int, str]]:
    return {line[0]: {step: mark for step, mark in enumerate(line[2:]) if mark != "."} for line in beat}


def _late(grid: BarGrid) -> list[int]:
    """Steps at which one more stroke of the kick does not hide the beat: the ends of beats, the first aside."""
    return [step for step in range(grid.pulse, grid.steps) if step % grid.pulse >= grid.pulse - 2]


def _changed(beat: dict[str, dict[int, str]], grid: BarGrid, rng: np.random.Generator) -> dict[str, dict[int, str]]:
    """A groove with one small change: a kick more, a ghost note, an opened hat, or a stroke left out."""
    made = {key: dict(marks) for key, marks in beat.items()}
    kind = int(rng.integers(4))
    step = int(rng.integers(1, grid.steps))
    if kind == 0 and "K" in made:
        made["K"][int(rng.choice(_late(grid)))] = "x"
    elif kind == 1 and "S" in made:
        made["S"].setdefault(step, "o")
    elif kind == 2 and "H" in made and made["H"]:
        made["H"].pop(grid.steps - 2, None)
        made.setdefault("O", {})[grid.steps - 2] = "x"
    else:
        key = str(rng.choice(sorted(made))) if made else ""
        if key and len(made[key]) > 2:
            made[key].pop(sorted(made[key])[-1])
    return made


class _Section:
    """The grooves of one section: what is written, and two variants of it."""

    def __init__(self, style: ArrangementStyle, level: int, rng: np.random.Generator) -> None:
        written = style.drums[level]
        base = _steps(written[int(rng.integers(len(written)))])
        other = (
            _steps(written[int(rng.integers(len(written)))]) if rng.random() < 0.25 else _changed(base, style.grid, rng)
        )
        self.ideas = (base, other, _changed(other, style.grid, rng))


def _fill(hits: Hits, style: ArrangementStyle, short: bool, rng: np.random.Generator) -> Hits:
    name = style.fills[int(rng.integers(len(style.fills)))]
    kinds = (SIX_FILLS if style.meter == "6/8" else FILLS)[name]
    written = kinds[0] if short else kinds[int(rng.integers(len(kinds)))]
    # In a shorter bar a fill keeps its end.
    fill = _steps(tuple(line[:2] + line[2:][-style.grid.steps :] for line in written))
    fill = {key: marks for key, marks in fill.items() if marks}
    start = min(min(marks) for marks in fill.values())
    keep = {DRUM_KEYS["K"], DRUM_KEYS["F"]}
    kept = [hit for hit in hits if hit[0] < start or (hit[1] in keep and "K" not in fill)]
    return kept + [(step, DRUM_KEYS[key], _LOUD[mark]) for key, marks in fill.items() for step, mark in marks.items()]


def drum_hits(plans: tuple[BarPlan, ...], style: ArrangementStyle, rng: np.random.Generator) -> list[Hits]:
    """Strokes of every bar; none where the plan has no drums."""
    sections: dict[tuple[int, int], _Section] = {}
    bars: list[Hits] = []
    for bar, plan in enumerate(plans):
        level = plan.levels.get("drum")
        if level is None or not style.drums[level]:
            bars.append([])
            continue
        key = (plan.section, level)
        if key not in sections:
            sections[key] = _Section(style, level, rng)
        hits: Hits = []
        for drum, marks in sections[key].ideas[plan.idea].items():
            # A single crash is written to greet a section, not each of its bars.
            if drum == "C" and len(marks) == 1 and not plan.first:
                continue
            hits += [(s, DRUM_KEYS[drum], _LOUD[m]) for s, m in marks.items() if m != "o" or rng.random() < 0.6]
        if style.fills and plan.last and bar + 1 < len(plans) and rng.random() < 0.8:
            hits = _fill(hits, style, False, rng)
        elif style.fills and plan.half and rng.random() < 0.35:
            hits = _fill(hits, style, True, rng)
        if style.crash and plan.first and bar and level > 0 and rng.random() < 0.75:
            hits = [hit for hit in hits if not (hit[0] == 0 and hit[1] in (42, 46, 51))]
            hits += [(0, DRUM_KEYS["C"], 108), (0, DRUM_KEYS["K"], 112)]
        if style.crash and bar + 1 == len(plans) and rng.random() < 0.7:  # the end: one stroke
            hits = [(0, DRUM_KEYS["K"], 112), (0, DRUM_KEYS["C"], 108)]
        bars.append(_unique(hits))
    return bars


def _unique(hits: Hits) -> Hits:
    """Each drum once a step, in order."""
    return [(step, note, loud) for (step, note), loud in sorted({(s, n): v for s, n, v in hits}.items())]
