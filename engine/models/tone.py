"""A voice without weights: the sounding chord as sines, and a click on every beat.

First sound for a newcomer, first test for everything: it follows the conductor to the sample, so it shows whether
anything around it is late, early or lost.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from engine.conductor import Span
from engine.controls import Live
from engine.music.arrays import F64
from engine.music.audio import Audio
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.streamer import StreamSpec

__all__ = ["ToneControls", "ToneState", "ToneStreamer"]


_LEVEL: Final = 0.09  # a note's amplitude: seven notes, bass and click together stay below full scale
_GLIDE_S: Final = 0.008  # time constant of a note's level, short against a beat, long against a click
_CLICK_S: Final = 0.012
_CLICK_HZ: Final = (1000.0, 1500.0)  # beat, first beat of a bar
_PENTATONIC: Final = (0, 7, 12)  # what drones when no chord is given: root, fifth, octave above a seeded root


@dataclass(frozen=True, kw_only=True, slots=True)
class ToneControls:
    """What can be turned on a tone voice."""

    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: silent")] = False
    octave: Annotated[int, Live(-2, 2, "transposition in octaves")] = 0
    brightness: Annotated[float, Live(0.0, 1.0, "level of the second harmonic")] = 0.3
    click: Annotated[float, Live(0.0, 1.0, "level of the click on the beats")] = 0.3


@dataclass(slots=True)
class ToneState:
    """Phase (radians) and level of each of 13 notes, twelve of the chord and its bass; the drone's root; detune."""

    phases: F64
    levels: F64
    drone: int
    detune: F64


class ToneStreamer:
    """Chord and clicks of the conductor.

    Args:
        sample_rate: Hz.
        frames, hop: frames in a chunk, samples in a frame.
    """

    def __init__(self, sample_rate: int = 48000, frames: int = 8, hop: int = 240) -> None:
        self._spec = StreamSpec(sample_rate=sample_rate, channels=2, chunk=frames * hop, frames=frames)

    @property
    def spec(self) -> StreamSpec:
        return self._spec

    def controls(self) -> ToneControls:
        return ToneControls()

    def begin(self, seed: int) -> ToneState:
        """Seeds choose the drone's root, each note's first phase and its detuning of up to 2 cents."""
        state = ToneState(np.zeros(13), np.zeros(13), 0, np.ones(13))
        self.jump(state, seed)
        return state

    def jump(self, state: ToneState, seed: int) -> None:
        """Another seed's root, phases and detuning, without touching what sounds at what level."""
        rng = np.random.Generator(np.random.PCG64(seed))
        state.drone = int(rng.integers(12))
        state.phases = rng.uniform(0.0, 2.0 * np.pi, 13)
        state.detune = 2.0 ** (rng.uniform(-2.0, 2.0, 13) / 1200.0)

    def fork(self, state: ToneState) -> ToneState:
        return ToneState(state.phases.copy(), state.levels.copy(), state.drone, state.detune.copy())

    def step(self, state: ToneState, controls: ToneControls, span: Span) -> Audio:
        """[2, chunk]; moves `state` on."""
        levels = self._levels(state, span)
        pitches = np.empty((13, span.frames))
        pitches[:12] = np.arange(60, 72)[:, None]
        pitches[12] = 36.0 + np.where(span.bass.any(axis=0), span.bass.argmax(axis=0), state.drone)
        hz = 440.0 * 2.0 ** ((pitches - 69.0 + 12 * controls.octave) / 12.0) * state.detune[:, None]
        turn = np.repeat(2.0 * np.pi * hz / self._spec.sample_rate, self._spec.hop, axis=1)
        angles = state.phases[:, None] + np.cumsum(turn, axis=1)
        waves = np.sin(angles) + controls.brightness * np.sin(2.0 * angles)
        state.phases = np.mod(angles[:, -1], 2.0 * np.pi)
        sound = _LEVEL * (levels * waves).sum(axis=0) + controls.click * self._clicks(span)
        return np.repeat(sound.astype(np.float32)[None], 2, axis=0)

    def _levels(self, state: ToneState, span: Span) -> F64:
        """[13, chunk] level of each note, gliding to 1 while its pitch class sounds and to 0 after."""
        wanted = np.zeros((13, span.frames))
        wanted[:12], wanted[12] = span.chroma, span.bass.max(axis=0)
        silent = ~span.chroma.any(axis=0) & ~span.bass.any(axis=0)
        for step in _PENTATONIC:
            wanted[(state.drone + step) % 12, silent] = 1.0
        decay = np.exp(-np.arange(1, self._spec.hop + 1) / (_GLIDE_S * self._spec.sample_rate))
        out = np.empty((13, span.frames, self._spec.hop))
        for frame in range(span.frames):
            target = wanted[:, frame, None]
            out[:, frame] = target + (state.levels[:, None] - target) * decay
            state.levels = out[:, frame, -1].copy()
        return out.reshape(13, -1)

    def _clicks(self, span: Span) -> F64:
        """[chunk] a decaying sine from each beat on, higher on the first of a bar; a function of the ticks alone."""
        hop, rate = self._spec.hop, self._spec.sample_rate
        part = np.arange(hop) / hop
        ticks = (span.ticks[:-1, None] + np.diff(span.ticks)[:, None] * part).reshape(-1)
        seconds = np.repeat(60.0 / (span.tempo_bpm.astype(np.float64) * TICKS_PER_BEAT), hop)
        since = np.mod(ticks, TICKS_PER_BEAT) * seconds
        first = np.mod(ticks, span.bar_ticks) < TICKS_PER_BEAT
        hz = np.where(first, _CLICK_HZ[1], _CLICK_HZ[0])
        # The attack lasts half a millisecond, so that a chunk edge just after a beat cannot make a step.
        envelope = np.exp(-since / _CLICK_S) * np.minimum(1.0, since * 2000.0)
        return np.asarray(envelope * np.sin(2.0 * np.pi * hz * since) * (since * rate < 0.2 * rate), np.float64)
