"""What a JACK-MIDI output sends, heard note by note."""

import time
from collections import Counter
from collections.abc import Callable

__all__ = ["Ear", "until"]


def until(true: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return False


class Ear:
    """Hears what a JACK-MIDI output sends."""

    def __init__(self, port: str) -> None:
        import rtmidi

        self.heard: list[tuple[float, bytes]] = []
        self._port = rtmidi.MidiIn(rtapi=rtmidi.API_UNIX_JACK, name="ear")
        self._port.ignore_types(timing=False)
        self._port.set_callback(lambda event, _: self.heard.append((time.perf_counter(), bytes(event[0]))))
        assert until(lambda: port in self._port.get_ports()), port
        self._port.open_port(self._port.get_ports().index(port), name="in")

    def close(self) -> None:
        self._port.cancel_callback()
        self._port.delete()

    def sounding(self) -> Counter[tuple[int, int]]:
        """Keys that were struck more often than they were let go; less often counts as -1 and so on."""
        keys: Counter[tuple[int, int]] = Counter()
        for _, message in list(self.heard):
            if message[0] & 0xF0 == 0x90:
                keys[(message[0] & 15, message[1])] += 1
            elif message[0] & 0xF0 == 0x80:
                keys[(message[0] & 15, message[1])] -= 1
        return Counter({key: count for key, count in keys.items() if count})

    def ons(self) -> int:
        return sum(message[0] & 0xF0 == 0x90 for _, message in list(self.heard))
