"""A worker seen from its session: in a process of its own, or in this one for tests and offline use.

A process is started with ``spawn``: nothing is shared but the ring and two pipes, on every operating system.
"""

import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Protocol

from engine.audio.ring import Ring
from engine.bundles.opening import identity_of
from engine.conductor import Conductor
from engine.controls import with_value
from engine.errors import ControlError, EngineError
from engine.processes import (
    VOICE_PRIORITY,
    ChildProcess,
    ProcessEnded,
    freeze_garbage,
    set_priority,
    until_parent_exits,
)
from engine.protocols.streamer import CanContinue, Streamer, restore
from engine.worker.orders import Broken, Order, Ready, Report
from engine.worker.worker import Pacing, Worker

__all__ = ["Identify", "LocalWorker", "Opener", "ProcessWorker", "Setup", "WorkerHandle", "ring_capacity"]

Identify = Callable[[str], str]
Opener = Callable[..., Streamer[Any, Any]]
"""``opener(bundle, **options)`` gives a streamer; picklable, since it is called in the voice's own process."""

_RING_S: Final = 8.0
_JOIN_S: Final = 0.3
_SWITCH_S: Final = 0.001  # a future in the making lets the sound's thread in so soon


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What a worker needs to begin.

    Args:
        opener, identify: open the bundle; tell what identifies its weights.
        bundle, seed: what to open; for its first state.
        session_rate: Hz.
        conductor: as it is now; orders keep it so.
        pacing: how far ahead to work; its clock is set by the player.
        controls: (path, value) pairs to begin with; others keep their defaults.
        resume: (chunk, pickled state) to go on from.
        options: passed to `opener`.
        folder: the session's, where sound that is gone on with lies.
    """

    opener: Opener
    bundle: str
    seed: int
    session_rate: int
    conductor: Conductor
    pacing: Pacing
    controls: tuple[tuple[tuple[str, ...], Any], ...] = ()
    resume: tuple[int, bytes] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    identify: Identify = identity_of
    folder: Path | None = None

    def worker(self, ring: Ring, clock: Callable[[], float] | None) -> Worker:
        """Open the bundle and put a worker on its first chunk."""
        streamer = self.opener(self.bundle, **self.options)
        controls = streamer.controls()
        for path, value in self.controls:
            try:
                controls = with_value(controls, path, value)
            except ControlError:
                continue  # a value carried over from another bundle that this one does not know
        chunk, state = (0, None) if self.resume is None else (self.resume[0], restore(streamer, self.resume[1]))
        return Worker(
            streamer,
            ring,
            session_rate=self.session_rate,
            conductor=self.conductor.copy(),
            pacing=replace(self.pacing, clock=clock),
            seed=self.seed,
            controls=controls,
            state=state,
            chunk=chunk,
            folder=self.folder,
        )


class WorkerHandle(Protocol):
    """One running worker. Threads: the session's housekeeping only."""

    @property
    def ring(self) -> Ring: ...

    @property
    def pid(self) -> int:
        """Its process; 0 if it has none of its own."""
        ...

    def send(self, order: Order) -> None:
        """Pass an order on; never waits."""
        ...

    def reports(self) -> list[Report]:
        """What it has reported since the last call; `Broken` once it has ended without being asked to."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def close(self) -> None:
        """End it and give its ring's memory back; the mixer must have let go of the ring."""
        ...


def ring_capacity(session_rate: int) -> int:
    """Samples of a voice's ring: a power of two, at least eight seconds."""
    return 1 << (int(_RING_S * session_rate) - 1).bit_length()


