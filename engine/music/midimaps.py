"""Tempo and meter maps from the meta events of a MIDI file."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

from engine.music.score import Meter, TempoChange
from engine.music.units import TICKS_PER_BEAT

__all__ = ["meters_of", "tempos_of"]

_TEMPO: Final = b"\xff\x51\x03"
_METER: Final = b"\xff\x58"
_NEAR: Final = Fraction(1, 4)  # quarter notes from a bar line, within which a repeated meter says nothing new

Meta = tuple[int, bytes]  # tick of the file, bytes of the event


def tempos_of(metas: Iterable[Meta], scale: float) -> tuple[TempoChange, ...]:
    """The tempo map; of several tempos at one tick the last holds, and one of no length at all is passed over.

    Args:
        metas: by tick. scale: ticks of the score for one of the file.
    """
    rows = {0: 120.0}
    for tick, data in metas:
        micros = int.from_bytes(data[3:6], "big") if data[:3] == _TEMPO and len(data) >= 6 else 0
        if micros:
            rows[round(tick * scale)] = 60e6 / micros
    return tuple(TempoChange(tick, bpm) for tick, bpm in sorted(rows.items()))


def meters_of(metas: Iterable[Meta], beat: Fraction) -> tuple[tuple[Meter, ...], tuple[int, ...]]:
    """The meter map, and the tick of the file of each meter.

    What no music has is passed over. A meter that holds already starts a bar where it is repeated off the bar lines:
    notation programs write so after a pick-up bar.

    Args:
        metas: by tick. beat: ticks of the file a quarter note.
    """
    stated = {0: (4, 4)}
    for tick, data in metas:
        if data[:2] == _METER and len(data) >= 5 and data[2] >= 2 and 1 <= data[3] <= 64 and data[4] <= 6:
            stated[tick] = data[3], 1 << data[4]
    meters: dict[int, Meter] = {}
    ticks: dict[int, int] = {}
    last = 0
    for tick, (beats, unit) in sorted(stated.items()):
        here = round(tick * TICKS_PER_BEAT / beat)
        if meters:
            now = list(meters.values())[-1]
            inside = (tick - last) % (4 * beats * beat / unit)
            off = min(inside, 4 * beats * beat / unit - inside)
            if (now.beats, now.unit) == (beats, unit) and off <= _NEAR * beat:
                continue
        meters[here] = Meter(here, beats, unit)
        ticks[here] = last = tick
    return tuple(meters.values()), tuple(ticks.values())
