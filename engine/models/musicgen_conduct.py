"""What a conducted language model is told with each step: musical time and harmony of the frame that it says next."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.conductor import Span
from engine.errors import ManifestError
from engine.music import conducting
from engine.music.conducting import STEP_FEATURES

__all__ = ["step_features", "tempo_in"]

F32 = npt.NDArray[np.float32]

_TEMPO: Final = re.compile(r"\b(\d{2,3})(?:\.\d+)? ?bpm\b", re.IGNORECASE)
_LEAST_BPM: Final = 20.0
_MOST_BPM: Final = 400.0


def tempo_in(text: str) -> float | None:
    """Quarter notes a minute that words ask for, such as "fast techno, 128 bpm"; None if they name no such tempo."""
    found = _TEMPO.search(text)
    tempo = float(found[0][:-3]) if found else 0.0
    return tempo if _LEAST_BPM <= tempo <= _MOST_BPM else None


def step_features(span: Span, width: int) -> F32:
    """[T, width] of a span of T frames.

    Raises:
        ManifestError: a model that is told `width` numbers is told something else.
    """
    if width != STEP_FEATURES:
        raise ManifestError(f"the model is told {width} numbers a step, {STEP_FEATURES} are known; export it again")
    told = conducting.step_features(span.ticks[:-1], span.tempo_bpm, span.bar_ticks, span.chroma, span.bass)
    return np.ascontiguousarray(told.T, np.float32)
