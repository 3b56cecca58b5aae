"""The plan of an arrangement: sections with more and less energy, who plays in each, and which bars repeat which."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from engine.music.score import ROLES
from training.data.arrange.styles import ArrangementStyle

__all__ = ["BarPlan", "draw_form"]

# Which of a section's ideas each bar of a four-bar phrase takes.
_PHRASES: Final = ("AAAB", "ABAB", "AABA", "AAAA", "ABAC", "AABB")
# How likely a role plays in a section at all, lead aside.
_PRESENCE: Final = {"bass": 0.95, "drum": 0.95, "guitar": 0.86, "piano": 0.9, "string": 0.8}
_PARTS: Final = ROLES[1:]


@dataclass(frozen=True, slots=True)
class BarPlan:
    """What is agreed on for one bar.

    Args:
        first: the section begins here (a crash is struck).
        last: the section ends here (a fill leads on).
        half: a four-bar phrase ends here, inside a section.
        idea: 0, 1 or 2: bars of a section with the same idea play the same pattern.
        section: number of the section.
        levels: 0 calm to 2 full by role; a role that is silent is missing.
    """

    first: bool
    last: bool
    half: bool
    idea: int
    section: int
    levels: dict[str, int]


def _sections(bars: int, sounding: tuple[bool, ...], rng: np.random.Generator) -> list[tuple[int, int]]:
    """(first bar, bars) of each section; the first begins a new one where the lead first sounds."""
    start = next((bar for bar in range(bars) if sounding[bar]), 0)
    edges = [0] if start == 0 else [0, start]
    while edges[-1] < bars:
        edges.append(edges[-1] + int(rng.choice([4, 8, 8, 8, 16])))
    edges[-1] = bars
    if len(edges) > 2 and edges[-1] - edges[-2] < 2:
        del edges[-2]
    return [(a, b - a) for a, b in pairwise(edges)]


def _energies(count: int, intro: bool, density: float, rng: np.random.Generator) -> list[float]:
    """One value a section around `density`: it rises and falls, drops out now and then, and thins at the end."""
    swing = rng.uniform(0.1, 0.35)
    phase = rng.uniform(0.0, 2.0)
    energies = []
    for index in range(count):
        wave = np.sin(np.pi * (index + phase))  # neighbours lean to opposite sides
        energy = density + swing * float(wave) + rng.normal(0.0, 0.07)
        if index and rng.random() < 0.1:
            energy -= 0.4  # a drop
        energies.append(energy)
    if intro:
        energies[0] -= 0.2
    if count > 2 and rng.random() < 0.4:
        energies[-1] -= 0.25
    return energies


def _levels(energy: float, style: ArrangementStyle, first: bool, rng: np.random.Generator) -> dict[str, int]:
    """Who plays how fully in a section; at least two roles always do."""
    levels = {}
    for role in _PARTS:
        level = int(np.clip(np.floor(3.0 * (energy + rng.normal(0.0, 0.1))), 0, 2))
        written = style.drums[level] if role == "drum" else getattr(style, role)[level]
        present = _PRESENCE[role] - (0.3 if first else 0.0) - max(0.0, 0.35 - energy) * 0.8
        if written and rng.random() < present:
            levels[role] = level
    while len(levels) < 2:
        role = str(rng.choice([each for each in _PARTS if each not in levels]))
        options = style.drums if role == "drum" else getattr(style, role)
        levels[role] = next((level for level in range(3) if options[level]), 0)
    return levels


def draw_form(
    sounding: tuple[bool, ...], style: ArrangementStyle, density: float, rng: np.random.Generator
) -> tuple[BarPlan, ...]:
    """Plan all bars.

    Args:
        sounding: for each bar, whether the lead starts a note in it.
        style: whose written levels there are.
        density: 0 sparse .. 1 full, about which energies move.
    """
    bars = len(sounding)
    sections = _sections(bars, sounding, rng)
    intro = not sounding[0]
    plans: list[BarPlan] = []
    for index, energy in enumerate(_energies(len(sections), intro, density, rng)):
        first, length = sections[index]
        levels = _levels(energy, style, intro and index == 0, rng)
        phrase = _PHRASES[int(rng.integers(len(_PHRASES)))]
        joins = sorted(levels) if rng.random() < 0.15 and index == 0 and length >= 4 else []
        for bar in range(length):
            now = dict(levels)
            for place, role in enumerate(joins):  # one after the other at the start
                if bar < min(place, length // 2):
                    now.pop(role)
            plans.append(
                BarPlan(
                    first=bar == 0,
                    last=bar == length - 1,
                    half=bar % 4 == 3 and bar != length - 1,
                    idea="ABC".index(phrase[bar % 4]),
                    section=index,
                    levels=now or dict(levels),
                )
            )
        assert first + length == len(plans)
    return tuple(plans)
