"""A picture of notes: strips of piano roll, bar lines and what is new, as a PNG (pillow)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

from engine.errors import RecordError, ShapeError
from engine.music.score import Note

__all__ = ["Roll", "Strip", "draw_rolls", "save_rolls"]

_INK, _PAPER, _FAINT, _STRIPE = (232, 232, 226), (14, 14, 18), (70, 70, 80), (22, 22, 28)
_SHADE: Final = (30, 32, 48)
_COLOURS: Final = {
    "lead": (250, 158, 66), "bass": (94, 196, 182), "drum": (214, 70, 84), "guitar": (180, 140, 250),
    "piano": (110, 170, 250), "string": (160, 210, 90),
}  # fmt: skip
_OTHER: Final = (200, 200, 200)
_LEAST: Final = 12  # semitones shown at least
_MOST_LINES: Final = 400  # bar lines closer than this would say nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """One part.

    Args:
        name: written at its left; a role's name has its colour.
        notes: all that sounds. new: whether a note was made (bright) or was there (dim).
    """

    name: str
    notes: tuple[Note, ...]
    new: Callable[[Note], bool] = lambda note: False


@dataclass(frozen=True, kw_only=True, slots=True)
class Roll:
    """Strips under one title."""

    title: str
    strips: tuple[Strip, ...]


def draw_rolls(
    rolls: Sequence[Roll],
    bars: Sequence[int],
    *,
    first_bar: int = 1,
    shaded: tuple[int, int] = (0, 0),
    width: int = 1200,
    height: int = 64,
    title: str = "",
) -> Any:
    """The picture as a pillow image.

    Args:
        rolls: from top to bottom.
        bars: ticks of the bar lines, the first and the last being the picture's edges.
        first_bar: number written at the first.
        shaded: ticks from which to which the ground is lighter, such as what was to be made.
        width, height: of the ground and of one strip, in pixels.
    Raises:
        ShapeError: there is nothing to draw.
    """
    if len(bars) < 2 or bars[0] >= bars[-1] or not any(roll.strips for roll in rolls):
        raise ShapeError(f"a roll needs a strip and two bar lines, got {len(bars)}")
    rows = sum(22 + len(roll.strips) * (height + 4) for roll in rolls)
    image = Image.new("RGB", (width + 100, 40 + rows + 26), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((80, 10), title, _INK, font=_font(15))
    at = _Across(80, width, bars[0], bars[-1])
    top = 36
    for roll in rolls:
        pen.text((80, top + 2), roll.title, _INK, font=_font(12))
        top += 22
        for strip in roll.strips:
            _draw_ground(pen, bars, at, top, height, shaded)
            _draw_notes(pen, strip, at, top, height)
            top += height + 4
    every = max(1, len(bars) * 26 // width)
    for index, tick in enumerate(bars[:-1]):
        if index % every == 0:
            pen.text((at.x(tick) + 2, top + 2), str(first_bar + index), _OTHER, font=_font(11))
    return image


def save_rolls(path: str | Path, rolls: Sequence[Roll], bars: Sequence[int], **look: Any) -> None:
    """Draw into a PNG file; arguments as for `draw_rolls`.

    Raises:
        RecordError: the file cannot be written.
    """
    image = draw_rolls(rolls, bars, **look)
    try:
        image.save(path, "PNG")
    except OSError as error:
        raise RecordError(f"{path}: the picture cannot be written ({error}); choose another folder") from None


@dataclass(frozen=True, slots=True)
class _Across:
    """Ticks to pixels."""

    left: int
    width: int
    first: int
    last: int

    def x(self, tick: float) -> float:
        share = (tick - self.first) / (self.last - self.first)
        return self.left + self.width * min(1.0, max(0.0, share))


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _draw_ground(pen: Any, bars: Sequence[int], at: _Across, top: int, height: int, shaded: tuple[int, int]) -> None:
    pen.rectangle([at.left, top, at.left + at.width, top + height - 1], _STRIPE)
    if shaded[0] < shaded[1]:
        pen.rectangle([at.x(shaded[0]), top, at.x(shaded[1]), top + height - 1], _SHADE)
    if len(bars) <= _MOST_LINES:
        for tick in bars:
            pen.line([(at.x(tick), top), (at.x(tick), top + height - 1)], _FAINT)


def _draw_notes(pen: Any, strip: Strip, at: _Across, top: int, height: int) -> None:
    colour = _COLOURS.get(strip.name, _OTHER)
    dim = tuple(part * 2 // 5 for part in colour)
    pen.text((74, top + height / 2), strip.name, colour, font=_font(12), anchor="rm")
    notes = [note for note in strip.notes if note.end >= at.first and note.start < at.last]
    if not notes:
        return
    low, high = min(note.pitch for note in notes), max(note.pitch for note in notes)
    spare = max(0, _LEAST - (high - low + 1))
    low, high = low - spare // 2, high + spare - spare // 2
    step = (height - 2) / (high - low + 1)
    for note in notes:
        y = top + 1 + (high - note.pitch) * step
        right = max(at.x(note.end) - 1, at.x(note.start) + 2)
        pen.rectangle([at.x(note.start), y, right, y + max(1.0, step - 1)], colour if strip.new(note) else dim)
