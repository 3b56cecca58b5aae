"""Child processes for tests: one of each kind that there is, and some that misbehave.

Functions of a module, because a spawned process finds what it runs by its name.
"""

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.processes import ChildProcess, ProcessEnded, catch_signals, until_parent_exits

KINDS = ("voice", "infill", "accompanist", "audio", "midi in", "midi out", "midi watch")
NOTE_ON, NOTE_OFF = "903c64", "803c"


class LoggedPort:
    """A MIDI port that writes what is sent to a file."""

    def __init__(self, log: str) -> None:
        self._log = Path(log)

    def send_message(self, message: bytes) -> None:
        with self._log.open("a") as file:
            file.write(bytes(message).hex() + "\n")

    def delete(self) -> None:
        return None


def keeps_playing(log: str, line: Connection) -> None:
    """The process of a MIDI output whose port is a file."""
    from bridge.midi import sender

    changed: Any = sender
    changed.choose_sink = lambda name: None
    changed.open_sink = lambda sink: LoggedPort(log)
    changed.jack_wait_s = lambda sink: 0.0
    sender.sender_main(None, False, sender.SenderSetup(), line)


def keeps_watching(line: Connection) -> None:
    """The process that looks whether an output is still there, where it always is."""
    from bridge.midi import sender

    changed: Any = sender
    changed.api_of = lambda sink: 0
    changed.sink_names = lambda api: []
    sender.watch_main(None, line)


def keeps_listening(line: Connection) -> None:
    """The process of a MIDI input on which nothing arrives."""
    from bridge.midi import driver

    changed: Any = driver
    changed.api_of, changed.names = (lambda source: 0), (lambda api: [])
    changed._open = lambda name, timing, lost, hand_on: (None, LoggedPort(os.devnull))
    driver.driver_main(None, False, False, None, line)


def keeps_sounding(line: Connection) -> None:
    """The process of a sound device that plays on and on."""
    from bridge.audio.child import serve

    def work(device: str) -> None:
        line.send(device)
        while not line.poll():
            time.sleep(0.002)

    serve(line, False, lambda: "device", work)


def keeps_filling(task: object) -> Iterator[object]:
    """A job that never comes to its end."""
    from engine.protocols.streamer import Progress

    while True:
        time.sleep(0.02)
        yield Progress(1, 2)


def one_of_each(log: str) -> dict[str, int]:
    """Start a child of every kind, wait until each is at work; gives their process ids."""
    from bridge.midi.output_commands import Strike
    from engine.band.process import AccompanistProcess, AccompanistReady
    from engine.bundles.opening import open_voice
    from engine.conductor import Conductor
    from engine.session.infills import _ProcessJob
    from engine.worker.process import ProcessWorker, Setup
    from engine.worker.worker import Pacing

    drivers = {
        "audio": ChildProcess(keeps_sounding, name="audio", quiet=True),
        "midi in": ChildProcess(keeps_listening, name="in", quiet=True),
        "midi out": ChildProcess(keeps_playing, log, name="out", quiet=True),
        "midi watch": ChildProcess(keeps_watching, name="watch", quiet=True),
    }
    voice = ProcessWorker(
        Setup(
            opener=open_voice,
            bundle="tone",
            seed=0,
            session_rate=48_000,
            conductor=Conductor(48_000),
            pacing=Pacing(fill=4800),
        )
    )
    fill: Any = _ProcessJob(keeps_filling, None)  # type: ignore[arg-type]
    band = AccompanistProcess("house")
    while not voice.reports():
        time.sleep(0.02)
    while next(fill.said(), None) is None:
        time.sleep(0.02)
    while not isinstance(band.poll(1.0), AccompanistReady):
        pass
    for name in ("audio", "midi in", "midi out"):
        while drivers[name].receive(1.0) is None:
            pass
    assert band._child is not None
    drivers["midi out"].send(Strike(1, 0, 60, 100))
    while NOTE_ON not in (Path(log).read_text() if Path(log).exists() else ""):
        time.sleep(0.02)
    _KEPT.extend([voice, fill, band, *drivers.values()])
    return {
        "voice": voice.pid,
        "infill": fill._child.pid,
        "accompanist": band._child.pid,
        **{name: child.pid for name, child in drivers.items()},
    }


_KEPT: list[object] = []


def parent(log: str) -> None:
    """A program with a child of every kind, which says their ids and waits to be killed."""
    print(json.dumps(one_of_each(log)), flush=True)
    time.sleep(120.0)


def echoes_frames(out: Any, back: Any, line: Connection) -> None:
    """Gives back all frames of a playback ring through a capture ring, until the parent hangs up."""
    out.ran_empty()
    back.overran()
    back.overran()
    back.place(-5)
    done, size = 0, len(out.sound)
    while not line.poll():
        frames = min(out.written - done, size - (done - back.taken))
        where = [at % size for at in range(done, done + frames)]
        back.sound[where] = out.sound[where]
        done += frames
        back.captured(done)
        out.played(done)


# some that misbehave


def ignores_terminate(line: Connection) -> None:
    """Neither a closed line nor SIGTERM ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.send("up")
    time.sleep(120.0)


def counts_terminates(line: Connection) -> None:
    """Says that it was asked to end, then does."""
    asked = catch_signals(signal.SIGTERM)
    line.send("up")
    asked.wait(60.0)
    line.send("asked")


def answers(line: Connection) -> None:
    """Gives back what it gets, until the parent hangs up or wants it to end with a code."""
    with until_parent_exits():
        while True:
            got = line.recv()
            if isinstance(got, int):
                sys.exit(got)
            line.send(got)


def babbles(line: Connection) -> None:
    """Prints by every way there is: Python's, the system's, a C library's."""
    print("python", flush=True)
    print("python error", file=sys.stderr, flush=True)
    os.write(1, b"system\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"c library")
    libc.fflush(None)
    line.send("said")


def hears_babble(quiet: bool) -> None:
    """A program whose child babbles."""
    child = ChildProcess(babbles, name="babbler", quiet=quiet)
    assert child.receive(30.0) == "said"
    child.close(wait_s=10.0)
    print("parent", flush=True)


def ends_with(child: ChildProcess) -> int | None:
    """The exit code of a child that is about to end."""
    try:
        while child.receive(10.0) is not None:
            pass
    except ProcessEnded as ended:
        return ended.code
    return None
