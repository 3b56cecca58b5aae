"""The two sockets of an OSC server, on one port, and what the kernel says of them."""

import contextlib
import errno
import os
import socket
import sys
from functools import lru_cache
from typing import Final

from engine.errors import EngineError

__all__ = ["RECEIVE_BUFFER", "OscPortBusy", "is_of_this_machine", "kernel_drops", "open_sockets"]

RECEIVE_BUFFER: Final = 4 << 20  # bytes asked for: at Linux's default some 250 small packets in a burst are lost
_TRIES: Final = 20
_RCVBUFFORCE: Final = 33  # Linux: beyond the system's limit, for those who may


class OscPortBusy(EngineError):
    """The port cannot be had: end the other program, or choose another port."""


def open_sockets(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP socket and a listening TCP socket on one port; any free one for 0.

    Raises:
        OscPortBusy: the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_TRIES if port == 0 else 1):
        kind, opened = "UDP", []
        try:
            opened.append(udp := socket.socket(family, socket.SOCK_DGRAM))
            _grow(udp)
            udp.bind((host, port))
            kind = "TCP"
            opened.append(tcp := socket.socket(family, socket.SOCK_STREAM))
            if os.name == "posix":  # elsewhere it would let two programs share a port
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tcp.bind((host, udp.getsockname()[1]))
            tcp.listen(16)
        except (OSError, OverflowError) as error:
            for sock in opened:
                sock.close()
            if kind == "TCP" and port == 0:
                continue  # the free UDP port is taken in TCP: try another
            raise _busy(host, port, kind, error) from None
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp
    raise OscPortBusy(f"OSC finds no port on {host} that is free in UDP and TCP; name one")


@lru_cache(maxsize=1024)
def is_of_this_machine(host: str) -> bool:
    """Whether an address, such as 192.168.1.7, is one of this machine's: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except (OSError, OverflowError, UnicodeError):
        return False
    return True


def kernel_drops(udp: socket.socket) -> int:
    """Packets that the kernel has thrown away because nobody took them in time; 0 where it does not say."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        inode = str(os.fstat(udp.fileno()).st_ino)
        table = "/proc/net/udp6" if udp.family == socket.AF_INET6 else "/proc/net/udp"
        with open(table, encoding="ascii") as rows:
            return next((int(row[-1]) for row in map(str.split, rows) if len(row) > 12 and row[9] == inode), 0)
    except (OSError, ValueError):
        return 0


def _busy(host: str, port: int, kind: str, error: OSError | OverflowError) -> OscPortBusy:
    where = f"OSC cannot listen at {host}:{port} ({kind}: {getattr(error, 'strerror', None) or error})"
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        remedy = f"end the program that does, or choose another port, for example {port + 10 if port < 65000 else 9010}"
    else:
        remedy = "choose an address of this machine, such as 127.0.0.1 or 0.0.0.0, and a port of 1024..65535"
    return OscPortBusy(f"{where}; {remedy}")


def _grow(udp: socket.socket) -> None:
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if sys.platform.startswith("linux") and granted < RECEIVE_BUFFER:
        with contextlib.suppress(OSError):  # only root may
            udp.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, RECEIVE_BUFFER)
