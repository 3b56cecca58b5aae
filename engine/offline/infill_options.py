"""Options of an infill beyond its tracks and bars, as one text: the same on the command line and over OSC.

The text is a list of ``NAME=VALUE``, separated by spaces: ``temperature=0.9 drum.density=0.5 bass.range=28-52``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from engine.errors import ControlError
from engine.models.getmusic.model import FillSettings
from engine.models.getmusic.plan import PLANS
from engine.music.roles import role_named
from engine.music.score import ROLES

__all__ = ["INFILL_OPTIONS", "InfillOptions", "infill_options"]

_NUMBERS: Final = {
    "temperature": (0.0, 2.0), "top_p": (0.01, 1.0), "refine": (0.0, 1.0), "pull": (0.0, 20.0),
}  # fmt: skip
_OF_ROLES: Final = {"temperature": (0.0, 2.0), "top_p": (0.01, 1.0), "density": (0.0, 1.0), "rests": (-10.0, 10.0)}
_FIELDS: Final = {"temperature": "temperatures", "top_p": "top_ps", "density": "densities", "rests": "rests"}
_TONES: Final = ("all", "scale", "chord")

INFILL_OPTIONS: Final = (
    "temperature, top_p, refine, pull (bias towards chord notes), plan; for one track ROLE.temperature, ROLE.top_p, "
    "ROLE.density (share of sixteenths with an onset), ROLE.rests (above 0: fewer notes), ROLE.range (such as 28-52), "
    "ROLE.tones (all, scale or chord)"
)
"""All names, for help texts and messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillOptions:
    """Options of an infill.

    Args:
        settings: the options that are part of `FillSettings`.
        pull, ranges, chord_tones, scale_tones: see `engine.models.getmusic.sheet.Wanted`.
    """

    settings: FillSettings = field(default_factory=FillSettings)
    pull: float | None = None
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    chord_tones: tuple[str, ...] = ()
    scale_tones: tuple[str, ...] = ()


def infill_options(text: str, settings: FillSettings | None = None) -> InfillOptions:
    """Read options from text.

    Args:
        text: ``NAME=VALUE``, separated by spaces.
        settings: values of the options that `text` does not name.
    Raises:
        ControlError: an unknown name, or a value out of range.
    """
    plain: dict[str, Any] = {}
    by_role: dict[str, dict[str, float]] = {name: {} for name in _OF_ROLES}
    ranges: dict[str, tuple[int, int]] = {}
    tones: dict[str, str] = {}
    for word in text.split():
        name, _, value = word.partition("=")
        spoken, _, part = name.rpartition(".")
        role = role_named(spoken) or ""
        if spoken and not role:
            raise ControlError(f"options of one track begin with {', '.join(ROLES)}; got {word!r}")
        if role and part in _OF_ROLES:
            by_role[part][role] = _number(name, value, *_OF_ROLES[part])
        elif role and part == "range":
            ranges[role] = _pitches(name, value)
        elif role and part == "tones" and value in _TONES:
            tones[role] = value
        elif not role and name in _NUMBERS:
            plain[name] = _number(name, value, *_NUMBERS[name])
        elif not role and name == "plan" and value in PLANS:
            plain[name] = value
        else:
            raise ControlError(f"an option is NAME=VALUE, where NAME is one of {INFILL_OPTIONS}; got {word!r}")
    pull = plain.pop("pull", None)
    parts: dict[str, Any] = {_FIELDS[name]: rows for name, rows in by_role.items() if rows}
    return InfillOptions(
        settings=replace(settings or FillSettings(), **plain, **parts),
        pull=pull,
        ranges=ranges,
        chord_tones=tuple(role for role, kind in tones.items() if kind == "chord"),
        scale_tones=tuple(role for role, kind in tones.items() if kind == "scale"),
    )


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = high + 1.0
    if not low <= value <= high:
        raise ControlError(f"{name} takes {low:g}..{high:g}, got {text!r}")
    return value


def _pitches(name: str, text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and int(low) <= int(high) <= 127):
        raise ControlError(f"{name} takes pitches 0..127 such as 28-52, got {text!r}")
    return int(low), int(high)
