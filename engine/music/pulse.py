"""Musical time as a straight line through one moment: which tick it is at a time of the clock, and when a tick is."""

from dataclasses import dataclass

from engine.music.units import TICKS_PER_BEAT

__all__ = ["Pulse"]


@dataclass(frozen=True, slots=True)
class Pulse:
    """At `at_s` it is `tick`, and it advances at `tempo_bpm`; valid until the next one replaces it.

    Args:
        at_s: perf_counter seconds, one clock for all processes of a machine.
        tick: 480 a quarter note; may be fractional.
        tempo_bpm: quarter notes a minute, more than 0.
    """

    at_s: float
    tick: float
    tempo_bpm: float

    @property
    def ticks_per_s(self) -> float:
        """How fast musical time goes."""
        return self.tempo_bpm * TICKS_PER_BEAT / 60.0

    def tick_at(self, time_s: float) -> float:
        """The tick at a time."""
        return self.tick + (time_s - self.at_s) * self.ticks_per_s

    def time_of(self, tick: float) -> float:
        """The time of a tick, seconds."""
        return self.at_s + (tick - self.tick) / self.ticks_per_s

    def moved(self, time_s: float) -> "Pulse":
        """The same line, written from another moment."""
        return Pulse(time_s, self.tick_at(time_s), self.tempo_bpm)

    def at_tempo(self, tempo_bpm: float, time_s: float) -> "Pulse":
        """Another tempo from `time_s` on; the tick there is unchanged, so beats never jump."""
        return Pulse(time_s, self.tick_at(time_s), tempo_bpm)
