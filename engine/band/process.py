"""A maker in a process of its own, and that process seen from outside.

Of its own, since making an onnxruntime session holds the GIL for as long as it takes, and since a maker that dies must
not take the stage with it.
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
_HELD_BACK: Final = 3  # starts in a minute after which a maker that dies is left alone for a while
_WHILE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class AccompanistReady:
    """It is loaded and warm, after `seconds`; `name` is for people."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AccompanistFailed:
    """A request came to nothing; `number` 0 stands for whatever was asked last."""

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
    from engine.bundles.bundle import open_getmusic
    from engine.models.getmusic.accompanist import GetmusicAccompanist

    maker = GetmusicAccompanist(open_getmusic(name, threads=threads))
    maker.warm()
    return maker


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
        if info.family != "getmusic":
            raise BundleError(
                f"{name} is a {info.family} bundle, which cannot accompany: use {PATTERN} or a getmusic bundle"
            )
    return name


def auto_band() -> str:
    """The band for ``auto``: the first bundle that makes notes, else the pattern band."""
    from engine.bundles.bundle import bundles

    return next((info.name for info in bundles() if info.family == "getmusic"), PATTERN)


def _steer(maker: AccompanistModel, controls: GetmusicControls) -> None:
    """Have the next bars made like this; a band without a network has nothing to turn."""
    if not isinstance(maker, PatternBand):
        from engine.models.getmusic.accompanist import GetmusicAccompanist

        if isinstance(maker, GetmusicAccompanist):
            maker.controls = controls


def _maker_main(name: str, line: Connection) -> None:
    """Open the band, say so, then answer requests until the parent hangs up."""
    set_priority(BAND_PRIORITY)
    with until_parent_exits():
        began_s = time.perf_counter()
        try:
            maker = open_band(name)
        except EngineError as error:
            line.send(AccompanistFailed(-1, str(error)))
            return
        line.send(AccompanistReady(name, time.perf_counter() - began_s))
        while True:
            request: BarRequest | GetmusicControls = line.recv()
            if isinstance(request, GetmusicControls):
                _steer(maker, request)
                continue
            try:
                line.send(maker.make(request))
            except EngineError as error:
                line.send(AccompanistFailed(request.number, str(error)))
            except Exception as error:  # one bar lost is better than a band lost; it is told and counted
                line.send(AccompanistFailed(request.number, f"{type(error).__name__}: {error}"))


class AccompanistProcess:
    """A maker behind a pipe. One request at a time; whoever asks sees to that.

    Threads: one owner.

    Args:
        name: as `open_band`.
        controls: of its network; kept for a process that takes the place of one that died.
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
        """Whether it is loaded, and has been heard to say so."""
        return self._ready

    @property
    def line(self) -> Connection | None:
        """To wait on; None while there is no process."""
        return None if self._child is None else self._child.line

    def ask(self, request: BarRequest) -> bool:
        """Hand a request on; False if there is no process to take it."""
        self._revive()
        if not self._say(request):
            return False
        self._asked = request.number
        return True

    def steer(self, controls: GetmusicControls) -> None:
        """Have bars made like this from the next request on; one that is being made is not disturbed."""
        if controls != self._controls:
            self._controls = controls
            self._say(controls)

    def poll(self, timeout_s: float = 0.0) -> BarMade | AccompanistReady | AccompanistFailed | None:
        """The next answer, if there is one."""
        self._revive()
        if self._child is None:
            return None
        try:
            said: BarMade | AccompanistReady | AccompanistFailed | None = self._child.receive(timeout_s)
        except ProcessEnded:
            self._end()
            return AccompanistFailed(self._asked, "its process has ended")
        self._ready = self._ready or isinstance(said, AccompanistReady)
        return said

    def stop(self) -> None:
        """End the process, in the middle of a bar if need be."""
        self._starts.extend([time.monotonic()] * _HELD_BACK)
        self._end()

    def _revive(self) -> None:
        recent = [start for start in self._starts if time.monotonic() - start < _WHILE_S]
        if self._child is None and len(recent) < _HELD_BACK:
            self._start()

    def _start(self) -> None:
        self._starts.append(time.monotonic())
        self._child = ChildProcess(_maker_main, self.name, name="ripieno-maker")
        self._say(self._controls)

    def _say(self, said: BarRequest | GetmusicControls) -> bool:
        return self._child is not None and self._child.send(said)

    def _end(self) -> None:
        if self._child is not None:
            self._child.close(wait_s=_STOP_S / 10, terminate_s=_STOP_S)
        self._child = None
        self._ready = False
