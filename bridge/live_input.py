"""The live input of a session: which device or file it is, its start, and its status."""

from collections.abc import Sequence

from bridge.audio.clocks import Sounding
from bridge.audio.input import FILE, NONE, AudioInput
from bridge.audio.monitor import Monitor
from bridge.audio.opening import open_input
from bridge.audio.port import BLOCK, AudioPort, DuplexInput, Source
from bridge.audio.scan import DEFAULT
from bridge.settings import Settings
from engine.audio.input import MONITOR_OFF_DB
from engine.session.session import Session

__all__ = ["LiveInput", "beside", "open_live_input"]


def beside(settings: Settings) -> DuplexInput | None:
    """The input to open together with the output, where both are one device."""
    name = settings.input.strip()
    if not _is_device(name):
        return None
    left, right = settings.input_channels
    return DuplexInput(name=None if name.lower() == DEFAULT else name, channels=(left, right))


def open_live_input(settings: Settings, session: Session, audio: AudioPort) -> "LiveInput | None":
    """The input that the settings name; None if they name none.

    Raises:
        PortError: it is not available.
    """
    if settings.input.strip().lower() == NONE:
        return None
    hearing = session.hearing
    hearing.expected = True
    hearing.turn(("gain",), settings.input_gain, 0)
    hearing.turn(("monitor",), MONITOR_OFF_DB if settings.input_monitor is None else settings.input_monitor, 0)
    offset = round(settings.input_offset_ms * session.sample_rate / 1000.0)
    if audio.input is not None:
        return LiveInput(audio.input, session, offset)
    # The ring of a device holds its lead less the block that is read: the first of that block waits for the rest.
    block_s = BLOCK / audio.sample_rate
    sounding = Sounding(lambda: session.moment, session.sample_rate, lambda: max(0.0, audio.latency_s - block_s))
    left, right = settings.input_channels
    port = open_input(
        settings.input.strip(),
        sample_rate=session.sample_rate,
        sample_at=sounding.latest_sample_at,
        channels=(left, right),
    )
    return LiveInput(port, session, offset)


def _is_device(name: str) -> bool:
    return name.lower() != NONE and not name.startswith(FILE)


class LiveInput:
    """An input and the session that receives its sound.

    Threads: `start` and `stop` by one; `source` before `start`; `poll` and `status` by any.

    Args:
        offset: latency in samples that `port` does not report.
    """

    def __init__(self, port: AudioInput, session: Session, offset: int = 0) -> None:
        self._port, self._session, self._offset = port, session, offset
        self.name = port.name

    def source(self, source: Source) -> Source:
        """`source` with the monitored input mixed in."""
        return Monitor(source, self._session.hearing, lambda: self._session.position)

    def start(self) -> None:
        """Start to receive sound."""
        hear, offset = self._session.hear, self._offset
        self._port.start(lambda audio, sample: hear(audio, sample - offset))

    def stop(self) -> None:
        """Close the input; safe to call twice."""
        self._port.stop()

    def poll(self) -> Sequence[str]:
        """Messages for people since the last call."""
        return self._port.poll()

    def status(self, level_db: float) -> list[tuple[str, int | float | str]]:
        """The state of the input, as rows of ``/status``; `level_db` from the last telemetry."""
        stats, hearing = self._port.stats, self._session.hearing
        return [
            ("input", self._port.name),
            ("input_rate", self._port.sample_rate),
            ("input_latency_ms", 1000.0 * self._port.latency_s),
            ("input_db", level_db),
            ("input_s", hearing.received / self._session.sample_rate),
            ("input_gaps", hearing.gaps),
            ("input_clipped", hearing.clipped),
            ("input_overruns", stats.overruns),
            ("input_flags", stats.device_flags),
            ("input_losses", stats.losses),
        ]
