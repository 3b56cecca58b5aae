"""The doctor's findings: each check on a machine that lacks what it looks for."""

import json
import socket
from importlib import metadata

import pytest

from bridge import devices, doctor
from bridge.audio.port import NoDeviceError, PortError
from bridge.audio.scan import Device
from bridge.doctor import Check
from bridge.midi.sources import MidiSource, NoMidiError
from bridge.settings import Settings

SPEAKERS = Device(
    index=0, hostapi="ALSA", name="Speakers [hw]", channels=2, sample_rate=44_100, latency_s=0.008, chosen=True
)
MICROPHONE = Device(index=1, hostapi="ALSA", name="Mic [hw]", channels=1, sample_rate=16_000, latency_s=0.02)


def test_every_finding_that_is_not_fine_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, check in doctor.CHECKS.items():
        found = check()
        assert found.name == name
        assert found.state in ("ok", "note", "bad")
        assert found.found
        assert found.state == "ok" or found.remedy or "install" in found.found


def test_json_is_the_same_as_the_table(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "CHECKS", {"a": lambda: Check("a", "ok", "[fine]"), "b": lambda: Check("b", "note", "so", "do")}
    )
    assert doctor.doctor_main([]) == 0
    table = capfd.readouterr().out
    assert doctor.doctor_main(["--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert [row["state"] for row in rows] == ["ok", "note"]
    for row in rows:
        assert all(value in table for value in row.values())


def test_check_that_breaks_is_a_finding(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Check:
        raise OSError("no such thing")

    monkeypatch.setattr(doctor, "CHECKS", {"x": broken, "y": lambda: Check("y", "ok", "fine")})
    assert doctor.doctor_main(["--json"]) == 1
    rows = json.loads(capfd.readouterr().out)
    assert rows[0]["state"] == "bad"
    assert "no such thing" in rows[0]["found"]
    assert rows[1]["state"] == "ok"


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "soxr":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(
        doctor.metadata, "requires", lambda name: ["numpy>=2.0", "soxr>=0.5", "torch; extra == 'train'"]
    )
    monkeypatch.setattr(doctor.metadata, "version", version)
    assert doctor.check_packages() == Check("packages", "bad", "missing: soxr", "pip install soxr")


def test_taken_osc_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(doctor, "Settings", lambda: Settings(osc=address))
        found = doctor.check_osc()
    assert found.state == "note"
    assert address in found.found
    assert "--osc" in found.remedy


def test_audio_names_the_output_that_would_play(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "outputs", lambda: [SPEAKERS])
    found = doctor.check_audio()
    assert found.state == "ok"
    assert SPEAKERS.title in found.found
    assert "44100" in found.found


@pytest.mark.parametrize("broken", [True, False])
def test_machine_without_sound_still_plays_to_nowhere(broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> list[Device]:
        if broken:
            raise NoDeviceError("no PortAudio library: apt install libportaudio2")
        return []

    monkeypatch.setattr(doctor, "outputs", nothing)
    found = doctor.check_audio()
    assert found.state == "note"
    assert ("libportaudio2" in found.found) is broken
    assert doctor.check_jack().state == "ok"


def test_the_usual_input_is_named_and_asked_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "inputs", lambda: [MICROPHONE])
    monkeypatch.setattr(doctor, "_tried", lambda device: [device])
    found = doctor.check_input()
    assert found.state == "ok"
    assert "ALSA: Mic [hw] at 16000 Hz" in found.found

    def refuse(device: Device) -> list[Device]:
        raise PortError("Device unavailable")

    monkeypatch.setattr(doctor, "_tried", refuse)
    found = doctor.check_input()
    assert found.state == "note"
    assert "Device unavailable" in found.found
    assert "--input" in found.remedy


def test_a_machine_without_an_input_is_told_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "inputs", list)
    found = doctor.check_input()
    assert found.state == "note"
    assert "file:PATH" in found.remedy


def test_few_cores_and_little_memory_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ENOUGH_CORES", 10_000)
    monkeypatch.setattr(doctor, "_ENOUGH_GB", 1e9)
    for found in (doctor.check_cores(), doctor.check_memory()):
        assert found.state == "note"
        assert found.remedy


def test_devices_are_listed_by_the_names_settings_take(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "outputs", lambda: [SPEAKERS])
    monkeypatch.setattr(devices, "inputs", lambda: [MICROPHONE])
    monkeypatch.setattr(devices, "midi_sources", lambda: [MidiSource("ALSA", "Keys 20:0")])
    assert devices.devices_main([]) == 0
    table = capfd.readouterr().out
    assert "Speakers [hw]" in table
    assert "Mic [hw]" in table
    assert "Keys 20:0" in table
    assert devices.devices_main(["--json"]) == 0
    assert json.loads(capfd.readouterr().out) == {
        "audio": [
            {
                "hostapi": "ALSA", "name": "Speakers [hw]", "channels": 2, "sample_rate": 44_100, "latency_ms": 8.0,
                "default": True,
            }
        ],
        "inputs": [
            {
                "hostapi": "ALSA", "name": "Mic [hw]", "channels": 1, "sample_rate": 16_000, "latency_ms": 20.0,
                "default": False,
            }
        ],
        "midi": [{"api": "ALSA", "name": "Keys 20:0"}],
        "notes": [],
    }  # fmt: skip


def test_machine_without_anything_is_told_how_to_get_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> list[MidiSource]:
        raise NoMidiError("no MIDI system: start JACK")

    monkeypatch.setattr(devices, "outputs", list)
    monkeypatch.setattr(devices, "inputs", list)
    monkeypatch.setattr(devices, "midi_sources", absent)
    assert devices.devices_main([]) == 0
    out = capfd.readouterr().out
    assert "no audio output" in out
    assert "no audio input" in out
    assert "start JACK" in out
