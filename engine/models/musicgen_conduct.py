"""What a conducted language model is told with each step: musical time and harmony of the frame that it says next."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.conductor import Conductor, Span
from engine.errors import ManifestError
from engine.music import conducting
from engine.music.audio import Audio
from engine.music.beats import heard_pulse
from engine.music.conducting import STEP_FEATURES

__all__ = ["conducted_by_ear", "step_features", "tempo_in"]

F32 = npt.NDArray[np.float32]

_TEMPO: Final = re.compile(r"\b(\d{2,3})(?:\.\d+)? ?bpm\b", re.IGNORECASE)
_LEAST_BPM: Final = 20.0
_MOST_BPM: Final = 400.0
_PULSE_S: Final = 12.0  # of the end of a sound, in which its pulse is sought


def tempo_in(text: str) -> float | None:
    """Quarter notes a minute that words ask for, such as "fast techno, 128 bpm"; None if they name no such tempo."""
    found = _TEMPO.search(text)
    tempo = float(found[0][:-3]) if found else 0.0
    return tempo if _LEAST_BPM <= tempo <= _MOST_BPM else None


def conducted_by_ear(given: Audio, rate: int) -> tuple[Conductor | None, float]:
    """Musical time with the pulse of a sound's [C, N] last seconds, four beats to a bar; None where there is none.

    Returns:
        And how many seconds of that time lie before the sound's first sample.
    """
    begin = max(0, given.shape[1] - round(_PULSE_S * rate))
    pulse = heard_pulse(given[:, begin:], rate)
    if pulse is None or not _LEAST_BPM <= pulse.tempo_bpm <= _MOST_BPM:
        return None, 0.0
    conductor = Conductor(rate)
    conductor.set_tempo(pulse.tempo_bpm, 0.0)
    bar = 240.0 / pulse.tempo_bpm
    return conductor, bar - (begin / rate + pulse.bar_s) % bar


def step_features(span: Span, width: int) -> F32:
    """[T, width] of a span of T frames.

    Raises:
        ManifestError: a model that is told `width` numbers is told something else.
    """
    if width != STEP_FEATURES:
        raise ManifestError(f"the model is told {width} numbers a step, {STEP_FEATURES} are known; export it again")
    told = conducting.step_features(span.ticks[:-1], span.tempo_bpm, span.bar_ticks, span.chroma, span.bass)
    return np.ascontiguousarray(told.T, np.float32)
