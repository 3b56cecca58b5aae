"""OSCQuery: the address tree as JSON over HTTP, for programs that build a user interface from it.

It runs beside the OSC server and never delays a command: only GET, one small reply, then the connection is closed.

Source: the OSCQuery proposal (Vidvox).
"""

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from bridge.osc.sockets import OscPortBusy

__all__ = ["OscQuery", "answer"]

Tree = Callable[[], dict[str, Any]]

_ATTRIBUTES: Final = ("FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE")
_OPTIONAL: Final = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE")
_UNSUPPORTED: Final = ("TAGS", "EXTENDED_TYPE", "CRITICAL", "OVERLOADS", "HTML")
_COMMANDS: Final = ("LISTEN", "PATH_CHANGED", "PATH_RENAMED", "PATH_ADDED", "PATH_REMOVED")
_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.05  # how long stopping may take
_AT_ONCE: Final = 16  # requests; the next ones are turned away


def answer(target: str, tree: Tree, host_info: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
    """HTTP status and JSON for the target of a GET, such as ``/musika/gain?VALUE``."""
    try:
        url = urlsplit(target)
        path = unquote(url.path, errors="strict")
    except ValueError:
        return 400, None
    asked = url.query.partition("=")[0]
    if asked == "HOST_INFO":
        return 200, host_info
    node: dict[str, Any] | None = tree()
    for part in path.split("/"):
        if part:
            node = node.get("CONTENTS", {}).get(part) if node is not None else None
    if node is None:
        return 404, None
    if not asked:
        return 200, node
    if asked in node:
        return 200, {asked: node[asked]}
    return (204 if asked in _ATTRIBUTES or asked in _UNSUPPORTED else 400), None


class OscQuery:
    """The HTTP server. Threads: start and stop by one; `tree` is called from threads of its own.

    Args:
        host, port: where to serve; port 0 for any that is free.
        tree: returns the whole tree with present values (`AddressSpace.as_oscquery`).
        osc_port: of the OSC server it describes.
        name: shown by OSCQuery browsers.
    Raises:
        OscPortBusy: the port is in use.
    """

    def __init__(self, host: str, port: int, tree: Tree, osc_port: int, name: str = "Ripieno") -> None:
        extensions = dict.fromkeys(_OPTIONAL, True) | dict.fromkeys((*_UNSUPPORTED, *_COMMANDS), False)
        info = {"NAME": name, "OSC_IP": "", "OSC_PORT": osc_port, "OSC_TRANSPORT": "UDP", "EXTENSIONS": extensions}
        try:
            self._server = _Server((host, port), _handler(tree, info))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise OscPortBusy(f"OSCQuery cannot listen at {host}:{port} ({why}); choose another port") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="oscquery", daemon=True
        )

    @property
    def port(self) -> int:
        """The port; the real one when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End; safe to call twice, and without `start`."""
        if self._thread.ident is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._room = threading.BoundedSemaphore(_AT_ONCE)
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without asking for the machine's name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignored: a browser that closes its connection is not an error."""


def _reached_at(connection: socket.socket) -> str:
    """The address of ours that an asker has used, which it can therefore send to, even where all are listened at."""
    host = str(connection.getsockname()[0])
    return host.removeprefix("::ffff:")


def _handler(tree: Tree, info: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S
        server_version = "Ripieno"
        sys_version = ""

        def do_GET(self) -> None:
            status, content = answer(self.path, tree, {**info, "OSC_IP": _reached_at(self.connection)})
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
            self.send_header("Access-Control-Allow-Origin", "*")  # pages that draw a surface; nothing can be changed
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: the terminal belongs to the performance."""

    return Handler
