"""Notes to sound by FluidSynth: one pass for all parts, each on its own stereo pair, dry, 44.1 kHz float.

The library renders all channels at once and keeps them apart, which costs no more than their mixture. Notes begin on
blocks of 64 samples (1.5 ms), as in the library itself.
"""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import F32
from training.data.band.soundfonts import DRUM_BANK

__all__ = ["SAMPLE_RATE", "Patch", "PlayedNote", "RenderError", "render_stems"]

SAMPLE_RATE: Final = 44100
_BLOCK: Final = 64
_GAIN: Final = 0.35


class RenderError(EngineError):
    """FluidSynth is missing or refuses what it was given: the message says which."""


@dataclass(frozen=True, slots=True, order=True)
class PlayedNote:
    """A note in seconds: start and length in s, MIDI key, velocity 1..127."""

    start_s: float
    length_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Patch:
    """A preset of a sound font: bank 128 holds drum kits."""

    bank: int
    program: int


def _library() -> Any:
    try:
        import fluidsynth
    except ImportError as error:
        raise RenderError(
            f"{error}: pip install 'ripieno[fluid]' and install FluidSynth (apt-get install libfluidsynth3)"
        ) from None
    return fluidsynth


def _events(parts: Sequence[Sequence[PlayedNote]], end: int) -> list[tuple[int, int, int, int, int]]:
    """(sample, 0 off or 1 on, channel, key, velocity) in order; of one key, a note ends before the next begins."""
    events = []
    for channel, notes in enumerate(parts):
        ends: dict[int, int] = {}
        for note in sorted(notes, reverse=True):  # from the last to the first: the next start is known
            on = min(round(note.start_s * SAMPLE_RATE / _BLOCK) * _BLOCK, end)
            off = round((note.start_s + note.length_s) * SAMPLE_RATE / _BLOCK) * _BLOCK
            off = min(max(off, on + _BLOCK), ends.get(note.pitch, end), end)
            if off <= on:
                continue
            ends[note.pitch] = on
            events += [(on, 1, channel, note.pitch, note.velocity), (off, 0, channel, note.pitch, 0)]
    return sorted(events)


def render_stems(font: Path, patches: Sequence[Patch], parts: Sequence[Sequence[PlayedNote]], duration_s: float) -> F32:
    """Play parts.

    Args:
        font: a ``.sf2`` file.
        patches: the preset of each part, at most 16 parts.
        parts: the notes of each part, any order.
        duration_s: of the sound, tails included.
    Returns:
        [P, 2, N] float32, N the samples of `duration_s`.
    Raises:
        RenderError: FluidSynth is missing, or the font or a preset cannot be loaded.
    """
    library = _library()
    count = -(-round(duration_s * SAMPLE_RATE) // _BLOCK) * _BLOCK
    sound = np.zeros((len(parts), 2, count), np.float32)
    synth = library.Synth(gain=_GAIN, samplerate=float(SAMPLE_RATE), channels=16, **_settings(len(parts)))
    try:
        number = synth.sfload(str(font))
        if number < 0:
            raise RenderError(f"FluidSynth cannot load {font}")
        for channel, patch in enumerate(patches):
            if synth.program_select(channel, number, patch.bank, patch.program) != 0:
                kind = "drum kit" if patch.bank == DRUM_BANK else f"bank {patch.bank} program"
                raise RenderError(f"{font} has no {kind} {patch.program}")
        _play(library, synth, _events(parts, count), sound)
    finally:
        synth.delete()
    return sound[:, :, : round(duration_s * SAMPLE_RATE)]


def _settings(parts: int) -> Mapping[str, int]:
    return {
        "synth.audio-channels": parts,
        "synth.audio-groups": parts,
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.dynamic-sample-loading": 1,
        "synth.polyphony": 256,
    }


def _play(library: Any, synth: Any, events: Sequence[tuple[int, int, int, int, int]], sound: F32) -> None:
    process = ctypes.CDLL(library.lib).fluid_synth_process
    process.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    rows = sound.reshape(-1, sound.shape[2])
    bases = [rows[row].ctypes.data for row in range(len(rows))]
    pointers = (ctypes.c_void_p * len(rows))()
    place = 0
    for sample, on, channel, key, velocity in [*events, (sound.shape[2], 0, 0, 0, 0)]:
        if sample > place:
            for row, base in enumerate(bases):
                pointers[row] = base + 4 * place
            process(synth.synth, sample - place, 0, None, len(rows), pointers)
            place = sample
        if on:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
