"""A whole band under a clock that only the test moves: real Band, accompanist and sender; fake process, input, port."""

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

from bridge.band.band import Band
from bridge.band.clock import BandTime, OwnTime
from bridge.band.keys import MidiInbox
from bridge.band.options import BandOptions
from bridge.band.ports import BandPorts
from bridge.band.tones import Sound
from bridge.band.view import BandStatus
from bridge.midi.out import OutStats
from bridge.midi.output_commands import OutputCommand, SetPulse
from bridge.midi.sender import Sender, SenderSetup
from engine.band.actions import BandSettings, Dropped, Planned
from engine.band.patterns import PatternBand
from engine.band.process import AccompanistFailed, AccompanistReady
from engine.music.harmony import parse_progression
from engine.protocols.accompanist import BarMade, BarRequest

__all__ = ["BAR_S", "SETTINGS", "FakeOutput", "FakeProcess", "Rig", "ShownView"]

BAR_S = 2.0  # at 120 bpm
SETTINGS = BandSettings(progression=parse_progression("Am F C G"), warmup=0)


class ShownView:
    """Everything that a view was asked to show."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.plans: list[Planned] = []
        self.dropped: list[Dropped] = []
        self.status: BandStatus | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show_plan(self, news: Planned | Dropped) -> None:
        if isinstance(news, Planned):
            self.plans.append(news)
        else:
            self.dropped.append(news)

    def show_status(self, status: BandStatus) -> None:
        self.status = status


class FakeProcess:
    """An accompanist that answers after `seconds` of the test's time; `dead` takes no request."""

    line = None

    def __init__(self, rig: "Rig", name: str, controls: object) -> None:
        self.rig, self.name, self.controls = rig, name, controls
        self.ready, self.dead, self.stopped = False, False, 0
        self.seconds: float | None = 0.1
        self.requests: list[BarRequest] = []
        self.messages: deque[tuple[float, BarMade | AccompanistReady | AccompanistFailed]] = deque()

    def load(self) -> "FakeProcess":
        self.messages.append((self.rig.now, AccompanistReady(self.name, 0.5)))
        return self

    def fail(self, number: int, why: str) -> None:
        self.messages.append((self.rig.now, AccompanistFailed(number, why)))

    def ask(self, request: BarRequest) -> bool:
        if self.dead:
            return False
        self.requests.append(request)
        if self.seconds is not None:
            self.messages.append((self.rig.now + self.seconds, PatternBand().make(request)))
        return True

    def steer(self, controls: object) -> None:
        self.controls = controls

    def poll(self, timeout_s: float = 0.0) -> BarMade | AccompanistReady | AccompanistFailed | None:
        if not self.messages or self.messages[0][0] > self.rig.now:
            return None
        message = self.messages.popleft()[1]
        self.ready = self.ready or isinstance(message, AccompanistReady)
        return message

    def stop(self) -> None:
        self.stopped += 1


class FakeOutput:
    """A MIDI output whose sender runs in the test; it checks that no key is struck twice or released twice."""

    name = "by hand"

    def __init__(self, rig: "Rig", setup: SenderSetup) -> None:
        self.rig, self.setup, self.stopped = rig, setup, 0
        self.commands: list[OutputCommand] = []
        self.wire: list[tuple[float, bytes]] = []
        self.sounding: Counter[tuple[int, int]] = Counter()
        self.ons: list[tuple[float, int, int]] = []
        self.offs = 0
        self.lines: list[str] = []
        self.stats = OutStats()
        self.sender: Sender | None = Sender(self._take, setup, lambda: rig.now)

    def _take(self, message: bytes) -> None:
        self.wire.append((self.rig.now, message))
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1] if len(message) > 1 else 0)
        if kind == 0x90:
            assert message[2] > 0
            assert not self.sounding[key], "struck while it is held"
            self.sounding[key] += 1
            self.ons.append((self.rig.now, *key))
        elif kind == 0x80:
            assert self.sounding[key] == 1, "released without being struck"
            self.sounding[key] -= 1
            self.offs += 1

    def send(self, command: OutputCommand) -> bool:
        self.commands.append(command)
        if self.sender is None:
            return False
        self.sender.apply(command)
        return True

    def lose(self) -> None:
        """The port and its sender are gone; the synthesizer keeps sounding."""
        self.sender = None

    def restart(self, pulse: Any) -> None:
        """Another sender takes over, as `MidiOutput` starts it."""
        owed = tuple(key for key, count in self.sounding.items() if count)
        self.sender = Sender(self._take, replace(self.setup, owed=owed), lambda: self.rig.now)
        self.sender.apply(SetPulse(pulse))

    def lateness(self) -> list[float]:
        return []

    def poll(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    def stop(self) -> None:
        self.stopped += 1
        if self.sender is not None:
            self.sender.finish()

    def held(self) -> dict[tuple[int, int], int]:
        return dict(+self.sounding)

    def channels(self) -> set[int]:
        return {channel for _, channel, _ in self.ons}


class Rig:
    """The band, its view, its output and its processes.

    Args:
        clock: the band's; at 120 bpm without a count-in if not given.
        loaded: the first process is ready at the first step.
    """

    def __init__(
        self, clock: BandTime | None = None, *, loaded: bool = True, sound: Sound | None = None, **options: Any
    ):
        self.now = 100.0
        self.view, self.processes = ShownView(), list[FakeProcess]()
        self._loaded = loaded
        made = BandOptions(**{"settings": SETTINGS, **options})
        self.band = Band(
            made, self.view, clock or OwnTime(120.0), sound, ports=self._ports, process=self._process,
            now=lambda: self.now,
        )  # fmt: skip

    def _ports(
        self,
        options: BandOptions,
        setup: SenderSetup,
        inbox: MidiInbox,
        sound: Sound | None,
        say: Callable[[str], None],
    ) -> BandPorts:
        self.output = FakeOutput(self, setup)
        return BandPorts(self.output, sound=sound)

    def _process(self, name: str, controls: object) -> FakeProcess:
        made = FakeProcess(self, name, controls)
        self.processes.append(made.load() if self._loaded else made)
        return made

    @property
    def process(self) -> FakeProcess:
        return self.processes[-1]

    def play(self, seconds: float) -> "Rig":
        """Move time on; the sender sends exactly in time, the band steps every 10 ms."""
        end, step = self.now + seconds, self.now
        while True:
            while self.now >= step:
                self.band.step()
                step += 0.01
            if self.now >= end:
                return self
            wait = math.inf if self.output.sender is None else self.output.sender.wait_s()
            self.now = min(end, step, self.now + max(wait, 1e-6))
            if self.output.sender is not None:
                self.output.sender.send_due()

    def bars(self, count: float) -> "Rig":
        return self.play(count * BAR_S)

    def key(self, *message: int) -> None:
        self.band.inbox.receive(message, self.now)

    def post(self, command: Any, tick: float | None = None) -> list[str]:
        """Send a command; the list gets its answer."""
        answers: list[str] = []
        self.band.post(command, tick, answers.append)
        return answers

    def close(self) -> None:
        """Close the band; every note-on must have had exactly one note-off."""
        self.band.close()
        assert self.output.held() == {}
        assert len(self.output.ons) == self.output.offs
