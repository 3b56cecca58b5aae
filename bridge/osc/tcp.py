"""OSC over TCP: packets in a stream of bytes, and the connections that carry them.

The framing follows from a connection's first byte: 0 begins a size (OSC 1.0: int32, then the packet), END or the first
character of a packet begins SLIP (OSC 1.1, RFC 1055: END before and after, or only after).
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bridge.osc.clients import Client
from bridge.osc.wire import MAX_PACKET, OscError

__all__ = ["MAX_CONNECTIONS", "Connections", "Frames"]

MAX_CONNECTIONS: Final = 16
_STALLED_S: Final = 10.0  # to end a packet that has begun
_IDLE_S: Final = 60.0  # a connection silent for so long gives way to a new one
_UNUSED_S: Final = 10.0  # and one over which nothing was ever received or sent
_PROBES: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
"""Socket options, where a system has them: a peer that has gone without a word is noticed within a minute."""
_MAX_UNSENT: Final = 1 << 18  # bytes for a peer that does not read; then it is let go
_READ: Final = 1 << 16

_END, _ESC = b"\xc0", b"\xdb"
_SLIP_STARTS: Final = b"\xc0/#"


class Frames:
    """Packets out of a stream (pure): bytes in, whole packets out."""

    def __init__(self) -> None:
        self.slip: bool | None = None
        self._buffer = bytearray()
        self._searched = 0

    @property
    def partial(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are whole now.

        Raises:
            OscError: the stream is no framed OSC, or a packet is too long.
        """
        self._buffer += data
        if self.slip is None and self._buffer:
            if self._buffer[0] != 0 and self._buffer[0] not in _SLIP_STARTS:
                raise OscError("a stream begins with a packet's size or with SLIP")
            self.slip = self._buffer[0] != 0
        return self._slipped() if self.slip else self._sized()

    def wrap(self, packet: bytes) -> bytes:
        """A packet framed as the peer frames its own."""
        if self.slip is False:
            return len(packet).to_bytes(4, "big") + packet
        return _END + packet.replace(_ESC, b"\xdb\xdd").replace(_END, b"\xdb\xdc") + _END

    def _sized(self) -> list[bytes]:
        packets, at = [], 0
        while at + 4 <= len(self._buffer):
            size = int.from_bytes(self._buffer[at : at + 4], "big")
            if size > MAX_PACKET:
                raise OscError(f"a packet has at most {MAX_PACKET} bytes, got {size}")
            if at + 4 + size > len(self._buffer):
                break
            packets.append(bytes(self._buffer[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._buffer[:at]
        return [packet for packet in packets if packet]

    def _slipped(self) -> list[bytes]:
        packets, begin = [], 0
        while (end := self._buffer.find(_END, max(begin, self._searched))) >= 0:
            if end > begin:
                packets.append(_unescaped(bytes(self._buffer[begin:end])))
            begin = end + 1
        del self._buffer[:begin]
        self._searched = len(self._buffer)
        if self._searched > 2 * MAX_PACKET:
            raise OscError(f"a packet has at most {MAX_PACKET} bytes")
        return packets


def _unescaped(data: bytes) -> bytes:
    first, *rest = data.split(_ESC)
    parts = [first]
    for part in rest:
        char = {b"\xdc": _END, b"\xdd": _ESC}.get(part[:1])
        if char is None:
            raise OscError("an escape of SLIP is followed by DC or DD")
        parts += [char, part[1:]]
    return b"".join(parts)


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    client: Client
    received_s: float
    frames: Frames = field(default_factory=Frames)
    used: bool = False
    waiting_since_s: float | None = None
    unsent: bytearray = field(default_factory=bytearray)
    dead: bool = False


class Connections:
    """The TCP connections of a server: bounded in number, in bytes and in patience.

    A peer may be silent for as long as it likes: who only listens has nothing to say. A connection is ended when a
    packet begins and does not end, when the peer does not read what it is sent or its machine no longer answers, and,
    where there are too many, when it has been silent longest.

    Threads:
        accept, receive, tend, close    the server's receiver
        send                            any

    Args:
        listener: a listening socket; owned from now on.
        opened, closed: called for every connection, so that it can be waited for.
    """

    def __init__(
        self,
        listener: socket.socket,
        opened: Callable[[socket.socket, int], None],
        closed: Callable[[socket.socket, Client], None],
    ) -> None:
        self.listener = listener
        self._opened, self._closed = opened, closed
        self._lock = threading.Lock()
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._connections)

    def accept(self, now_s: float) -> None:
        """Take one connection; refuse it if too many are alive."""
        try:
            sock, peer = self.listener.accept()
        except OSError:
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            number, oldest = min(self._connections.items(), key=lambda row: (row[1].used, row[1].received_s))
            if now_s - oldest.received_s < (_IDLE_S if oldest.used else _UNUSED_S):
                sock.close()
                return
            self._drop(number)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _watch(sock)
        self._count += 1
        with self._lock:
            self._connections[self._count] = _Connection(sock, Client(peer[0], peer[1], self._count), now_s)
        self._opened(sock, self._count)

    def receive(self, number: int, now_s: float) -> tuple[Client | None, list[bytes]]:
        """Who has sent, and the packets that are whole now.

        Raises:
            OscError: it was no framed OSC; the connection is closed.
        """
        connection = self._connections.get(number)
        if connection is None:
            return None, []
        try:
            data = connection.sock.recv(_READ)
        except BlockingIOError:
            return connection.client, []
        except OSError:
            data = b""
        if not data:
            self._drop(number)
            return None, []
        try:
            packets = connection.frames.feed(data)
        except OscError:
            self._drop(number)
            raise
        connection.used = connection.used or bool(packets)
        if packets or not connection.frames.partial:
            connection.waiting_since_s = None
        elif connection.waiting_since_s is None:
            connection.waiting_since_s = now_s
        connection.received_s = now_s
        return connection.client, packets

    def send(self, number: int, packet: bytes) -> bool:
        """Send or keep a packet for a peer; False if it is gone or does not read."""
        with self._lock:
            connection = self._connections.get(number)
            if connection is None or connection.dead:
                return False
            connection.used = True
            connection.unsent += connection.frames.wrap(packet)
            _flush(connection)
            if len(connection.unsent) > _MAX_UNSENT:
                connection.dead = True
            return not connection.dead

    def tend(self, now_s: float) -> bool:
        """Send what was kept, end what is stuck; whether anything is still kept."""
        stuck = []
        with self._lock:
            for number, connection in self._connections.items():
                _flush(connection)
                since = connection.waiting_since_s
                if connection.dead or (since is not None and now_s - since > _STALLED_S):
                    stuck.append(number)
            kept = any(connection.unsent for connection in self._connections.values())
        for number in stuck:
            self._drop(number)
        return kept

    def close(self) -> None:
        """End everything."""
        for number in list(self._connections):
            self._drop(number)
        self.listener.close()

    def _drop(self, number: int) -> None:
        with self._lock:
            connection = self._connections.pop(number)
        self._closed(connection.sock, connection.client)
        connection.sock.close()


def _watch(sock: socket.socket) -> None:
    """Have the system ask a silent peer now and then whether it is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES.items():
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _flush(connection: _Connection) -> None:
    """Send what the peer takes now."""
    while connection.unsent and not connection.dead:
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            return
        except OSError:
            connection.dead = True
            return
        del connection.unsent[:sent]
