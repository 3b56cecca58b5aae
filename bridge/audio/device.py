"""A port on a sound device, which may go away and come back."""

import multiprocessing
import threading
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

from bridge.audio.card import CAPACITY, CardRing, Opened, Refusal, Wish, card_main
from bridge.audio.port import BLOCK, LEAD_MS, NoDeviceError, PortError, PortStats, Source
from bridge.audio.pump import Interleaved, Pump

__all__ = ["DevicePort"]

_ANSWER_S: Final = 20.0
_STOP_S: Final = 1.0
_LOOK_S: Final = 0.2


class _Card:
    """One run of the card's process, as the parent sees it; the pump's sink."""

    def __init__(self, wish: Wish) -> None:
        context = multiprocessing.get_context("spawn")
        self.ring = CardRing()
        line, theirs = context.Pipe()
        self.line: Connection = line
        self.gone = False
        self.process: SpawnProcess = context.Process(
            target=card_main, args=(self.ring, wish, theirs), name="ripieno-audio", daemon=True
        )
        self.process.start()
        theirs.close()  # so that its end is seen here

    def answer(self, within_s: float) -> Opened | Refusal | None:
        """What the process says to the wish; None if nothing yet."""
        try:
            if not self.line.poll(within_s):
                return None
            said = self.line.recv()
        except (EOFError, OSError):
            self.gone = True
            return Refusal(f"the audio process ended with {self.process.exitcode}")
        return said if isinstance(said, Opened | Refusal) else None

    def end(self) -> None:
        """Ask it to end, and see to it."""
        self.line.close()
        self.process.join(_STOP_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()

    @property
    def width(self) -> int:
        return self.ring.width

    @property
    def underruns(self) -> int:
        return self.ring.underruns

    def alive(self) -> bool:
        return not self.gone

    def fill(self) -> int:
        return self.ring.fill()

    def write(self, frames: Interleaved) -> None:
        self.ring.write(frames)

    def close(self) -> None:
        self.ring.close()


class DevicePort:
    """A sound device. Opened here, silent until started; arguments and errors as `open_port`.

    Threads and processes:
        the pump      reads the source, keeps a ring in shared memory a lead ahead; without a device, lets time pass
        the keeper    watches the card's process; when it ends or stalls, starts another that waits for the device
        the card      a child process: PortAudio, see `bridge.audio.card`
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
    ) -> None:
        if not 5.0 <= lead_ms <= 500.0 or not 16 <= block <= 4096:
            raise PortError(f"lead is 5..500 ms and block 16..4096 frames, got {lead_ms:g} and {block}")
        wish = Wish(name=name, sample_rate=sample_rate, channels=channels, latency=latency)
        self._flags_before = 0
        self._card: _Card | None = _Card(wish)
        answer = self._card.answer(_ANSWER_S)
        if not isinstance(answer, Opened):
            self._end_card()
            if answer is None:
                raise PortError(f"the sound system did not answer within {_ANSWER_S:g} s: restart it, or use null")
            raise NoDeviceError(answer.reason) if answer.nothing else PortError(answer.reason)
        self.name, self.sample_rate = answer.name, answer.sample_rate
        self._wish = Wish(name=name, sample_rate=self.sample_rate, channels=channels, latency=latency, patient=True)
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

    def start(self, source: Source) -> None:
        """Sound from here on."""
        self._pump.start(source)
        self._keeper = threading.Thread(target=self._keep, name="audio-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Fade out, give the device back."""
        self._stopping.set()
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
        self._pump.attach(card)

    def _end_card(self) -> None:
        card, self._card = self._card, None
        if card is not None:
            self._flags_before += card.ring.device_flags
            card.end()

    def _keep(self) -> None:
        """Notice that the card has gone, and bring it back."""
        while not self._stopping.is_set():
            if self._pump.lost.is_set():
                self._pump.say(f"{self.name} has gone: time goes on in silence until it is back")
                self._end_card()
                self._bring_back()
            elif self._card is not None and not self._card.gone:
                # It says nothing while it plays; whatever comes, or its end, means that it plays no more.
                if self._card.answer(_LOOK_S) is not None:
                    self._card.gone = True
            else:
                self._stopping.wait(_LOOK_S / 10)

    def _bring_back(self) -> None:
        """Wait, in another process, for the device to be there again."""
        while not self._stopping.is_set():
            card = self._card = _Card(self._wish)
            answer: Opened | Refusal | None = None
            while (
                not (isinstance(answer, Opened) or (isinstance(answer, Refusal) and answer.final))
                and not self._stopping.is_set()
            ):
                answer = card.answer(_LOOK_S)
                if isinstance(answer, Refusal) and not answer.final:
                    self._pump.say(answer.reason)
            if isinstance(answer, Opened):
                self._join(card, answer)
                self._pump.lost.clear()
                self._pump.say(f"{answer.name} is back")
                return
            if not self._stopping.is_set():
                self._end_card()
                self._stopping.wait(1.0)