class LocalWorker:
    """A worker in this process; `advance` gives it its turns. `stalled` makes it late on purpose."""

    def __init__(self, setup: Setup) -> None:
        self.ring = Ring(ring_capacity(setup.session_rate))
        self.stalled = False
        self.pid = 0
        self._reports: list[Report] = []
        self._worker: Worker | None = None
        try:
            self._worker = setup.worker(self.ring, None)
            identity = setup.identify(setup.bundle)
        except Exception as error:  # whatever a bundle's code raises, the session must go on
            self._reports.append(Broken(_said(error)))
            return
        self._reports.append(_ready(self._worker, 0.0, identity))

    def advance(self) -> bool:
        """One turn of the worker; True if it made a chunk."""
        if self._worker is None or self.stalled:
            return False
        try:
            made = self._worker.advance()
        except Exception as error:
            self._reports += self._worker.take_reports()
            self._reports.append(Broken(_said(error)))
            self._worker = None
            return False
        self._reports += self._worker.take_reports()
        self.ring.beat()
        return made

    def send(self, order: Order) -> None:
        if self._worker is not None:
            self._worker.receive(order)

    def reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def kill(self) -> None:
        """End it as a crash would."""
        if self._worker is not None:
            self._worker = None
            self._reports.append(Broken("killed"))

    def close(self) -> None:
        self._worker = None


class ProcessWorker:
    """A worker in a child process.

    A thread of its own feeds the command pipe, so that a child that hangs can hold up nobody.
    """

    def __init__(self, setup: Setup) -> None:
        capacity = ring_capacity(setup.session_rate)
        self.ring = Ring.shared(capacity)
        try:
            self._child = ChildProcess(_serve, setup, self.ring.name, capacity, name="ripieno-voice")
        except BaseException:
            self.ring.close()
            raise
        self._outbox: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._sender = threading.Thread(target=self._send, name="orders", daemon=True)
        self._sender.start()
        self._ended = False

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, order: Order) -> None:
        self._outbox.put(order)

    def reports(self) -> list[Report]:
        reports: list[Report] = []
        try:
            while not self._ended and (report := self._child.receive()) is not None:
                reports.append(report)
                self._ended = isinstance(report, Broken)
        except ProcessEnded as ended:
            self._ended = True
            reports.append(Broken(str(ended)))
        return reports

    def kill(self) -> None:
        self._child.kill()

    def close(self) -> None:
        self._outbox.put(None)
        self._child.stop(wait_s=_JOIN_S)
        self._sender.join()
        self._child.close(wait_s=0.0)
        self.ring.close()

    def _send(self) -> None:
        order: Order | None = self._outbox.get()
        while self._child.send(order) and order is not None:
            order = self._outbox.get()


def _serve(setup: Setup, ring: str, capacity: int, line: Connection) -> None:
    """Life of a child process: open, warm up, then turn after turn until told to end or its parent is gone."""
    memory = Ring.attach(ring, capacity)
    try:
        with until_parent_exits():
            _turns(setup, memory, line)
    finally:
        memory.close()


def _turns(setup: Setup, ring: Ring, line: Connection) -> None:
    begun = time.perf_counter()
    try:
        worker = setup.worker(ring, time.perf_counter)
        identity = setup.identify(setup.bundle)
        worker.warm()
    except Exception as error:
        line.send(Broken(_said(error)))
        return
    sys.setswitchinterval(_SWITCH_S)
    freeze_garbage()
    set_priority(VOICE_PRIORITY)
    ready_s = time.perf_counter() - begun
    line.send(_ready(worker, ready_s, identity))
    while True:
        while line.poll():
            order: Order | None = line.recv()
            if order is None:
                return
            worker.receive(order)
        try:
            made = worker.advance()
        except Exception as error:
            _report(worker, line)
            line.send(Broken(_said(error)))
            sys.exit(1)
        _report(worker, line)
        ring.beat()
        if not made:
            line.poll(worker.wait_s())


def _ready(worker: Worker, seconds: float, identity: str) -> Ready:
    spec, continues = worker.spec, isinstance(worker.streamer, CanContinue)
    return Ready(worker.controls, spec.sample_rate, spec.chunk, seconds, identity, continues)


def _said(error: Exception) -> str:
    """An error in a line; our own say all by themselves, others need their kind."""
    text = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
    return text if len(text) <= 600 else text[:597] + "..."  # a report has to fit into a pipe at one go


def _report(worker: Worker, line: Connection) -> None:
    for report in worker.take_reports():
        line.send(report)
