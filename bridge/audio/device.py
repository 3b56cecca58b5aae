"""A port on a sound device, which may go away and come back."""

import threading
from dataclasses import replace
from typing import Final

from bridge.audio.card import card_main
from bridge.audio.child import ANSWER_S, DeviceProcess, InputOpened, Opened, OpenRequest, Refusal, no_answer, raised
from bridge.audio.input import AudioInput, InputStats, Listener
from bridge.audio.input_pump import InputPump
from bridge.audio.port import BLOCK, LEAD_MS, DuplexInput, PortError, PortStats, Source
from bridge.audio.pump import Pump
from bridge.audio.rings import CAPACITY, CaptureRing, Interleaved, PlaybackRing

__all__ = ["DevicePort"]

_LOOK_S: Final = 0.2


class _Card:
    """One run of the card's process, as the parent sees it: the pump's sink, and where its ears' frames lie."""

    def __init__(self, wish: OpenRequest) -> None:
        self.ring, self.heard = PlaybackRing(), CaptureRing()
        self.child = DeviceProcess(card_main, self.ring, self.heard, wish)
        self._first = 0

    # the pump's

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

    def fill(self) -> int:
        return self.ring.fill()

    def write(self, frames: Interleaved) -> None:
        self.ring.write(frames)

    def close(self) -> None:
        self.ring.close()

    # for the ears

    def position(self, frame: int) -> float | None:
        """The frame of the source that sounded when this frame came in."""
        place = self.heard.placed
        return None if place is None else float(self._first + place + frame)


class _Capture:
    """The recording side of a card."""

    exact = True

    def __init__(self, card: _Card, heard: InputOpened) -> None:
        self.rate, self.width = heard.sample_rate, heard.width
        card.heard.width = heard.width
        self._ring, self.position = card.heard, card.position

    @property
    def overruns(self) -> int:
        return self._ring.overruns

    @property
    def device_flags(self) -> int:
        return self._ring.device_flags

    def read(self, most: int) -> Interleaved:
        return self._ring.read(most)


class _BesideInput:
    """The input in the stream of an output, whose keeper minds the device."""

    def __init__(self, heard: InputOpened) -> None:
        self.name, self.sample_rate, self.latency_s = heard.name, heard.sample_rate, heard.latency_s
        self.ears = InputPump(heard.sample_rate)

    @property
    def stats(self) -> InputStats:
        return self.ears.stats

    def start(self, listener: Listener) -> None:
        self.ears.start(listener)

    def stop(self) -> None:
        self.ears.stop()

    def poll(self) -> list[str]:
        return self.ears.poll()


class DevicePort:
    """A sound device. Opened here, silent until started; arguments and errors as `open_port`.

    Threads and processes:
        the pump      reads the source, keeps a ring in shared memory a lead ahead; without a device, lets time pass
        the keeper    watches the card's process; when it ends or stalls, starts another that waits for the device
        the card      a child process: PortAudio, see `bridge.audio.card`
        the ears      a thread of the input's, if the device is one as well
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        sample_rate: int | None = None,
        channels: tuple[int, int] = (1, 2),
        lead_ms: float = LEAD_MS,
        block: int = BLOCK,
        latency: str | float = "low",
        beside: DuplexInput | None = None,
    ) -> None:
        if not 5.0 <= lead_ms <= 500.0 or not 16 <= block <= 4096:
            raise PortError(f"lead is 5..500 ms and block 16..4096 frames, got {lead_ms:g} and {block}")
        hear = None
        if beside is not None:
            hear = OpenRequest(name=beside.name, sample_rate=sample_rate, channels=beside.channels, latency=latency)
        wish = OpenRequest(name=name, sample_rate=sample_rate, channels=channels, latency=latency, hear=hear)
        self._flags_before = 0
        self._card: _Card | None = _Card(wish)
        answer = self._card.child.answer(ANSWER_S)
        if not isinstance(answer, Opened):
            self._end_card()
            raise raised(answer) if isinstance(answer, Refusal) else no_answer()
        self.name, self.sample_rate = answer.name, answer.sample_rate
        self._beside = None if answer.heard is None else _BesideInput(answer.heard)
        self._wish = replace(wish, sample_rate=self.sample_rate, patient=True)
        self._device_s = answer.latency_s
        lead = min(round(lead_ms / 1000.0 * self.sample_rate), CAPACITY - 2 * block)
        self._lead = max(lead, 2 * block)
        self._block = block
        self._pump = Pump(sample_rate=self.sample_rate, block=block, lead=self._lead)
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None
        self._join(self._card, answer)

    @property
    def latency_s(self) -> float:
        """The lead and what the driver says of itself."""
        return self._lead / self.sample_rate + self._device_s

    @property
    def stats(self) -> PortStats:
        """How it has done so far, over all returns of the device."""
        card = self._card
        return self._pump.stats(self._flags_before + (card.ring.device_flags if card is not None else 0))

    @property
    def input(self) -> AudioInput | None:
        """The input beside it, if the device is the one wished for."""
        return self._beside

    def start(self, source: Source) -> None:
        """Sound from here on."""
        self._pump.start(source)
        self._keeper = threading.Thread(target=self._keep, name="audio-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Fade out, give the device back."""
        self._stopping.set()
        if self._beside is not None:
            self._beside.stop()
        self._pump.stop()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        self._end_card()

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        return self._pump.poll()

    def _join(self, card: _Card, opened: Opened) -> None:
        card.ring.width = opened.width
        card.ring.prefill(self._lead - self._block)
        if self._beside is not None and opened.heard is not None:
            self._beside.ears.attach(_Capture(card, opened.heard))
        self._pump.attach(card)

    def _end_card(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            self._flags_before += card.ring.device_flags
            card.child.end()

    def _keep(self) -> None:
        """Notice that the card has gone, and bring it back."""
        while not self._stopping.is_set():
            if self._pump.lost.is_set():
                self._pump.say(f"{self.name} has gone: time goes on in silence until it is back")
                if self._beside is not None:
                    self._beside.ears.detach()
                self._end_card()
                self._bring_back()
            elif self._card is not None and not self._card.child.gone:
                # It says nothing while it plays; whatever comes, or its end, means that it plays no more.
                if self._card.child.answer(_LOOK_S) is not None:
                    self._card.child.gone = True
            else:
                self._stopping.wait(_LOOK_S / 10)

    def _bring_back(self) -> None:
        """Wait, in another process, for the device to be there again."""
        while not self._stopping.is_set():
            card = self._card = _Card(self._wish)
            answer: Opened | InputOpened | Refusal | None = None
            while (
                not (isinstance(answer, Opened) or (isinstance(answer, Refusal) and answer.final))
                and not self._stopping.is_set()
            ):
                answer = card.child.answer(_LOOK_S)
                if isinstance(answer, Refusal) and not answer.final:
                    self._pump.say(answer.reason)
            if isinstance(answer, Opened):
                self._join(card, answer)
                self._pump.lost.clear()
                self._pump.say(f"{answer.name} is back")
                if self._beside is not None and answer.heard is None:
                    self._pump.say(f"{answer.name} is no input any more: nothing is heard")
                return
            if not self._stopping.is_set():
                self._end_card()
                self._stopping.wait(1.0)
