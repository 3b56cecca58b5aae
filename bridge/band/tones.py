"""The band without a synthesizer: plain tones for each role, in time with the MIDI output.

Notes are known a bar ahead, so each block is rendered for the moment at which it sounds, whatever the latency of
the device.
"""

import heapq
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from bridge.midi.output_commands import AllNotesOff, AllSoundOff, Book, OutputCommand, SetPulse, Withdraw
from engine.band.ledger import STALE_S, Booking
from engine.music.arrays import F32
from engine.music.audio import Audio
from engine.music.pulse import Pulse
from engine.protocols.accompanist import CHANNELS

__all__ = ["BandSound", "BlockClock", "Sound"]


_RING_S: Final = 4.0  # the longest a note sounds
_RELEASE_S: Final = 0.03
_APART_S: Final = 0.05  # block times this far from the clock's are set again
_PULL: Final = 0.02  # share of a smaller difference that is corrected in each block: reads come in bursts
_KEPT: Final = 160  # rendered keys kept
_LEVEL: Final = 0.11
_ROLE_OF: Final = {channel: role for role, channel in CHANNELS.items()}

# Amplitudes of harmonics, seconds of rise, seconds of decay to 1/e, pan 0..1, level.
_TONES: Final = {
    "lead": ((1.0, 0.5, 0.25, 0.12), 0.01, 1.5, 0.5, 0.8),
    "bass": ((1.0, 0.6, 0.25, 0.1), 0.005, 0.9, 0.5, 1.6),
    "guitar": ((1.0, 0.55, 0.4, 0.3, 0.2, 0.12), 0.002, 0.5, 0.25, 0.8),
    "piano": ((1.0, 0.45, 0.2, 0.15, 0.06), 0.003, 1.1, 0.68, 0.8),
    "string": ((1.0, 0.6, 0.45, 0.3, 0.2, 0.15), 0.25, 8.0, 0.4, 0.5),
}
_KICKS, _SNARES = frozenset((35, 36, 41, 43, 45, 47, 48, 50)), frozenset((37, 38, 39, 40))
_LONG_METAL: Final = frozenset((46, 49, 51, 52, 53, 55, 57, 59))


class Sound(Protocol):
    """Renders notes. Threads: `apply` any; `read` the audio port's."""

    def apply(self, command: OutputCommand) -> None:
        """Take a command as a MIDI output does."""
        ...

    def read(self, frames: int) -> Audio:
        """[2, frames], the next samples."""
        ...


class BlockClock:
    """The time at which each block of an audio port sounds. Threads: the port's.

    Args:
        rate: Hz.
        latency_s: gives the seconds from a read until it sounds.
        now: seconds.
    """

    def __init__(self, rate: int, latency_s: Callable[[], float], now: Callable[[], float]) -> None:
        self._rate, self._latency_s, self._now = rate, latency_s, now
        self._next_s = 0.0

    def next(self, frames: int) -> float:
        """The time at which the block that is read now sounds; the one after it follows without a gap."""
        apart_s = self._now() + self._latency_s() - self._next_s
        self._next_s += apart_s if abs(apart_s) > _APART_S else _PULL * apart_s
        begin_s = self._next_s
        self._next_s += frames / self._rate
        return begin_s


