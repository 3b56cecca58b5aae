"""Destinations of replies, rates of telemetry, and limits on error messages, for each client.

Max and Pure Data cannot receive at the port they send from, liblo and SuperCollider can; so a reply goes to the sender
and to the ports registered for the sender's machine, an event to every registered port.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, TypeVar

__all__ = ["ERRORS_PER_S", "Client", "Clients"]

ERRORS_PER_S: Final = 20  # a fader dragged in a wrong range shall not flood its sender

_MAX_PORTS: Final = 32
_MAX_SUBSCRIBERS: Final = 32
_MAX_BUDGETS: Final = 256
_MAX_NUMBERS: Final = 4096

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

    Every table is bounded: the oldest entry is dropped when it is full.

    Threads: any.

    Args:
        own: the server's address; nothing is ever sent to it, which could loop for ever.
        first: the port that is registered from the start.
    """

    def __init__(self, own: Client, first: Client) -> None:
        self._own = {own, Client("127.0.0.1", own.port), Client("::1", own.port)}
        self._lock = threading.Lock()
        self._ports: OrderedDict[Client, None] = OrderedDict({first: None})
        self._subscriptions: OrderedDict[Client, _Subscription] = OrderedDict()
        self._budgets: OrderedDict[Client, _Budget] = OrderedDict()
        self._askers: OrderedDict[int, Client] = OrderedDict()

    def register(self, host: str, port: int) -> None:
        """Also send replies for this machine, and all events, to this port."""
        with self._lock:
            _put(self._ports, Client(host, port), None, _MAX_PORTS)

    def drop(self, host: str, port: int) -> None:
        """Stop sending to this port."""
        with self._lock:
            self._ports.pop(Client(host, port), None)
            self._subscriptions.pop(Client(host, port), None)

    def forget(self, client: Client) -> None:
        """Remove a client whose connection has ended."""
        with self._lock:
            self._subscriptions.pop(client, None)
            self._budgets.pop(client, None)

    def for_answer(self, client: Client) -> list[Client]:
        """Destinations of a reply to `client`."""
        with self._lock:
            return self._without_own(client, *(port for port in self._ports if port.host == client.host))

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

    def remember(self, number: int, client: Client) -> None:
        """Store that `client` sent the command of this number."""
        with self._lock:
            _put(self._askers, number, client, _MAX_NUMBERS)

    def asker(self, number: int) -> Client | None:
        """The client that sent a command; None if no client did, or long ago."""
        with self._lock:
            return self._askers.get(number)

    def _without_own(self, *clients: Client) -> list[Client]:
        return [client for client in dict.fromkeys(clients) if client not in self._own]


def _put(table: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
