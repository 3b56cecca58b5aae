"""An input on a sound device in a process of its own, which may go away and come back."""

from bridge.audio.child import DeviceProcess, InputOpened, OpenRequest
from bridge.audio.input import InputStats, Listener, SampleAt
from bridge.audio.input_card import input_main
from bridge.audio.input_pump import InputPump, RingCapture
from bridge.audio.keeper import LOOK_S, DeviceKeeper
from bridge.audio.rings import CaptureRing

__all__ = ["DeviceInput"]


class _InputRun:
    """One run of the input's process, as the parent sees it."""

    def __init__(self, request: OpenRequest) -> None:
        self.capture = CaptureRing()
        self.child = DeviceProcess(input_main, self.capture, request)


class DeviceInput(DeviceKeeper[_InputRun, InputOpened]):
    """A sound device that is recorded. Opened here; errors as `open_input`.

    Threads and processes:
        the input pump   takes what is recorded out of shared memory, to the listener
        the keeper       watches the process; when it ends, starts another that waits for the device
        the card         a child process: PortAudio, see `bridge.audio.input_card`

    Args:
        request: what is to be opened.
        rate, sample_at: the session's, as `open_input`.
    """

    def __init__(self, request: OpenRequest, *, rate: int, sample_at: SampleAt) -> None:
        super().__init__(InputOpened)
        self._sample_at = sample_at
        run, opened = self._connect(request)
        self._pump = InputPump(rate)
        self._join(run, opened)

    @property
    def stats(self) -> InputStats:
        """Counts so far, over all returns of the device."""
        return self._pump.stats

    def start(self, listener: Listener) -> None:
        """Listen from here on."""
        self._pump.start(listener)
        self._start_keeper("audio-input-keeper")

    def stop(self) -> None:
        """Give the device back; safe to call twice, and without `start`."""
        self._stopping.set()
        self._pump.stop()
        self._stop_keeper()

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        return self._pump.notices.poll()

    def _launch(self, request: OpenRequest) -> _InputRun:
        return _InputRun(request)

    def _has_gone(self, run: _InputRun | None) -> bool:
        # It says nothing while it records; whatever comes, or its end, means that it records no more.
        return run is None or run.child.answer(LOOK_S) is not None

    def _say(self, line: str) -> None:
        self._pump.notices.say(line)

    def _lose(self) -> None:
        self._pump.detach()
        self._say(f"{self.name} has gone: no sound comes in until it is back")

    def _join(self, run: _InputRun, answer: InputOpened) -> None:
        self.name, self.sample_rate, self.latency_s = answer.name, answer.sample_rate, answer.latency_s

        def position(frame: int) -> float | None:
            """The session's sample that sounded when a frame came in, which is known by its time."""
            begun_ns = run.capture.placed
            return None if begun_ns is None else self._sample_at(1e-9 * begun_ns + frame / answer.sample_rate)

        self._pump.attach(RingCapture(run.capture, answer, position, exact=False))
