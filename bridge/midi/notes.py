"""MIDI messages to what they mean here: the set of keys held, and knobs as controls. No clock, no I/O.

A message is its bytes, as rtmidi gives them and as ``mido.Message.bytes()`` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.controls import Control, Value
from engine.messages.session import Keys, Set

__all__ = ["DRUMS", "SENSING_S", "HeldKeys", "Knobs"]

DRUMS: Final = 9
"""The drum channel, counted from 0: its notes are pads, not pitches."""

SENSING_S: Final = 0.42
"""A sender of active sensing that says nothing for longer is gone: 300 ms by the MIDI 1.0 specification, and slack."""

_NOTE_OFF, _NOTE_ON, _CONTROL, _SENSING, _RESET = 0x80, 0x90, 0xB0, 0xFE, 0xFF
_SUSTAIN, _SOUND_OFF, _RESET_CONTROLLERS, _NOTES_OFF = 64, 120, 121, 123


class HeldKeys:
    """Which keys are held, by hand or by pedal, over all channels together.

    A key played twice without letting go counts once. A note-on with velocity 0 is a note-off. The sustain pedal holds
    the keys of its channel. All sound off, all notes off and the mode messages (controllers 120, 123 to 127) let go of
    a channel, a system reset of everything; so does silence from a sender that had announced itself by active sensing.

    Args:
        ignored: channels whose notes are no pitches.
        sustain: whether the pedal holds keys.
    """

    def __init__(self, *, ignored: Iterable[int] = (DRUMS,), sustain: bool = True) -> None:
        self._ignored = frozenset(ignored)
        self._sustain = sustain
        self._down: set[tuple[int, int]] = set()  # (channel, pitch) under a finger
        self._ringing: set[tuple[int, int]] = set()  # let go, held by the pedal
        self._pedals: set[int] = set()
        self._heard_s: float | None = None  # the last message, once active sensing has been seen
        self._told: tuple[int, ...] = ()

    @property
    def pitches(self) -> tuple[int, ...]:
        """MIDI pitches held, each once, rising."""
        return tuple(sorted({pitch for _, pitch in self._down | self._ringing}))

    def feed(self, message: Sequence[int], now_s: float = 0.0) -> Keys | None:
        """Take one message that arrived at `now_s`.

        Returns:
            The keys held, if that has changed. Anything that is not a whole message about keys changes nothing.
        """
        if not message:
            return None
        status = message[0]
        if status == _SENSING or self._heard_s is not None:
            self._heard_s = now_s
        if status == _RESET:
            return self.release()
        data = message[1:]
        if len(data) >= 2 and all(0 <= byte < 128 for byte in data[:2]):
            kind, channel = status & 0xF0, status & 0x0F
            if kind == _CONTROL:
                self._control(channel, data[0], data[1])
            elif kind in (_NOTE_ON, _NOTE_OFF) and channel not in self._ignored:
                self._key((channel, data[0]), on=kind == _NOTE_ON and data[1] > 0)
        return self._change()

    def expire(self, now_s: float) -> Keys | None:
        """Let go if a sender of active sensing has fallen silent; to be asked a few times a second.

        Returns:
            As `feed`.
        """
        if self._heard_s is None or now_s - self._heard_s <= SENSING_S:
            return None
        return self.release()

    def release(self) -> Keys | None:
        """Let go of everything: the port has gone, or panic.

        Returns:
            As `feed`.
        """
        self._down.clear()
        self._ringing.clear()
        self._pedals.clear()
        self._heard_s = None
        return self._change()

    def _key(self, key: tuple[int, int], *, on: bool) -> None:
        if on:
            self._down.add(key)
            self._ringing.discard(key)
        elif key in self._down:
            self._down.discard(key)
            if key[0] in self._pedals:
                self._ringing.add(key)

    def _control(self, channel: int, number: int, value: int) -> None:
        if number == _SUSTAIN and self._sustain:
            if value >= 64:
                self._pedals.add(channel)
            else:
                self._pedal_up(channel)
        elif number == _RESET_CONTROLLERS:
            self._pedal_up(channel)
        elif number == _SOUND_OFF or number >= _NOTES_OFF:
            self._down = {key for key in self._down if key[0] != channel}
            self._ringing = {key for key in self._ringing if key[0] != channel}

    def _pedal_up(self, channel: int) -> None:
        self._pedals.discard(channel)
        self._ringing = {key for key in self._ringing if key[0] != channel}

    def _change(self) -> Keys | None:
        pitches = self.pitches
        if pitches == self._told:
            return None
        self._told = pitches
        return Keys(pitches)


class Knobs:
    """Controllers of a MIDI device as live controls: 0..127 is spread over a control's range.

    Args:
        controls: by controller number; the control's path is complete, with its voice first.
    """

    def __init__(self, controls: Mapping[int, Control]) -> None:
        self._controls = dict(controls)
        self._told: dict[int, Value] = {}

    def feed(self, message: Sequence[int]) -> Set | None:
        """The control's new value, if the message is one of these knobs and the value is another than before."""
        if len(message) < 3 or message[0] & 0xF0 != _CONTROL or not 0 <= message[2] < 128:
            return None
        number = message[1]
        control = self._controls.get(number)
        if control is None:
            return None
        value = _spread(control, message[2])
        if self._told.get(number) == value:
            return None
        self._told[number] = value
        return Set(control.path, value)


def _spread(control: Control, value: int) -> Value:
    """0..127 over what the control takes; 64 is the middle of a range, as the MIDI specification has it for pan."""
    live = control.live
    if control.kind is bool:
        return value >= 64
    if live.choices:
        return live.choices[value * len(live.choices) // 128]
    share = value / 128.0 if value <= 64 else 0.5 + (value - 64) / 126.0
    number = live.low + share * (live.high - live.low)
    return round(number) if control.kind is int else number