class BandSound:
    """Output commands in, sound out.

    Threads: `apply` any; `read` the audio port's.

    Args:
        sample_rate: Hz.
        latency_s: gives the seconds from a read until it sounds.
        now: perf_counter seconds.
    """

    def __init__(
        self, sample_rate: int, latency_s: Callable[[], float], now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._rate = sample_rate
        self._clock = BlockClock(sample_rate, latency_s, now)
        self._guard = threading.Lock()
        self._pulse: Pulse | None = None
        self._booked: list[tuple[float, int, Booking]] = []
        self._voices: list[tuple[F32, int, int, int, float]] = []  # key's sound, its first frame, frames, pan, gain
        self._keys: dict[tuple[int, int], F32] = {}
        self._frame = self._order = 0

    def apply(self, command: OutputCommand) -> None:
        """Take commands that concern booked notes; ignore all others."""
        match command:
            case Book(notes):
                for note in notes:
                    self._sound(note.channel, note.pitch)  # here, so that `read` never has to
                with self._guard:
                    for note in notes:
                        self._order += 1
                        heapq.heappush(self._booked, (note.start, self._order, note))
            case SetPulse(pulse):
                with self._guard:
                    self._pulse = pulse
            case Withdraw(tick, channels):
                with self._guard:
                    kept = [
                        row for row in self._booked if row[0] < tick or (channels and row[2].channel not in channels)
                    ]
                    heapq.heapify(kept)
                    self._booked = kept
            case AllNotesOff() | AllSoundOff():
                with self._guard:
                    self._booked = []
                    end = self._frame + int(_RELEASE_S * self._rate)
                    self._voices = [(s, at, min(n, max(0, end - at)), p, g) for s, at, n, p, g in self._voices]

    def read(self, frames: int) -> Audio:
        """[2, frames], what sounds `latency_s` from now, within -1..1."""
        with self._guard:
            begin_s = self._clock.next(frames)
            self._begin_voices(begin_s, begin_s + frames / self._rate)
            out = self._mix(frames)
            self._frame += frames
        return np.tanh(out)

    def _begin_voices(self, begin_s: float, end_s: float) -> None:
        pulse = self._pulse
        while pulse is not None and self._booked and pulse.time_of(self._booked[0][0]) < end_s:
            note = heapq.heappop(self._booked)[2]
            at_s = pulse.time_of(note.start)
            if at_s < begin_s - STALE_S:
                continue
            role = _ROLE_OF.get(note.channel, "piano")
            length_s = _RING_S if role == "drum" else min(_RING_S, (note.end - note.start) / pulse.ticks_per_s)
            sound = self._sound(note.channel, note.pitch)
            count = min(len(sound), int((length_s + _RELEASE_S) * self._rate))
            at = self._frame + max(0, round((at_s - begin_s) * self._rate))
            pan = 50 if role == "drum" else int(100 * _TONES[role][3])
            self._voices.append((sound, at, count, pan, _LEVEL * (note.velocity / 100.0) ** 2))

    def _mix(self, frames: int) -> Audio:
        out = np.zeros((2, frames), np.float32)
        first, last = self._frame, self._frame + frames
        going = []
        for sound, at, count, pan, gain in self._voices:
            a, b = max(first, at), min(last, at + count)
            if b > a:
                part = sound[a - at : b - at] * np.float32(gain)
                release = int(_RELEASE_S * self._rate)
                if b - at > count - release:
                    left = (count - np.arange(a - at, b - at)) / release
                    part = part * np.clip(left, 0.0, 1.0).astype(np.float32)
                out[0, a - first : b - first] += part * np.float32(np.cos(0.5 * np.pi * pan / 100))
                out[1, a - first : b - first] += part * np.float32(np.sin(0.5 * np.pi * pan / 100))
            if at + count > last:
                going.append((sound, at, count, pan, gain))
        self._voices = going
        return out

    def _sound(self, channel: int, pitch: int) -> F32:
        key = channel, pitch
        if key not in self._keys:
            if len(self._keys) >= _KEPT:
                self._keys.pop(next(iter(self._keys)))
            role = _ROLE_OF.get(channel, "piano")
            self._keys[key] = _drum(pitch, self._rate) if role == "drum" else _tone(role, pitch, self._rate)
        return self._keys[key]


def _tone(role: str, pitch: int, rate: int) -> F32:
    """A note of the longest length: harmonics with an attack and a decay."""
    harmonics, rise_s, decay_s, _, level = _TONES[role]
    seconds = np.arange(int(_RING_S * rate), dtype=np.float32) / np.float32(rate)
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12.0)
    sound = np.zeros(len(seconds), np.float32)
    for number, amplitude in enumerate(harmonics, 1):
        if number * hz < 0.45 * rate:
            # Higher harmonics die sooner, as they do on strings.
            fall = np.exp(-seconds * np.float32((1.0 + 0.4 * (number - 1)) / decay_s))
            sound += np.float32(amplitude) * fall * np.sin(np.float32(2.0 * np.pi * number * hz) * seconds)
    return np.asarray(sound * np.minimum(1.0, seconds / np.float32(rise_s)) * np.float32(level), np.float32)


def _drum(pitch: int, rate: int) -> F32:
    """A drum stroke: a falling sine for skins, noise for snares and cymbals."""
    noise = np.random.default_rng(pitch)
    if pitch in _KICKS:
        seconds = np.arange(int(0.4 * rate)) / rate
        rest = 45.0 if pitch < 40 else 80.0 + 12.0 * (pitch - 41)
        phase = 2.0 * np.pi * (rest * seconds + 120.0 * 0.03 * (1.0 - np.exp(-seconds / 0.03)))
        return np.asarray(2.4 * np.sin(phase) * np.exp(-seconds / 0.12), np.float32)
    length_s, decay_s = (1.2, 0.35) if pitch in _LONG_METAL else (0.3, 0.08) if pitch in _SNARES else (0.12, 0.03)
    seconds = np.arange(int(length_s * rate)) / rate
    hiss = noise.standard_normal(len(seconds))
    if pitch in _SNARES:
        body = np.sin(2.0 * np.pi * 190.0 * seconds)
        return np.asarray((0.5 * hiss + 0.8 * body) * np.exp(-seconds / decay_s), np.float32)
    bright = np.diff(hiss, n=2, prepend=[0.0, 0.0])  # the second difference leaves the highs
    return np.asarray(0.14 * bright * np.exp(-seconds / decay_s), np.float32)
