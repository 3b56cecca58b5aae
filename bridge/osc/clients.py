"""Who is answered where, how often, and how loudly it may be told of its mistakes.

Max and Pure Data cannot hear what comes to the port they send from, liblo and SuperCollider can; so an answer goes to
the sender and to the ports registered for the sender's machine, an event to every registered port.
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
    """Somebody who sends or hears: a UDP address, or a TCP connection by its number (0: UDP)."""

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
    """Registered ports, subscriptions, error budgets, and who asked for which command.

    Every table is bounded: the oldest entry goes when one is full.

    Threads: any.

    Args:
        own: the server's address; nothing is ever sent to it, or it could talk to itself for ever.
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
        """Send answers for this machine, and all events, to this port, too."""
        with self._lock:
            _put(self._ports, Client(host, port), None, _MAX_PORTS)

    def drop(self, host: str, port: int) -> None:
        """No longer."""
        with self._lock:
            self._ports.pop(Client(host, port), None)
            self._subscriptions.pop(Client(host, port), None)

    def forget(self, client: Client) -> None:
        """A connection has ended."""
        with self._lock:
            self._subscriptions.pop(client, None)
            self._budgets.pop(client, None)

    def for_answer(self, client: Client) -> list[Client]:
        """Where an answer to `client` goes."""
        with self._lock:
            return self._without_own(client, *(port for port in self._ports if port.host == client.host))

    def for_event(self, client: Client | None) -> list[Client]:
        """Where an event goes that `client`, if anybody, has brought about."""
        with self._lock:
            return self._without_own(*(() if client is None else (client,)), *self._ports)

    def subscribe(self, client: Client, rate_hz: float) -> None:
        """Telemetry for `client` and the ports of its machine at most so often; 0 ends it."""
        everywhere = self.for_answer(client)
        with self._lock:
            for each in everywhere:
                if rate_hz > 0:
                    _put(self._subscriptions, each, _Subscription(1.0 / rate_hz), _MAX_SUBSCRIBERS)
                else:
                    self._subscriptions.pop(each, None)

    def for_telemetry(self, now_s: float) -> list[Client]:
        """Subscribers whose time has come."""
        due = []
        with self._lock:
            for client, wish in self._subscriptions.items():
                # A telling that is a little early counts: told at 10 Hz, who wants 10 Hz shall not get every second.
                if now_s >= wish.next_s - 0.25 * wish.interval_s:
                    on_time = wish.next_s + wish.interval_s
                    wish.next_s = on_time if on_time > now_s else now_s + wish.interval_s
                    due.append(client)
        return due

    def may_complain(self, client: Client, now_s: float) -> bool:
        """Whether `client` may be told of one more mistake now."""
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
        """`client` has asked for the command of this number."""
        with self._lock:
            _put(self._askers, number, client, _MAX_NUMBERS)

    def asker(self, number: int) -> Client | None:
        """Who asked for a command; None if nobody here did, or long ago."""
        with self._lock:
            return self._askers.get(number)

    def _without_own(self, *clients: Client) -> list[Client]:
        return [client for client in dict.fromkeys(clients) if client not in self._own]


def _put(table: OrderedDict[K, V], key: K, value: V, limit: int) -> None:
    table[key] = value
    table.move_to_end(key)
    while len(table) > limit:
        table.popitem(last=False)
