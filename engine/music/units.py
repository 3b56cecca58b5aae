"""Samples, seconds, frames and ticks into one another. A tick is musical time, 480 per quarter note."""

from typing import Final

__all__ = [
    "TEMPO_BPM",
    "TICKS_PER_BEAT",
    "amplitude_to_db",
    "db_to_amplitude",
    "is_tempo",
    "rescale",
    "samples_per_tick",
]

TICKS_PER_BEAT: Final = 480
TEMPO_BPM: Final = (20.0, 400.0)
"""The slowest and the fastest tempo, in quarter notes per minute: of the transport, of a MIDI clock, and of a file."""


def is_tempo(bpm: float) -> bool:
    """Whether a number of quarter notes per minute is within `TEMPO_BPM`."""
    return TEMPO_BPM[0] <= bpm <= TEMPO_BPM[1]


def rescale(samples: int, from_hz: int, to_hz: int) -> int:
    """The sample at rate `to_hz` nearest to sample `samples` at rate `from_hz`, by integer arithmetic.

    Exact for any length: the same instant gives the same sample in every process.
    """
    return (2 * samples * to_hz + from_hz) // (2 * from_hz)


def samples_per_tick(tempo_bpm: float, sample_rate: int) -> float:
    """Samples in one tick at `tempo_bpm` quarter notes a minute."""
    return 60.0 * sample_rate / (tempo_bpm * TICKS_PER_BEAT)


def db_to_amplitude(level_db: float) -> float:
    """Linear gain of a level in dB; -60 dB and below is silence, so a fader's bottom is off."""
    return 0.0 if level_db <= -60.0 else float(10.0 ** (level_db / 20.0))


def amplitude_to_db(amplitude: float) -> float:
    """Level in dB of a linear amplitude, floored at -120 dB."""
    import math

    return 20.0 * math.log10(max(amplitude, 1e-6))
