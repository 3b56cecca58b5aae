"""The player's keys: collected from the MIDI input until the band reads them, and passed on to the output (thru)."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from bridge.midi.output_commands import Release, Strike
from bridge.midi.ports import MidiListener

__all__ = ["KeyThru", "ListenerPair", "MidiInbox"]

_NOTE_OFF, _NOTE_ON = 0x80, 0x90
_KEPT: Final = 20_000


class MidiInbox:
    """A `MidiListener` that stores what arrives. Threads: any."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Sequence[int] | None, float]] = deque(maxlen=_KEPT)

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Store a message."""
        self._messages.append((message, at_s))

    def check_timeout(self, now_s: float) -> None:
        """Nothing here depends on time."""

    def release_all(self) -> None:
        """Store that the input has gone."""
        self._messages.append((None, time.perf_counter()))

    def take(self) -> Iterator[tuple[Sequence[int] | None, float]]:
        """Remove and yield (message, arrival in perf_counter seconds), oldest first; None: the input has gone."""
        while self._messages:
            yield self._messages.popleft()


class ListenerPair:
    """Two listeners at one input."""

    def __init__(self, *listeners: MidiListener) -> None:
        self._listeners = listeners

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Hand the message to both."""
        for listener in self._listeners:
            listener.receive(message, at_s)

    def check_timeout(self, now_s: float) -> None:
        """Hand the time to both."""
        for listener in self._listeners:
            listener.check_timeout(now_s)

    def release_all(self) -> None:
        """Tell both that the input has gone."""
        for listener in self._listeners:
            listener.release_all()


class KeyThru:
    """Passes keys on to the output. Threads: the band's.

    Args:
        send: takes `Strike` and `Release`.
        next_id: gives the id of a new note, different from every other.
    """

    def __init__(self, send: Callable[[Strike | Release], object], next_id: Callable[[], int]) -> None:
        self._send, self._next_id = send, next_id
        self._down: dict[tuple[int, int], Strike] = {}  # by (channel, key) of the input

    def pass_on(self, message: Sequence[int], channel: int) -> None:
        """Send a note-on on `channel`, and a note-off on the channel of its note-on; other messages are ignored.

        The channel is that of the player's role, which may have changed while the key was held.
        """
        if len(message) < 3 or not all(0 <= byte < 128 for byte in message[1:3]):
            return
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if kind == _NOTE_ON and message[2] > 0:
            self._down[key] = Strike(self._next_id(), channel, message[1], message[2])
            self._send(self._down[key])
        elif kind in (_NOTE_OFF, _NOTE_ON) and key in self._down:
            self._release(self._down.pop(key))

    def release_all(self) -> None:
        """Send the note-off of every key that is down: the input has gone."""
        for strike in self._down.values():
            self._release(strike)
        self._down.clear()

    def clear(self) -> None:
        """Forget the keys that are down: the output has ended their notes."""
        self._down.clear()

    def _release(self, strike: Strike) -> None:
        self._send(Release(strike.id, strike.channel, strike.pitch))
