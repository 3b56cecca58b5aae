"""The server's own addresses: queries about the server, and where it sends replies."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridge.osc.clients import Client, Clients
from bridge.osc.space import AddressSpace, Refused
from bridge.osc.table import BUILT_IN, taken_as
from bridge.osc.wire import Message
from engine.controls import Live
from engine.errors import ControlError

__all__ = ["Builtins", "Status"]

Status = Callable[[], Sequence[tuple[str, int | float | str]]]

_PORT: Final = Live(1, 65535, "port")
_RATE: Final = Live(0.0, 30.0, "messages a second", "Hz")
_ECHOED: Final = 32  # arguments of a ping that are returned


class Builtins:
    """Answers for the addresses in `bridge.osc.table.BUILT_IN`.

    Args:
        clients: the addresses that replies go to.
        status: facts of the session. counters: of the server.
        port: the server's own port, which cannot be a reply port.
    """

    def __init__(self, clients: Clients, status: Status, counters: Callable[[], Mapping[str, int]], port: int) -> None:
        self._clients, self._status, self._counters, self._port = clients, status, counters, port

    def answer(self, message: Message, client: Client, space: AddressSpace) -> Sequence[Message | Refused]:
        """The replies to `client`, or a refusal."""
        args = message.args
        match message.address:
            case "/ping":
                return [Message("/pong", tuple(a for a in args[:_ECHOED] if isinstance(a, int | float | str | bytes)))]
            case "/reply/to" | "/reply/drop" | "/telemetry":
                return self._arrange(message.address, args, client)
        if args not in ((), (None,)) and (len(args) > 1 or not isinstance(args[0], int | float)):
            return [
                Refused(message.address, _cut(args), "no argument, or a number other than 0", "send the address alone")
            ]
        if args and args[0] == 0:
            return []  # a button is released
        match message.address:
            case "/status":
                return [Message(f"/status/{name}", (value,)) for name, value in self._status()]
            case "/voices":
                return [Message("/voices", space.voices)]
            case _:
                return [Message(f"/errors/{name}", (count,)) for name, count in self._counters().items()]

    def _arrange(self, address: str, args: Sequence[object], client: Client) -> Sequence[Message | Refused]:
        kind, live = (float, _RATE) if address == "/telemetry" else (int, _PORT)
        try:
            if len(args) != 1:
                raise ControlError
            number = float(taken_as(kind, live, args[0]))
            if kind is int and number == self._port:
                raise ControlError
        except ControlError:
            return [
                Refused(
                    address,
                    _cut(args),
                    BUILT_IN[address][0],
                    "send one number in this range, other than the port of this server",
                )
            ]
        if address == "/telemetry":
            self._clients.subscribe(client, number)
        elif address == "/reply/to":
            self._clients.register(client.host, int(number))
        else:
            self._clients.drop(client.host, int(number))
        return []


def _cut(args: Sequence[object]) -> str:
    return " ".join(str(arg)[:40] for arg in args[:4]) or "nothing"
