"""A port on a sound device, which may go away and come back."""

from dataclasses import replace

from bridge.audio.card import card_main
from bridge.audio.child import DeviceProcess, Opened, OpenRequest
from bridge.audio.input import AudioInput
from bridge.audio.input_pump import InputPump, RingCapture
from bridge.audio.keeper import LOOK_S, DeviceKeeper
from bridge.audio.port import BLOCK, LEAD_MS, PortError, PortStats, Source
from bridge.audio.pump import Pump
from bridge.audio.rings import CAPACITY, CaptureRing, PlaybackRing

__all__ = ["DevicePort"]


class _OutputRun:
    """One run of the output's process, as the parent sees it: the pump's sink, and where recorded frames belong."""

    def __init__(self, request: OpenRequest) -> None:
        self.ring, self.capture = PlaybackRing(), CaptureRing()
        self.child = DeviceProcess(card_main, self.ring, self.capture, request)
        self.fill, self.write, self.close = self.ring.fill, self.ring.write, self.ring.close
        self._first = 0

    @property
    def width(self) -> int:
        return self.ring.width

    @property
    def underruns(self) -> int:
        return self.ring.underruns

    def begin(self, frame: int) -> None:
        self._first = frame

    def alive(self) -> bool:
        return not self.child.gone

    def position(self, frame: int) -> float | None:
        """The frame of the source that sounded when this recorded frame came in."""
        place = self.capture.placed
        return None if place is None else float(self._first + place + frame)


class DevicePort(DeviceKeeper[_OutputRun, Opened]):
    """A sound device. Opened here, silent until started; errors as `open_port`.

    Threads and processes:
        the pump         reads the source, keeps a ring in shared memory a lead ahead; without a device, lets time pass
        the keeper       watches the device's process; when it ends or stalls, starts another that waits for the device
        the card         a child process: PortAudio, see `bridge.audio.card`
        the input pump   a thread of the input's, if the device is one as well

    Args:
        request: what is to be opened.
        lead_ms, block: as `open_port`.
    """

    def __init__(self, request: OpenRequest, *, lead_ms: float = LEAD_MS, block: int = BLOCK) -> None:
        if not 5.0 <= lead_ms <= 500.0 or not 16 <= block <= 4096:
            raise PortError(f"lead is 5..500 ms and block 16..4096 frames, got {lead_ms:g} and {block}")
        super().__init__(Opened)
        self._flags_before = 0
        run, opened = self._connect(request)
        self.name, self.sample_rate = opened.name, opened.sample_rate
        self._request = replace(self._request, sample_rate=self.sample_rate)
        self._duplex = None if opened.duplex is None else InputPump(opened.duplex.sample_rate, opened.duplex)
        self._device_s = opened.latency_s
        lead = min(round(lead_ms / 1000.0 * self.sample_rate), CAPACITY - 2 * block)
        self._lead, self._block = max(lead, 2 * block), block
        self._pump = Pump(sample_rate=self.sample_rate, block=block, lead=self._lead)
        self._join(run, opened)

    @property
    def latency_s(self) -> float:
        """The lead and the driver's own latency."""
        return self._lead / self.sample_rate + self._device_s

    @property
    def stats(self) -> PortStats:
        """Counts so far, over all returns of the device."""
        run = self._run
        return self._pump.stats(self._flags_before + (run.ring.device_flags if run is not None else 0))

    @property
    def input(self) -> AudioInput | None:
        """The input beside it, if the device is both."""
        return self._duplex

    def start(self, source: Source) -> None:
        """Sound from here on."""
        self._pump.start(source)
        self._start_keeper("audio-keeper")

    def stop(self) -> None:
        """Fade out, give the device back."""
        self._stopping.set()
        if self._duplex is not None:
            self._duplex.stop()
        self._pump.stop()
        self._stop_keeper()

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        return self._pump.notices.poll()

    def _launch(self, request: OpenRequest) -> _OutputRun:
        return _OutputRun(request)

    def _has_gone(self, run: _OutputRun | None) -> bool:
        """It is the pump that loses the device, at the end of its process or when it takes no more sound."""
        if self._pump.lost.is_set():
            return True
        if run is None or run.child.gone:
            self._stopping.wait(LOOK_S / 10)
        # It says nothing while it plays; whatever comes, or its end, means that it plays no more.
        elif run.child.answer(LOOK_S) is not None:
            run.child.gone = True
        return False

    def _say(self, line: str) -> None:
        self._pump.notices.say(line)

    def _lose(self) -> None:
        self._say(f"{self.name} has gone: time passes in silence until it is back")
        if self._duplex is not None:
            self._duplex.detach()

    def _join(self, run: _OutputRun, answer: Opened) -> None:
        run.ring.width = answer.width
        run.ring.prefill(self._lead - self._block)
        if self._duplex is not None and answer.duplex is not None:
            self._duplex.attach(RingCapture(run.capture, answer.duplex, run.position, exact=True))
        elif self._duplex is not None:
            self._say(f"{answer.name} is no input any more: no sound comes in")
        self._pump.attach(run)
        self._pump.lost.clear()

    def _count(self, run: _OutputRun) -> None:
        self._flags_before += run.ring.device_flags
