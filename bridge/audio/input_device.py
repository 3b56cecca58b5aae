"""An input on a sound device in a process of its own, which may go away and come back."""

import threading
from typing import Final

from bridge.audio.child import ANSWER_S, DeviceProcess, InputOpened, OpenRequest, Refusal, no_answer, raised
from bridge.audio.input import InputStats, Listener, SampleAt
from bridge.audio.input_card import input_main
from bridge.audio.input_pump import InputPump
from bridge.audio.rings import CaptureRing, Interleaved

__all__ = ["DeviceInput"]

_LOOK_S: Final = 0.2
_AGAIN_S: Final = 1.0


class _InputRun:
    """One run of the input's process, as the parent sees it: a capture whose frames are placed by their time."""

    exact = False

    def __init__(self, wish: OpenRequest, sample_at: SampleAt) -> None:
        self.rate = 0
        self._ring, self._sample_at = CaptureRing(), sample_at
        self.child = DeviceProcess(input_main, self._ring, wish)

    def opened(self, heard: InputOpened) -> None:
        """Its process has answered."""
        self.rate, self._ring.width = heard.sample_rate, heard.width

    @property
    def width(self) -> int:
        return self._ring.width

    @property
    def overruns(self) -> int:
        return self._ring.overruns

    @property
    def device_flags(self) -> int:
        return self._ring.device_flags

    def read(self, most: int) -> Interleaved:
        return self._ring.read(most)

    def position(self, frame: int) -> float | None:
        begun_ns = self._ring.placed
        return None if begun_ns is None else self._sample_at(1e-9 * begun_ns + frame / self.rate)


class DeviceInput:
    """A sound device that is listened to. Opened here; arguments and errors as `open_input`.

    Threads and processes:
        the ears      take what is recorded out of shared memory, to the listener
        the keeper    watches the process; when it ends, starts another that waits for the device
        the card      a child process: PortAudio, see `bridge.audio.input_card`
    """

    def __init__(
        self,
        name: str | None,
        *,
        sample_rate: int,
        sample_at: SampleAt,
        channels: tuple[int, int] = (1, 2),
        latency: str | float = "low",
    ) -> None:
        self._sample_at = sample_at
        wish = OpenRequest(name=name, sample_rate=sample_rate, channels=channels, latency=latency)
        self._run: _InputRun | None = _InputRun(wish, sample_at)
        answer = self._run.child.answer(ANSWER_S)
        if not isinstance(answer, InputOpened):
            self._end()
            raise raised(answer) if isinstance(answer, Refusal) else no_answer()
        self._wish = OpenRequest(name=name, sample_rate=sample_rate, channels=channels, latency=latency, patient=True)
        self._ears = InputPump(sample_rate)
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self._join(self._run, answer)

    @property
    def stats(self) -> InputStats:
        """How it has done so far, over all returns of the device."""
        return self._ears.stats

    def start(self, listener: Listener) -> None:
        """Listen from here on."""
        self._ears.start(listener)
        self._keeper = threading.Thread(target=self._keep, name="audio-input-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Give the device back; safe to call twice, and without `start`."""
        self._stopping.set()
        self._ears.stop()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        self._end()

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        return self._ears.poll()

    def _join(self, run: _InputRun, heard: InputOpened) -> None:
        self.name, self.sample_rate, self.latency_s = heard.name, heard.sample_rate, heard.latency_s
        run.opened(heard)
        self._ears.attach(run)

    def _end(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.child.end()

    def _keep(self) -> None:
        """Notice that the process has gone, and bring it back."""
        while not self._stopping.is_set():
            run = self._run
            # It says nothing while it records; whatever comes, or its end, means that it records no more.
            if run is not None and run.child.answer(_LOOK_S) is None:
                continue
            if self._stopping.is_set():
                return
            self._ears.detach()
            self._ears.say(f"{self.name} has gone: nothing is heard until it is back")
            self._end()
            self._bring_back()

    def _bring_back(self) -> None:
        """Wait, in another process, for the device to be there again."""
        while not self._stopping.is_set():
            run = self._run = _InputRun(self._wish, self._sample_at)
            answer: object = None
            while not self._stopping.is_set():
                answer = run.child.answer(_LOOK_S)
                if isinstance(answer, InputOpened) or (isinstance(answer, Refusal) and answer.final):
                    break
                if isinstance(answer, Refusal):
                    self._ears.say(answer.reason)
            if isinstance(answer, InputOpened):
                self._join(run, answer)
                self._ears.say(f"{answer.name} is back")
                return
            if not self._stopping.is_set():
                self._end()
                self._stopping.wait(_AGAIN_S)
