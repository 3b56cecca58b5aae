"""MIDI polyphonic expression (MPE): which channels a message on one channel is about."""

from typing import Final

__all__ = ["ChannelZones"]

_RPN_HIGH, _RPN_LOW, _DATA, _ZONE = 101, 100, 6, (0, 6)
_MANAGERS: Final = (0, 15)
_LAST: Final = 15
_TOGETHER: Final = 2  # channels with notes, from which on a manager channel without notes speaks for all of them


class ChannelZones:
    """Zones as a controller has set them up, or as its notes show them. Pure; one owner.

    A zone is set up by RPN 6 on its manager channel (0 or 15) with the number of members. Without that, a manager
    channel on which no note has come speaks for the channels on which notes have, if they are two or more.
    """

    def __init__(self) -> None:
        self._zones: dict[int, frozenset[int]] = {}
        self._chosen: dict[int, dict[int, int]] = {}  # controllers 100 and 101 by channel
        self._noted: set[int] = set()

    def note(self, channel: int) -> None:
        """A note-on has come on `channel`, 0..15."""
        self._noted.add(channel)

    def control(self, channel: int, number: int, value: int) -> None:
        """Take a controller; those that set up a zone are noticed."""
        chosen = self._chosen.setdefault(channel, {})
        if number in (_RPN_HIGH, _RPN_LOW):
            chosen[number] = value
        elif number == _DATA and channel in _MANAGERS and (chosen.get(_RPN_HIGH), chosen.get(_RPN_LOW)) == _ZONE:
            members = min(value, _LAST)
            span = range(1, members + 1) if channel == 0 else range(_LAST - members, _LAST)
            self._zones[channel] = frozenset(span)
            for other in self._zones:  # the zone set up last takes channels from the other
                if other != channel:
                    self._zones[other] -= self._zones[channel] | {channel}
            self._zones = {manager: zone for manager, zone in self._zones.items() if zone}

    def reach(self, channel: int) -> frozenset[int]:
        """The channels that a message on `channel` is about, itself included."""
        if self._zones:
            return self._zones.get(channel, frozenset()) | {channel}
        if channel in _MANAGERS and channel not in self._noted and len(self._noted) >= _TOGETHER:
            return frozenset(self._noted) | {channel}
        return frozenset((channel,))

    def is_member(self, channel: int) -> bool:
        """Whether a channel belongs to a zone that was set up; there the drum channel carries pitches, too."""
        return any(channel in zone for zone in self._zones.values())
