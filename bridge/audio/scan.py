"""Which audio outputs and inputs there are, and which one a name means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.audio.port import NoDeviceError, PortError

__all__ = [
    "DEFAULT",
    "HOW_TO_GET_INPUT",
    "HOW_TO_GET_SOUND",
    "Device",
    "choose",
    "inputs",
    "outputs",
    "pick",
    "portaudio",
    "refused",
    "rescan",
]

DEFAULT: Final = "default"
"""The name that asks for the system's choice, where leaving the name out asks for nothing."""

HOW_TO_GET_SOUND: Final = "connect or enable a sound device, or start a JACK or PipeWire server"
HOW_TO_GET_INPUT: Final = "connect or enable a microphone or line input, or play a file in with --input file:PATH"


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """One audio output, or one input; a device that is both is one of each, with the same index.

    Args:
        index: PortAudio's number, valid until the next scan.
        hostapi: the system it belongs to: ALSA, JACK Audio Connection Kit, Core Audio, Windows WASAPI, ...
        channels: greatest number of channels.
        sample_rate: Hz at which it runs by default.
        latency_s: its own, low setting.
        default: the one of choice of its host API.
        chosen: the one of choice of the system.
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


def outputs() -> list[Device]:
    """All outputs, as of PortAudio's last scan; empty if there are none.

    Raises:
        NoDeviceError: no PortAudio library.
    """
    return _scanned("output")


def inputs() -> list[Device]:
    """All inputs, as `outputs`."""
    return _scanned("input")


def _scanned(kind: str) -> list[Device]:
    sounddevice = portaudio()
    apis = sounddevice.query_hostapis()
    chosen = int(sounddevice.default.device[kind])
    return [
        Device(
            index=index,
            hostapi=str(apis[device["hostapi"]]["name"]),
            name=str(device["name"]),
            channels=int(device[f"max_{kind}_channels"]),
            sample_rate=round(device["default_samplerate"]),
            latency_s=float(device[f"default_low_{kind}_latency"]),
            default=index == apis[device["hostapi"]][f"default_{kind}_device"],
            chosen=index == chosen,
        )
        for index, device in enumerate(sounddevice.query_devices())
        if device[f"max_{kind}_channels"] > 0
    ]


def choose(found: Sequence[Device], name: str | None, kind: str = "output") -> Device:
    """The device that a name means.

    Args:
        found: what there is.
        kind: ``output`` or ``input``: what `found` are, for the messages.
        name: None: the system's choice, or on Windows that of WASAPI, which is quicker than MME; otherwise part of a
            name or of ``HOSTAPI: name``, in any case. A whole name comes before a part, and the system's and the host
            API's choice before others.
    Raises:
        NoDeviceError: `found` is empty.
        PortError: no name fits; lists what there is.
    """
    if not found:
        raise NoDeviceError(f"no audio {kind}: {HOW_TO_GET_SOUND if kind == 'output' else HOW_TO_GET_INPUT}")

    def preferred(device: Device) -> tuple[bool, bool]:
        return (not device.chosen, not device.default)

    if name is None:
        best = min(found, key=preferred)
        if best.hostapi == "MME":
            return next((d for d in found if d.default and d.hostapi == "Windows WASAPI"), best)
        return best
    wanted = name.strip().casefold()
    whole = [d for d in found if wanted in (d.name.casefold(), d.title.casefold())]
    part = [d for d in found if wanted in d.title.casefold() or _by_parts(wanted, d)]
    if not wanted or not (whole or part):
        there, else_ = "; ".join(d.title for d in found), {"output": "null", "input": "none"}[kind]
        raise PortError(f"no audio {kind} is called {name!r}: give part of one of these names: {there}; or {else_}")
    return min(whole or part, key=preferred)


def _by_parts(wanted: str, device: Device) -> bool:
    """Whether ``jack: system`` means ``JACK Audio Connection Kit: system``."""
    api, colon, name = wanted.partition(":")
    return bool(colon) and api.strip() in device.hostapi.casefold() and name.strip() in device.name.casefold()


def pick(device: Device, wanted: tuple[int, int]) -> tuple[int, ...]:
    """The device's channels to use, counted from 1: left and right, or one for both.

    Raises:
        PortError: it has not so many.
    """
    left, right = wanted
    channels = (left,) if left == right or device.channels == 1 else (left, right)
    if not 1 <= min(channels) <= max(channels) <= device.channels:
        raise PortError(f"{device.title} has channels 1..{device.channels}, got {wanted}: choose among those")
    return channels


def refused(device: Device, rate: int, error: Exception, kind: str = "output") -> PortError:
    """What to tell of a device that is there and cannot be opened."""
    remedy = f"ask for {device.sample_rate} Hz" if rate != device.sample_rate else "close what else uses it"
    return PortError(f"{device.title} refuses {rate} Hz ({error}): {remedy}, or choose another {kind}")
