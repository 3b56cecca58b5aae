"""Destinations of replies, rates of telemetry, and limits on error messages, for each client.

Max and Pure Data cannot receive at the port they send from, liblo and SuperCollider can; so a reply goes to the sender
and to the ports registered for the sender's machine, an event to every registered port.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeVar

from bridge.osc.sockets import is_of_this_machine

__all__ = ["ERRORS_PER_S", "Client", "Clients"]

ERRORS_PER_S: Final = 20  # a fader dragged in a wrong range shall not flood its sender

_MAX_PORTS: Final = 32
_MAX_SUBSCRIBERS: Final = 32
_MAX_BUDGETS: Final = 256
_MAX_NUMBERS: Final = 8192  # more than may wait for their time

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Client:
    """A sender or receiver: a UDP address, or a TCP connection by its number (0: UDP)."""

    host: str
    port: int
    connection: int = 0


@dataclass(slots=True)
class _Subscription:
    interval_s: float
    next_s: float = 0.0


@dataclass(slots=True)
class _Budget:
    left: float
    at_s: float


class Clients:
    """Registered ports, subscriptions, error budgets, and the sender of each command.

    Every table is bounded: the oldest entry is dropped when it is full. All addresses of this machine are one machine:
    who sends from 192.168.1.7 is also answered at the ports that were registered from 127.0.0.1.

    Threads: any.

    Args:
        own: the server's address; nothing is ever sent to it, which could loop for ever.
        first: the port that is registered from the start.
    """

    def __init__(self, own: Client, first: Client) -> None:
        self._own = own
        self._lock = threading.Lock()
        self._ports: OrderedDict[Client, None] = OrderedDict({first: None})
        self._subscriptions: OrderedDict[Client, _Subscription] = OrderedDict()
        self._budgets: OrderedDict[Client, _Budget] = OrderedDict()
        self._askers: OrderedDict[int, tuple[Client, str]] = OrderedDict()

    def register(self, host: str, port: int) -> None:
        """Also send replies for this machine, and all events, to this port."""
        with self._lock:
            _put(self._ports, self._known(host, port), None, _MAX_PORTS)

    def drop(self, host: str, port: int) -> None:
        """Stop sending to this port."""
        with self._lock:
            self._ports.pop(self._known(host, port), None)
            self._subscriptions.pop(self._known(host, port), None)

    def forget(self, client: Client) -> None:
        """Remove a client whose connection has ended."""
        with self._lock:
            self._subscriptions.pop(client, None)
            self._budgets.pop(client, None)

    def for_answer(self, client: Client) -> list[Client]:
        """Destinations of a reply to `client`."""
        with self._lock:
            return self._without_own(client, *(port for port in self._ports if _one_machine(port, client)))

    def for_event(self, client: Client | None) -> list[Client]:
        """Destinations of an event caused by `client`, None if by nobody."""
        with self._lock:
            return self._without_own(*(() if client is None else (client,)), *self._ports)

    def subscribe(self, client: Client, rate_hz: float) -> None:
        """Telemetry for `client` and the ports of its machine, at most `rate_hz` times per second; 0 stops it."""
        everywhere = self.for_answer(client)
        with self._lock:
            for each in everywhere:
                if rate_hz > 0:
                    _put(self._subscriptions, each, _Subscription(1.0 / rate_hz), _MAX_SUBSCRIBERS)
                else:
                    self._subscriptions.pop(each, None)

    def for_telemetry(self, now_s: float) -> list[Client]:
        """Subscribers that are due."""
        due = []
        with self._lock:
            for client, wish in self._subscriptions.items():
                # A little early counts as due: at 10 Hz, a subscriber to 10 Hz must not miss every second message.
                if now_s >= wish.next_s - 0.25 * wish.interval_s:
                    on_time = wish.next_s + wish.interval_s
                    wish.next_s = on_time if on_time > now_s else now_s + wish.interval_s
                    due.append(client)
        return due

    def may_complain(self, client: Client, now_s: float) -> bool:
        """Whether one more error message may be sent to `client` now."""
        with self._lock:
            budget = self._budgets.get(client)
            if budget is None:
                budget = _Budget(float(ERRORS_PER_S), now_s)
            budget.left = min(float(ERRORS_PER_S), budget.left + ERRORS_PER_S * (now_s - budget.at_s))
            budget.at_s = now_s
            _put(self._budgets, client, budget, _MAX_BUDGETS)
            if budget.left < 1.0:
                return False
            budget.left -= 1.0
            return True

    def remember(self, number: int, client: Client, sent: str = "") -> None:
        """Store that `client` sent the command of this number, and its arguments as they were sent."""
        with self._lock:
            _put(self._askers, number, (client, sent), _MAX_NUMBERS)

    def asker(self, number: int) -> Client | None:
        """The client that sent a command; None if no client did, or long ago."""
        with self._lock:
            return self._askers.get(number, (None, ""))[0]

    def sent(self, number: int) -> str:
        """The arguments of a command as a client sent them; empty if no client did, or long ago."""
        with self._lock:
            return self._askers.get(number, (None, ""))[1]

    def _without_own(self, *clients: Client) -> list[Client]:
        return [client for client in dict.fromkeys(clients) if not self._is_own(client)]

    def _is_own(self, client: Client) -> bool:
        if client == self._own:
            return True
        return client.connection == 0 and client.port == self._own.port and is_of_this_machine(client.host)

    def _known(self, host: str, port: int) -> Client:
        """The registered port that these mean, or a new one."""
        client = Client(host, port)
        return next((each for each in self._ports if each.port == port and _one_machine(each, client)), client)


def _one_machine(one: Client, other: Client) -> bool:
    return one.host == other.host or (is_of_this_machine(one.host) and is_of_this_machine(other.host))


def _put(table: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
