"""Which audio outputs there are, and which one a name means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.audio.port import NoDeviceError, PortError

__all__ = ["HOW_TO_GET_SOUND", "Output", "choose", "outputs", "portaudio", "rescan"]

HOW_TO_GET_SOUND: Final = "connect or enable a sound device, or start a JACK or PipeWire server"


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One audio output.

    Args:
        index: PortAudio's number, valid until the next scan.
        hostapi: the system it belongs to: ALSA, JACK Audio Connection Kit, Core Audio, Windows WASAPI, ...
        channels: greatest number of output channels.
        sample_rate: Hz at which it runs by default.
        latency_s: its own, low setting.
        default: the output of choice of its host API.
        chosen: the output of choice of the system.
    """

    index: int
    hostapi: str
    name: str
    channels: int
    sample_rate: int
    latency_s: float
    default: bool = False
    chosen: bool = False

    @property
    def title(self) -> str:
        """What `choose` takes: ``HOSTAPI: name``."""
        return f"{self.hostapi}: {self.name}"


def portaudio() -> Any:
    """The sounddevice module, PortAudio running.

    Raises:
        NoDeviceError: the library is missing.
    """
    try:
        import sounddevice
    except OSError as error:
        raise NoDeviceError(
            f"no PortAudio library ({error}): on Debian and Ubuntu, apt install libportaudio2; elsewhere reinstall "
            "sounddevice"
        ) from None
    return sounddevice


def rescan() -> None:
    """Look for devices again: PortAudio's list is frozen when it starts. No stream may be open."""
    sounddevice = portaudio()
    sounddevice._terminate()
    sounddevice._initialize()


def outputs() -> list[Output]:
    """All outputs, as of PortAudio's last scan; empty if there are none.

    Raises:
        NoDeviceError: no PortAudio library.
    """
    sounddevice = portaudio()
    apis = sounddevice.query_hostapis()
    chosen = int(sounddevice.default.device[1])
    return [
        Output(
            index=index,
            hostapi=str(apis[device["hostapi"]]["name"]),
            name=str(device["name"]),
            channels=int(device["max_output_channels"]),
            sample_rate=round(device["default_samplerate"]),
            latency_s=float(device["default_low_output_latency"]),
            default=index == apis[device["hostapi"]]["default_output_device"],
            chosen=index == chosen,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device["max_output_channels"] > 0
    ]


def choose(found: Sequence[Output], name: str | None) -> Output:
    """The output that a name means.

    Args:
        found: what there is.
        name: None: the system's choice, or on Windows that of WASAPI, which is quicker than MME; otherwise part of a
            name or of ``HOSTAPI: name``, in any case. A whole name comes before a part, and the system's and the host
            API's choice before others.
    Raises:
        NoDeviceError: `found` is empty.
        PortError: no name fits; lists what there is.
    """
    if not found:
        raise NoDeviceError(f"no audio output: {HOW_TO_GET_SOUND}")

    def preferred(output: Output) -> tuple[bool, bool]:
        return (not output.chosen, not output.default)

    if name is None:
        best = min(found, key=preferred)
        if best.hostapi == "MME":
            return next((o for o in found if o.default and o.hostapi == "Windows WASAPI"), best)
        return best
    wanted = name.strip().casefold()
    whole = [o for o in found if wanted in (o.name.casefold(), o.title.casefold())]
    part = [o for o in found if wanted in o.title.casefold() or _by_parts(wanted, o)]
    if not wanted or not (whole or part):
        there = "; ".join(o.title for o in found)
        raise PortError(f"no audio output is called {name!r}: give part of one of these names: {there}; or null")
    return min(whole or part, key=preferred)


def _by_parts(wanted: str, output: Output) -> bool:
    """Whether ``jack: system`` means ``JACK Audio Connection Kit: system``."""
    api, colon, device = wanted.partition(":")
    return bool(colon) and api.strip() in output.hostapi.casefold() and device.strip() in output.name.casefold()
