"""Sound as a language model hears it: at the codec's rate and channels, in whole frames up to its end, as codes."""

import math

import numpy as np

from engine.errors import ControlError
from engine.models.musicgen.model import Musicgen, together
from engine.music.arrays import I64
from engine.music.audio import Audio, to_channels, to_mono

__all__ = ["codes_of", "longest_prompt", "melody_of"]


def longest_prompt(model: Musicgen) -> int:
    """Frames of a prompt that a model hears at most: of a window the rest is for new sound."""
    return model.facts.window - model.facts.window // 10


def codes_of(model: Musicgen, given: Audio | None, rate: int, seconds: float) -> I64:
    """[K, T] codes of the last seconds of a sound, in whole frames up to its end.

    Args:
        given: [C, N]; None for no sound, and no codes. rate: Hz.
        seconds: 0 for as many as the model can hear.
    Raises:
        ControlError: the sound is shorter than a frame.
    """
    facts, codec = model.facts, model.codec
    if given is None:
        return np.zeros((facts.codebooks, 0), np.int64)
    frame_rate, most = codec.sample_rate / codec.hop, longest_prompt(model)
    wanted = min(most, round(seconds * frame_rate)) if seconds else most
    # Whole periods of both rates, counted from the end: there the last samples are the same moment.
    period = rate // math.gcd(rate, codec.sample_rate)
    taken = min(math.ceil((wanted + 1) * codec.hop * rate / codec.sample_rate / period), given.shape[1] // period)
    sound = _resampled(given[:, given.shape[1] - taken * period :], rate, codec.sample_rate)
    frames = min(wanted, sound.shape[1] // codec.hop)
    if frames < 1:
        raise ControlError(f"{given.shape[1]} samples are too few to be continued: give {codec.hop} or more")
    sound = to_channels(sound[:, sound.shape[1] - frames * codec.hop :], facts.streams * codec.channels)
    return together(codec.encode(sound.reshape(facts.streams, codec.channels, -1)))


def melody_of(model: Musicgen, given: Audio, rate: int) -> Audio:
    """[1, N] of a sound [C, N] of `rate` Hz, at the codec's rate."""
    return _resampled(to_mono(given), rate, model.codec.sample_rate)


def _resampled(audio: Audio, from_hz: int, to_hz: int) -> Audio:
    """All of [C, N] at another rate, its first sample where it was."""
    import soxr

    if from_hz == to_hz:
        return audio
    return np.ascontiguousarray(soxr.resample(audio.T, from_hz, to_hz, quality="VHQ").T, np.float32)
