"""Audio outputs and inputs by their names."""

from bridge.audio.child import OpenRequest
from bridge.audio.device import DevicePort
from bridge.audio.input import FILE, AudioInput, SampleAt
from bridge.audio.input_device import DeviceInput
from bridge.audio.input_file import FileInput
from bridge.audio.null import NullPort
from bridge.audio.port import BLOCK, LEAD_MS, NULL, AudioPort, DuplexInput, PortError
from bridge.audio.scan import DEFAULT

__all__ = ["open_input", "open_port"]


def open_port(
    name: str | None = None,
    *,
    sample_rate: int | None = None,
    channels: tuple[int, int] = (1, 2),
    lead_ms: float = LEAD_MS,
    block: int = BLOCK,
    latency: str | float = "low",
    beside: DuplexInput | None = None,
) -> AudioPort:
    """Open the audio output with this name; it is silent until started.

    Args:
        name: None: the system's default output; ``null``: no device; otherwise any part of a device's name, in any
            case, or ``HOSTAPI: part`` where several host APIs offer the same device.
        sample_rate: Hz; None: what the device runs at (48000 without one).
        channels: the device's channels, counted from 1, for left and right; the same one twice mixes to mono.
        lead_ms: sound kept ready ahead of the device, 5..500: more is safer, less is quicker.
        block: frames read from the source at a time, 16..4096.
        latency: of the device: ``low``, ``high`` or seconds.
        beside: an input that is wanted too; the port's `input`, if the device is both.
    Raises:
        NoDeviceError: no PortAudio library or no output device.
        PortError: no such device, or it refuses the rate or the channels; lists what there is.
    """
    if name is not None and name.strip().lower() == NULL:
        return NullPort(sample_rate=sample_rate or 48_000, block=block)
    duplex = None
    if beside is not None:
        duplex = OpenRequest(beside.name, sample_rate, beside.channels, latency)
    return DevicePort(OpenRequest(name, sample_rate, channels, latency, duplex=duplex), lead_ms=lead_ms, block=block)


def open_input(
    name: str,
    *,
    sample_rate: int,
    sample_at: SampleAt,
    channels: tuple[int, int] = (1, 2),
    latency: str | float = "low",
) -> AudioInput:
    """Open the audio input with this name; nothing is listened to until it is started.

    Args:
        name: ``default``: the system's choice; ``file:PATH``: a sound file, again and again; otherwise any part of a
            device's name, as for `open_port`.
        sample_rate: Hz, the session's; what comes in at another is brought to it.
        sample_at: says what sounds when, so that what comes in can be put to it.
        channels: the device's or the file's channels, counted from 1, for left and right; the same one twice: for both.
        latency: of the device: ``low``, ``high`` or seconds.
    Raises:
        NoDeviceError: no PortAudio library or no input device.
        PortError: no such device, or it refuses, or no such file; the message lists what there is.
    """
    if min(channels) < 1:
        raise PortError(f"channels are counted from 1, got {channels}")
    if name.startswith(FILE):
        return FileInput(name.removeprefix(FILE), sample_rate=sample_rate, sample_at=sample_at, channels=channels)
    device = None if name.strip().lower() == DEFAULT else name
    return DeviceInput(OpenRequest(device, sample_rate, channels, latency), rate=sample_rate, sample_at=sample_at)
