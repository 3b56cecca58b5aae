"""Messages that the program must obey, and packets that it must bear."""

import random
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.osc.space import AddressSpace, Refused, Routed
from bridge.osc.table import BUILT_IN
from bridge.osc.wire import OscError, decode, messages
from engine.controls import Control, Value, walk
from engine.messages.session import NOW, Jump, Play, Set
from engine.messages.session import SESSION_COMMANDS as SESSION
from tests.fuzz.test_osc import mutated
from tests.measure.helpers.show import packet

__all__ = ["Bad", "Words", "bad_packets", "pour"]

_CHORDS: Final = ("Am", "F", "C", "G", "Dm7", "Em", "F/A", "Bbmaj7")
_QUIETEST_DB: Final = -12.0


class Words:
    """Random legal messages for one voice: its controls, tempo and harmony.

    Nothing in them makes the voice silent for good: no mute, no low gain.

    Args:
        voice: its name.
        controls: of its bundle.
        seed: same seed, same messages.
    """

    def __init__(self, voice: str, controls: object, seed: int) -> None:
        self.voice, self._chance = voice, random.Random(seed)
        self._controls = [c for c in walk(controls, (voice,)) if c.path[-1] != "mute"]

    def turn(self) -> tuple[str, tuple[Value, ...]]:
        """One control gets another value, at once."""
        control = self._chance.choice(self._controls)
        return "/" + "/".join(control.path), (self._value(control),)

    def any(self) -> tuple[str, tuple[Value, ...]]:
        """Mostly a control; one in five times tempo or harmony."""
        match self._chance.randrange(15):
            case 0:
                return "/transport/tempo", (round(self._chance.uniform(60.0, 180.0), 2),)
            case 1:
                return "/harmony/chord", (self._chance.choice((*_CHORDS, "")),)
            case 2:
                return "/harmony/progression", (" ".join(self._chance.choices(_CHORDS, k=4)),)
            case _:
                return self.turn()

    def performed(self) -> tuple[str, tuple[Value, ...]]:
        """What a player would do: also jumps, and changes on the next beat or bar."""
        if self._chance.random() < 0.1:
            address, values = f"/{self.voice}/jump", self._place()
        else:
            address, values = self.any()
        when = self._chance.choice(("", "", "beat", "bar"))
        return address, (*values, when) if when and "" not in values else values

    def _place(self) -> tuple[Value, ...]:
        return (self._chance.randrange(2**31),)

    def _value(self, control: Control) -> Value:
        low, high = control.live.low, control.live.high
        if control.kind is bool:
            return self._chance.randrange(2)
        if control.kind is int:
            return self._chance.randint(int(low), int(high))
        if control.path[-1] == "gain":
            low, high = max(low, _QUIETEST_DB), min(high, 0.0)
        return self._chance.uniform(low, high)


@dataclass(frozen=True, slots=True)
class Bad:
    """Packets, and what they count as, by the pure parts of the server alone.

    Args:
        malformed: packets that hold no message.
        received: messages in the others.
        refused: of these, how many cannot be obeyed; those at the server's own addresses are not judged.
        own: messages at the server's own addresses.
    """

    packets: tuple[bytes, ...]
    malformed: int
    received: int
    refused: int
    own: int


def bad_packets(count: int, voice: str, controls: object, seed: int) -> Bad:
    """Random bytes (one in ten) and legal packets with changed bytes.

    Left out are those that happen to ask for what would end the measurement or reach other programs: silence, another
    bundle, recordings, other reply ports.
    """
    chance, space = random.Random(seed), AddressSpace({voice: controls})
    base = _base(voice, controls)
    packets: list[bytes] = []
    malformed = received = refused = own = 0
    while len(packets) < count:
        data = chance.randbytes(chance.randrange(64)) if chance.random() < 0.1 else mutated(chance.choice(base), chance)
        try:
            timed = list(messages(decode(data)))
        except OscError:
            malformed += 1
            packets.append(data)
            continue
        contents = [message for message, _ in timed]
        ours = sum(message.address in BUILT_IN for message in contents)
        routed = [space.route(m.address, m.args) if m.address not in BUILT_IN else [] for m in contents]
        late = any(time_s is not None for _, time_s in timed)
        if any(_harms(each, late) for row in routed for each in row) or b"/reply/" in data or b"/telemetry" in data:
            continue
        packets.append(data)
        received, own = received + len(contents), own + ours
        refused += sum(bool(row) and all(isinstance(each, Refused) for each in row) for row in routed)
    return Bad(tuple(packets), malformed, received, refused, own)


def _harms(each: object, late: bool) -> bool:
    if not isinstance(each, Routed):
        return False
    if isinstance(each.command, Set) and each.command.path[-1] in ("mute", "gain"):
        return late or each.when != NOW  # silent after all has been put right
    kinds = (Set, Jump, Play, *(SESSION[name] for name in SESSION if not name.startswith(("record", "panic"))))
    return not isinstance(each.command, kinds)


def _base(voice: str, controls: object) -> list[bytes]:
    """Legal packets of many kinds."""
    values: list[tuple[Any, ...]] = [(), (1,), (0.5,), ("Am7", "bar"), (-3.0, "at", 4), ("Am", "F", "C"), (b"blob", 7)]
    names = ["/" + "/".join(control.path) for control in walk(controls, (voice,))]
    names += [f"/{name}" for name in SESSION] + [f"/{voice}/play", f"/{voice}/jump", "/*/gain", "/status", "/nobody"]
    return [packet(name, *row) for name in names for row in values]


def pour(packets: Sequence[bytes], port: int, rate_hz: float, seconds: float | None = None) -> int:
    """Send packets at an even pace, from a socket that reads no answers; again from the first while time is left.

    Args:
        seconds: None: each once.
    Returns:
        How many were sent.
    """
    total = len(packets) if seconds is None else round(rate_hz * seconds)
    sent, began_s = 0, time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for due in _paced(total, rate_hz, began_s):
            for index in range(sent, due):
                sock.sendto(packets[index % len(packets)], ("127.0.0.1", port))
            sent = due
    return sent


def _paced(total: int, rate_hz: float, began_s: float) -> Iterator[int]:
    """How many should have been sent by now, until all are."""
    due = 0
    while due < total:
        due = min(total, int((time.perf_counter() - began_s) * rate_hz))
        yield due
        time.sleep(0.001)
