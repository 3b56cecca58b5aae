"""The accompanist process: a band's model in a child process, and that process as its parent sees it.

A process of its own, because opening an onnxruntime session holds the GIL as long as it takes, and because a model that
crashes must not end the performance.
"""

import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

from engine.band.names import AUTO, OLD_NAMES, PATTERN
from engine.band.patterns import PatternBand
from engine.errors import BundleError, EngineError
from engine.models.getmusic.model import GetmusicControls
from engine.processes import BAND_PRIORITY, ChildProcess, ProcessEnded, set_priority, until_parent_exits
from engine.protocols.accompanist import AccompanistModel, BarMade, BarRequest

__all__ = [
    "AccompanistFailed",
    "AccompanistProcess",
    "AccompanistReady",
    "auto_band",
    "band_named",
    "open_band",
]

_STOP_S: Final = 1.0
_HELD_BACK: Final = 3  # starts in a minute after which a model that dies is left alone for a while
_WHILE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AccompanistReady:
    """The band `name` is loaded and has run once, after `seconds`."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AccompanistFailed:
    """A request failed, or (`number` -1) the band could not be loaded."""

    number: int
    why: str


def open_band(name: str, *, threads: int = 1) -> AccompanistModel:
    """The band with this name.

    Args:
        name: as `band_named`.
        threads: of its network; one leaves the other core of a small machine to the process that keeps time.
    Raises:
        BundleError: no such bundle, or it cannot accompany.
    """
    name = band_named(name)
    if name == PATTERN:
        return PatternBand()
    from engine.bundles.bundle import open_accompanist

    return open_accompanist(name, threads=threads)


def band_named(name: str, *, paths: bool = True) -> str:
    """The name of a band: the bundle for ``auto``, the present name for an old one, otherwise `name` itself.

    Args:
        name: ``pattern``, ``auto``, an old name for these, or a bundle that can accompany.
        paths: accept the folder of a bundle as well.
    Raises:
        BundleError: no such bundle, or it cannot accompany.
    """
    name = OLD_NAMES.get(name, name)
    if name == AUTO:
        return auto_band()
    if name != PATTERN:
        from engine.bundles.bundle import describe

        info = describe(name, paths=paths)
        if not info.takes("accompany"):
            raise BundleError(
                f"{name} is a {info.family} bundle, which cannot accompany: use {PATTERN} or a bundle that makes notes"
            )
    return name


def auto_band() -> str:
    """The band for ``auto``: the first bundle that makes notes, else the pattern band."""
    from engine.bundles.bundle import bundles

    return next((info.name for info in bundles() if info.takes("accompany")), PATTERN)


def _steer(model: AccompanistModel, controls: GetmusicControls) -> None:
    """Set the controls of the next bars; a band without a network has none."""
    if not isinstance(model, PatternBand):
        from engine.models.getmusic.accompanist import GetmusicAccompanist

        if isinstance(model, GetmusicAccompanist):
            model.controls = controls


def _accompanist_main(name: str, line: Connection) -> None:
    """Open the band, report it, then answer requests until the parent hangs up."""
    set_priority(BAND_PRIORITY)
    with until_parent_exits():
        began_s = time.perf_counter()
        try:
            model = open_band(name)
        except EngineError as error:
            line.send(AccompanistFailed(-1, str(error)))
            return
        line.send(AccompanistReady(name, time.perf_counter() - began_s))
        while True:
            request: BarRequest | GetmusicControls = line.recv()
            if isinstance(request, GetmusicControls):
                _steer(model, request)
                continue
            try:
                line.send(model.make(request))
            except EngineError as error:
                line.send(AccompanistFailed(request.number, str(error)))
            except Exception as error:  # a lost bar, reported and counted, is better than a lost band
                line.send(AccompanistFailed(request.number, f"{type(error).__name__}: {error}"))


class AccompanistProcess:
    """A band in a child process. One request at a time: the caller waits for the answer before the next.

    Threads: one owner.

    Args:
        name: as `open_band`.
        controls: of its network; also given to a process that replaces one that has ended.
    """

    def __init__(self, name: str, controls: GetmusicControls | None = None) -> None:
        self.name = name
        self._controls = controls or GetmusicControls()
        self._starts: deque[float] = deque(maxlen=_HELD_BACK)
        self._child: ChildProcess | None = None
        self._asked = 0
        self._ready = False
        self._start()

    @property
    def ready(self) -> bool:
        """Whether it is loaded and its report was received."""
        return self._ready

    @property
    def line(self) -> Connection | None:
        """The connection to wait on; None while there is no process."""
        return None if self._child is None else self._child.line

    def ask(self, request: BarRequest) -> bool:
        """Send a request; False if there is no process."""
        self._revive()
        if not self._send(request):
            return False
        self._asked = request.number
        return True

    def steer(self, controls: GetmusicControls) -> None:
        """Set the controls from the next request on."""
        if controls != self._controls:
            self._controls = controls
            self._send(controls)

    def poll(self, timeout_s: float = 0.0) -> BarMade | AccompanistReady | AccompanistFailed | None:
        """The next answer; None if there is none yet."""
        self._revive()
        if self._child is None:
            return None
        try:
            message: BarMade | AccompanistReady | AccompanistFailed | None = self._child.receive(timeout_s)
        except ProcessEnded:
            self._end()
            return AccompanistFailed(self._asked, "its process has ended")
        self._ready = self._ready or isinstance(message, AccompanistReady)
        return message

    def stop(self) -> None:
        """End the process, also in the middle of a bar."""
        self._starts.extend([time.monotonic()] * _HELD_BACK)
        self._end()

    def _revive(self) -> None:
        recent = [start for start in self._starts if time.monotonic() - start < _WHILE_S]
        if self._child is None and len(recent) < _HELD_BACK:
            self._start()

    def _start(self) -> None:
        self._starts.append(time.monotonic())
        self._child = ChildProcess(_accompanist_main, self.name, name="ripieno-accompanist")
        self._send(self._controls)

    def _send(self, message: BarRequest | GetmusicControls) -> bool:
        return self._child is not None and self._child.send(message)

    def _end(self) -> None:
        if self._child is not None:
            self._child.close(wait_s=_STOP_S / 10, terminate_s=_STOP_S)
        self._child = None
        self._ready = False
