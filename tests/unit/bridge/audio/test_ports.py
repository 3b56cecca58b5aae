"""Finding an output by name, the port without a device."""

import threading
import time
from typing import Any

import numpy as np
import pytest

from bridge.audio import card, port, scan
from bridge.audio.null import NullPort
from bridge.audio.opening import open_port
from bridge.audio.port import NoDeviceError, PortError
from bridge.audio.scan import Device, choose


def output(index: int, hostapi: str, name: str, *, default: bool = False, chosen: bool = False) -> Device:
    return Device(
        index=index, hostapi=hostapi, name=name, channels=2, sample_rate=48_000, latency_s=0.01, default=default,
        chosen=chosen,
    )  # fmt: skip


LINUX = [
    output(0, "ALSA", "HDA Intel PCH: ALC256 (hw:0,0)"),
    output(1, "ALSA", "default", default=True, chosen=True),
    output(2, "JACK Audio Connection Kit", "system", default=True),
    output(3, "ALSA", "USB system: Audio (hw:1,0)"),
]
WINDOWS = [
    output(0, "MME", "Speakers", default=True, chosen=True),
    output(1, "Windows WASAPI", "Speakers", default=True),
]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (None, 1),
        ("default", 1),
        ("hda intel", 0),
        ("SYSTEM", 2),  # the whole name comes before a part of another
        ("usb", 3),
        ("JACK: system", 2),
        ("alsa: system", 3),
        ("ALSA: default", 1),
        ("jack", 2),
        ("  Usb System ", 3),
    ],
)
def test_output_is_found_by_part_of_its_name(name: str | None, index: int) -> None:
    assert choose(LINUX, name).index == index


def test_windows_plays_through_wasapi_by_default() -> None:
    assert choose(WINDOWS, None).hostapi == "Windows WASAPI"
    assert choose(WINDOWS, "mme: speakers").hostapi == "MME"
    assert choose(WINDOWS[:1], None).hostapi == "MME"


@pytest.mark.parametrize("name", ["scarlett", "JACK: usb", "", "   "])
def test_unknown_output_lists_what_there_is(name: str) -> None:
    with pytest.raises(PortError) as raised:
        choose(LINUX, name)
    for known in LINUX:
        assert known.title in str(raised.value)
    assert not isinstance(raised.value, NoDeviceError)


def test_no_output_at_all_says_how_to_get_sound() -> None:
    with pytest.raises(NoDeviceError, match="JACK"):
        choose([], None)
    with pytest.raises(NoDeviceError):
        choose([], "scarlett")


def test_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def refuse(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(NoDeviceError, match="libportaudio2"):
        scan.outputs()


@pytest.mark.parametrize("asked", [{"lead_ms": 2.0}, {"lead_ms": 900.0}, {"block": 8}, {"block": 9000}])
def test_lead_and_block_out_of_range_are_refused_before_anything_starts(asked: dict[str, Any]) -> None:
    threads = threading.active_count()
    with pytest.raises(PortError, match=r"5\.\.500 ms"):
        open_port("no such device", **asked)
    assert threading.active_count() == threads


def test_fade_in_wraps_around_the_end() -> None:
    sound = np.ones((64, 2), np.float32)
    card._fade_in(sound, 60, 8)
    np.testing.assert_allclose(sound[np.arange(60, 68) % 64, 0], np.linspace(0.0, 1.0, 8), rtol=1e-6)
    assert np.all(sound[4:60] == 1.0)


def test_null_is_asked_for_by_name() -> None:
    opened = open_port(" NULL ", sample_rate=44_100)
    assert isinstance(opened, NullPort)
    assert (opened.name, opened.sample_rate, opened.latency_s) == (port.NULL, 44_100, 0.0)


def test_fake_time_moves_only_by_hand() -> None:
    asked: list[int] = []

    def source(frames: int) -> np.ndarray:
        asked.append(frames)
        return np.full((2, frames), sum(asked), np.float32)

    null = NullPort(block=100, realtime=False)
    with pytest.raises(RuntimeError):
        null.advance(1)
    null.start(source)
    assert asked == []
    heard = null.advance(250)
    assert asked == [100, 100, 50]
    assert heard.shape == (2, 250)
    assert heard[0, 0] == 100.0
    assert heard[0, -1] == 250.0
    assert null.stats.frames == 250
    null.stop()


def test_real_time_is_kept_over_a_while() -> None:
    null = NullPort(sample_rate=48_000, block=64)
    began = time.perf_counter()
    null.start(lambda frames: np.zeros((2, frames), np.float32))
    time.sleep(0.25)
    frames, passed = null.stats.frames, time.perf_counter() - began
    null.stop()
    # Absolute deadlines: it may be late by what the machine was busy, never early by more than a block.
    assert frames <= (passed + 0.002) * 48_000 + 64
    assert frames >= 0.1 * 48_000
