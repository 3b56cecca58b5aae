"""What the next sender of an output must know if the present one is lost: musical time, set-up, keys that may sound."""

from collections import deque
from dataclasses import replace
from typing import Final

from bridge.midi.output_commands import AllNotesOff, AllSoundOff, Book, OutputCommand, Raw, Release, SetPulse, Strike
from bridge.midi.sender import SenderSetup
from engine.music.pulse import Pulse

__all__ = ["OutputMemory"]

_BOOKINGS_KEPT: Final = 20_000
_RAW_KEPT: Final = 64
_LOSS_S: Final = 4.0  # that may pass before a loss is noticed


class OutputMemory:
    """Remembers the commands to an output. Threads: one at a time.

    Args:
        setup: of the first sender.
    """

    def __init__(self, setup: SenderSetup) -> None:
        self._setup = setup
        self.pulse: Pulse | None = None
        """Musical time as last set."""
        self._booked: deque[tuple[float, float, int, int]] = deque(maxlen=_BOOKINGS_KEPT)  # start, end, channel, pitch
        self._struck: dict[int, tuple[int, int]] = {}  # (channel, pitch) by id

    def remember(self, command: OutputCommand, *, delivered: bool) -> None:
        """Keep a command. One that was not `delivered` has ended no note."""
        match command:
            case SetPulse(pulse):
                self.pulse = pulse
            case Book(notes):
                self._booked.extend((note.start, note.end, note.channel, note.pitch) for note in notes)
            case Strike(id, channel, pitch, _):
                self._struck[id] = channel, pitch
            case Release(id) if delivered:
                self._struck.pop(id, None)
            case AllNotesOff() | AllSoundOff() if delivered:
                self._booked.clear()
                self._struck.clear()
            case Raw(messages):
                self._setup = replace(self._setup, raw=(*self._setup.raw, *messages)[-_RAW_KEPT:])
            case _:
                pass

    def setup(self, now_s: float) -> SenderSetup:
        """The set-up of a sender that takes over now, with the keys that the one before it may have left sounding."""
        booked = self._booked
        if self.pulse is None:
            keys = {(channel, pitch) for _, _, channel, pitch in booked}
        else:
            now, slack = self.pulse.tick_at(now_s), _LOSS_S * self.pulse.ticks_per_s
            keys = {(channel, pitch) for start, end, channel, pitch in booked if start <= now and end >= now - slack}
        return replace(self._setup, owed=tuple(sorted(keys | set(self._struck.values()))))
