"""MIDI messages to the set of held keys and to control values. No clock, no I/O.

A message is its bytes, as from rtmidi or ``mido.Message.bytes()``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from engine.controls import Control, Value
from engine.messages.session import Keys, Set
from engine.music.zones import ChannelZones

__all__ = ["DRUMS", "SENSING_S", "HeldKeys", "Knobs"]

DRUMS: Final = 9
"""The drum channel, counted from 0: its notes are pads, not pitches."""

SENSING_S: Final = 0.42
"""Silence after which a sender of active sensing counts as lost: 300 ms by the MIDI 1.0 specification, and slack."""

_NOTE_OFF, _NOTE_ON, _CONTROL, _SENSING, _RESET = 0x80, 0x90, 0xB0, 0xFE, 0xFF
_SUSTAIN, _SOSTENUTO, _HOLD_2, _SOUND_OFF, _RESET_CONTROLLERS, _NOTES_OFF = 64, 66, 69, 120, 121, 123


class HeldKeys:
    """Which keys are held, by hand or by pedal, over all channels together.

    A key struck twice without a release counts once. A note-on with velocity 0 is a note-off. The sustain pedal and
    hold 2 (controllers 64, 69) hold the keys of their channel, sostenuto (66) those that are down when it is pressed.
    All sound off, all notes off and the mode messages (controllers 120, 123 to 127) release the keys of their channel,
    a system reset all keys; so does silence of a sender that has used active sensing. What comes on the manager
    channel of an MPE zone is about all its channels, see `ChannelZones`.

    Args:
        ignored: channels whose notes are not pitches, unless they belong to an MPE zone.
        sustain: whether pedals hold keys.
    """

    def __init__(self, *, ignored: Iterable[int] = (DRUMS,), sustain: bool = True) -> None:
        self._ignored = frozenset(ignored)
        self._sustain = sustain
        self._down: set[tuple[int, int]] = set()  # (channel, pitch) under a finger
        self._ringing: set[tuple[int, int]] = set()  # released, held by the pedal
        self._pedals: set[tuple[int, int]] = set()  # (channel, controller) that hold every key
        self._caught: set[tuple[int, int]] = set()  # keys that a sostenuto holds
        self._zones = ChannelZones()
        self._last_s: float | None = None  # time of the last message, once active sensing has been used
        self._sent: tuple[int, ...] = ()

    @property
    def pitches(self) -> tuple[int, ...]:
        """MIDI pitches held, each once, ascending."""
        return tuple(sorted({pitch for _, pitch in self._down | self._ringing}))

    def feed(self, message: Sequence[int], now_s: float = 0.0) -> Keys | None:
        """Take one message that arrived at `now_s`.

        Returns:
            The held keys, if they have changed. Incomplete and other messages change nothing.
        """
        if not message:
            return None
        status = message[0]
        if status == _SENSING or self._last_s is not None:
            self._last_s = now_s
        if status == _RESET:
            return self.release()
        data = message[1:]
        if len(data) >= 2 and all(0 <= byte < 128 for byte in data[:2]):
            kind, channel = status & 0xF0, status & 0x0F
            if kind == _CONTROL:
                self._control(channel, data[0], data[1])
            elif kind in (_NOTE_ON, _NOTE_OFF) and (channel not in self._ignored or self._zones.is_member(channel)):
                self._key((channel, data[0]), on=kind == _NOTE_ON and data[1] > 0)
        return self._change()

    def expire(self, now_s: float) -> Keys | None:
        """Release all keys if a sender of active sensing has fallen silent; call it a few times a second.

        Returns:
            As `feed`.
        """
        if self._last_s is None or now_s - self._last_s <= SENSING_S:
            return None
        return self.release()

    def release(self) -> Keys | None:
        """Release all keys: the port is lost, or panic.

        Returns:
            As `feed`.
        """
        self._down.clear()
        self._ringing.clear()
        self._pedals.clear()
        self._caught.clear()
        self._last_s = None
        return self._change()

    def _key(self, key: tuple[int, int], *, on: bool) -> None:
        if on:
            self._zones.note(key[0])
            self._down.add(key)
            self._ringing.discard(key)
        elif key in self._down:
            self._down.discard(key)
            if self._is_held(key):
                self._ringing.add(key)

    def _is_held(self, key: tuple[int, int]) -> bool:
        """Whether a pedal holds a key that no finger holds."""
        return key in self._caught or any(key[0] in self._zones.reach(channel) for channel, _ in self._pedals)

    def _control(self, channel: int, number: int, value: int) -> None:
        self._zones.control(channel, number, value)
        reach = self._zones.reach(channel)
        if number in (_SUSTAIN, _HOLD_2) and self._sustain:
            (self._pedals.add if value >= 64 else self._pedals.discard)((channel, number))
        elif number == _SOSTENUTO and self._sustain:
            caught = {key for key in self._caught if key[0] in reach}
            if value < 64:
                self._caught -= caught
            elif not caught:  # pressed, not sent again
                self._caught |= {key for key in self._down if key[0] in reach}
        elif number == _RESET_CONTROLLERS:
            self._pedals = {pedal for pedal in self._pedals if pedal[0] not in reach}
            self._caught = {key for key in self._caught if key[0] not in reach}
        elif number == _SOUND_OFF or number >= _NOTES_OFF:
            for keys in (self._down, self._ringing, self._caught):
                keys -= {key for key in keys if key[0] in reach}
        else:
            return
        self._ringing = {key for key in self._ringing if self._is_held(key)}

    def _change(self) -> Keys | None:
        pitches = self.pitches
        if pitches == self._sent:
            return None
        self._sent = pitches
        return Keys(pitches)


class Knobs:
    """Controllers of a MIDI device as live controls: 0..127 is mapped to a control's range.

    Args:
        controls: by controller number; the control's path is complete, with its voice first.
    """

    def __init__(self, controls: Mapping[int, Control]) -> None:
        self._controls = dict(controls)
        self._sent: dict[int, Value] = {}

    def feed(self, message: Sequence[int]) -> Set | None:
        """The control's new value, if the message is from one of these knobs and the value has changed."""
        if len(message) < 3 or message[0] & 0xF0 != _CONTROL or not 0 <= message[2] < 128:
            return None
        number = message[1]
        control = self._controls.get(number)
        if control is None:
            return None
        value = _spread(control, message[2])
        if self._sent.get(number) == value:
            return None
        self._sent[number] = value
        return Set(control.path, value)


def _spread(control: Control, value: int) -> Value:
    """0..127 mapped to a control's range; 64 is the middle, as in the MIDI specification for pan."""
    live = control.live
    if control.kind is bool:
        return value >= 64
    if live.choices:
        return live.choices[value * len(live.choices) // 128]
    share = value / 128.0 if value <= 64 else 0.5 + (value - 64) / 126.0
    number = live.low + share * (live.high - live.low)
    return round(number) if control.kind is int else number
