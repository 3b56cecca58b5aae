"""The OSC server: one thread that receives over UDP and TCP, posts commands and replies.

No input can end it: bytes become messages or an error, messages become commands or a refusal, and every refusal is
counted and reported to its sender.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from bridge.osc.builtins import Builtins, Status
from bridge.osc.clients import Client, Clients
from bridge.osc.coalesce import Coalescer
from bridge.osc.replies import error_message, event_message, failure, telemetry_messages, value_message
from bridge.osc.sockets import OscPortBusy, kernel_drops, open_sockets
from bridge.osc.space import AddressSpace, Query, Refused, Routed, address_of, is_own
from bridge.osc.table import BUILT_IN
from bridge.osc.tcp import Connections
from bridge.osc.wire import Bundle, Message, OscError, decode, encode, messages
from engine.controls import Value
from engine.errors import EngineError
from engine.messages.session import NOW, Applied, Command, Event, Failed, Set, Telemetry, When

__all__ = ["MAX_AHEAD_S", "OscPortBusy", "OscServer"]

MAX_AHEAD_S: Final = 10.0
"""A bundle dated further ahead must come from a wrong clock; it takes effect after this time."""

_AT_A_TIME: Final = 256  # packets taken before anything else is looked after
_IDLE_S: Final = 0.25
_LARGEST: Final = 1 << 16  # above any datagram, so that none is cut
_COUNTED: Final = ("received", "handled", "refused", "malformed", "clamped", "failed", "unsent", "faults")
_BUSY_S: Final = 0.02  # while a TCP peer is slow to read

_log = logging.getLogger(__name__)


class OscServer:
    """UDP and TCP on one port; replies and broadcasts.

    Threads:
        start, stop                          one thread, before and after all others
        publish, set_space, counters, port   any thread; never wait for the network
        post, sample_at, status, value       called from the server's own thread

    Args:
        host, port: where to listen; port 0 for any that is free.
        space: what the addresses mean.
        post: takes a command and gives its number; an `EngineError` from it becomes a refusal.
        sample_at: Unix time -> the session's sample, for timetags.
        status: facts for ``/status``. value: of the control at a path, for questions; None if unknown.
        reply_port: port of this machine that answers and events go to from the start.
    Raises:
        OscPortBusy: the port is taken, or the address is not of this machine.
    """

    def __init__(
        self,
        host: str,
        port: int,
        space: AddressSpace,
        *,
        post: Callable[[Command, When], int],
        sample_at: Callable[[float], int],
        status: Status,
        value: Callable[[tuple[str, ...]], Value | None],
        reply_port: int = 9001,
    ) -> None:
        self._udp, listener = open_sockets(host, port)
        own = self._udp.getsockname()
        self._own = Client(own[0], own[1])
        self._clients = Clients(self._own, Client("::1" if ":" in own[0] else "127.0.0.1", reply_port))
        self._space, self._post, self._sample_at, self._value = space, post, sample_at, value
        self._desk = Builtins(self._clients, status, lambda: self.counters, self.port)
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._tcp = Connections(listener, self._opened, self._closed)
        self._coalescer: Coalescer[Client] = Coalescer()
        self._posting = threading.Lock()  # no event may overtake the note of who asked for it
        self._counting = threading.Lock()
        self._count = dict.fromkeys(_COUNTED, 0)
        self._drops = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)

    # life

    def start(self) -> None:
        """Begin to receive."""
        self._selector.register(self._udp, selectors.EVENT_READ, self._receive_udp)
        self._selector.register(self._tcp.listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._woken)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and close the port; safe to call twice, and without `start`."""
        if self._ended.is_set():
            return
        self._drops = kernel_drops(self._udp)
        self._ended.set()
        if self._thread.ident is not None:
            self._wake_in.send(b"\0")
            self._thread.join()
        self._tcp.close()
        self._selector.close()
        for sock in (self._udp, self._wake_in, self._wake_out):
            sock.close()

    @property
    def port(self) -> int:
        """The port; the real one when 0 was asked for."""
        return self._own.port

    @property
    def counters(self) -> dict[str, int]:
        """Counts so far.

        Messages: received = handled + refused. Of the handled, coalesced were replaced by a later value for the same
        control, clamped were dated too far ahead, failed could not be carried out by the session. Packets: malformed
        could not be read, dropped were lost by the kernel (counted on Linux), unsent are replies that could not be
        sent. Faults are bugs of the server; they are in the log.
        """
        dropped = self._drops if self._ended.is_set() else kernel_drops(self._udp)
        return {**self._count, "coalesced": self._coalescer.coalesced, "dropped": dropped}

    def set_space(self, space: AddressSpace) -> None:
        """Use another address space from now on, after a voice has loaded another bundle."""
        self._space = space

    # out

    def publish(self, events: Sequence[Event]) -> None:
        """Send events to the clients they concern."""
        for event in events:
            match event:
                case Applied():
                    self._tell(event_message(event), self._clients.for_event(self._asked(event.number)[0]))
                case Failed():
                    self._fail(event.command, event.reason, *self._asked(event.number))
                case Telemetry():
                    due = self._clients.for_telemetry(time.monotonic())
                    for message in telemetry_messages(event) if due else ():
                        self._tell(message, due)
                case _:
                    self._tell(event_message(event), self._clients.for_event(None))

    def _asked(self, number: int) -> tuple[Client | None, str]:
        """Who sent a command, and with what arguments."""
        with self._posting:
            return self._clients.asker(number), self._clients.sent(number)

    def _tell(self, message: Message, clients: Sequence[Client]) -> None:
        data = encode(message)
        for client in clients:
            try:
                if client.connection == 0:
                    self._udp.sendto(data, (client.host, client.port))
                elif not self._tcp.send(client.connection, data):
                    self._add("unsent")
            except OSError:  # the network is full or gone; OSC over UDP promises nothing
                self._add("unsent")

    def _complain(self, refused: Refused, client: Client) -> None:
        if self._clients.may_complain(client, time.monotonic()):
            self._tell(error_message(refused), self._clients.for_answer(client))

    def _fail(self, command: Command, reason: str, client: Client | None, sent: str = "") -> None:
        self._add("failed")
        refused = failure(command, reason, sent)
        if client is not None:
            self._complain(refused, client)
        else:
            self._tell(error_message(refused), self._clients.for_event(None))

    # in

    def _run(self) -> None:
        kept = False
        while not self._ended.is_set():
            try:
                kept = self._turn(kept)
            except Exception:  # a mistake of ours must not end the show
                self._fault("receiving")
                self._ended.wait(_BUSY_S)

    def _turn(self, kept: bool) -> bool:
        """Wait for something and do it; `kept`, and the result: whether a TCP peer is slow to read."""
        wait_s = self._coalescer.wait_s(time.monotonic())
        for key, _ in self._selector.select(wait_s if wait_s is not None else _BUSY_S if kept else _IDLE_S):
            key.data()
        now_s = time.monotonic()
        self._carry_out(self._coalescer.take_due(now_s))
        return self._tcp.tend(now_s)

    def _receive_udp(self) -> None:
        for _ in range(_AT_A_TIME):
            try:
                data, peer = self._udp.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:  # Windows tells here of a peer that has gone
                continue
            self._packet(data, Client(peer[0], peer[1]))

    def _receive_tcp(self, number: int) -> None:
        try:
            client, packets = self._tcp.receive(number, time.monotonic())
        except OscError:
            self._add("malformed")
            return
        if client is not None:
            for packet in packets:
                self._packet(packet, client)

    def _packet(self, data: bytes, client: Client) -> None:
        """Take one packet, whatever it holds."""
        try:
            packet = decode(data)
        except OscError as error:
            self._add("malformed")
            self._complain(Refused("", f"{len(data)} bytes", str(error), "send OSC 1.0 or 1.1"), client)
        else:
            self._take(packet, client)

    def _take(self, packet: Message | Bundle, client: Client) -> None:
        """Understand every message of a packet, then do all of it together."""
        routed: list[Routed] = []
        whens: dict[float | None, When] = {None: NOW}
        for message, time_s in messages(packet):
            if time_s is not None and time_s not in whens:
                whens[time_s] = self._when(time_s, client)
            for each in self._understand(message, client):
                routed.append(replace(each, when=whens[time_s]) if each.when == NOW else each)
        now_s = time.monotonic()
        changes = [each.command for each in routed if isinstance(each.command, Set) and each.when == NOW]
        if len(changes) == len(routed):
            self._carry_out(self._coalescer.offer(changes, client, now_s) if changes else [])
            return
        self._carry_out(self._coalescer.flush(now_s))
        for each in routed:
            self._order(each.command, each.when, client, each.got)

    def _understand(self, message: Message, client: Client) -> list[Routed]:
        """The commands in a message; questions and refusals are answered here."""
        self._add("received")
        commands, answers, refused = [], [], []
        try:
            for each in self._desk_or_space(message, client):
                done = self._value_of(each) if isinstance(each, Query) else each
                if isinstance(done, Routed):
                    commands.append(done)
                elif isinstance(done, Message):
                    answers.append(done)
                else:
                    refused.append(done)
        except Exception:
            self._fault(message.address)
            refused.append(Refused(message.address, "a message", "no internal error", "a bug: see the server's log"))
        self._add("refused" if refused and not commands and not answers else "handled")
        for answer in answers:
            self._tell(answer, self._clients.for_answer(client))
        for each_refused in refused if not is_own(message.address) else ():
            self._complain(each_refused, client)
        return commands

    def _desk_or_space(self, message: Message, client: Client) -> Sequence[Message | Routed | Query | Refused]:
        if message.address in BUILT_IN:
            return self._desk.answer(message, client, self._space)
        return self._space.route(message.address, message.args)

    def _value_of(self, query: Query) -> Message | Refused:
        value = self._value(query.path)
        if value is None:
            return Refused(query.address, "a query", "a voice that is loaded", "wait until it is ready")
        return value_message(query.address, value)

    def _when(self, time_s: float, client: Client) -> When:
        """The session's sample at a time that is ahead; now for one that has passed."""
        ahead_s = time_s - time.time()
        if ahead_s <= 0.0:
            return NOW
        if ahead_s > MAX_AHEAD_S:
            self._add("clamped")
            got = f"a bundle {ahead_s:.0f} s ahead"
            self._complain(Refused("#bundle", got, f"at most {MAX_AHEAD_S:g} s", "set both clocks to one time"), client)
            time_s -= ahead_s - MAX_AHEAD_S
        return When("sample", max(0, self._sample_at(time_s)))

    def _carry_out(self, changes: Sequence[tuple[Set, Client]]) -> None:
        for change, client in changes:
            self._order(change, NOW, client, str(change.value))

    def _order(self, command: Command, when: When, client: Client, sent: str) -> None:
        try:
            with self._posting:
                self._clients.remember(self._post(command, when), client, sent)
        except EngineError as error:
            self._fail(command, str(error), client, sent)
        except Exception:
            self._fault(address_of(command))
            self._fail(command, "an internal error of the server; see its log", client, sent)

    # connections

    def _accept(self) -> None:
        self._tcp.accept(time.monotonic())

    def _opened(self, sock: socket.socket, number: int) -> None:
        self._selector.register(sock, selectors.EVENT_READ, partial(self._receive_tcp, number))

    def _closed(self, sock: socket.socket, client: Client) -> None:
        self._selector.unregister(sock)
        self._clients.forget(client)

    def _woken(self) -> None:
        self._wake_out.recv(64)

    def _fault(self, where: str) -> None:
        _log.exception("OSC: %.100s", where)
        self._add("faults")

    def _add(self, what: str) -> None:
        with self._counting:
            self._count[what] += 1
