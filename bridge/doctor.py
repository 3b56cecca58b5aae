"""``ripieno doctor``: checks this machine, and names a remedy for each problem."""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Final

from bridge.audio.port import PortError
from bridge.audio.scan import HOW_TO_GET_INPUT, HOW_TO_GET_SOUND, Device, inputs, outputs, portaudio
from bridge.devices import survey
from bridge.midi.sources import midi_sources
from bridge.settings import Settings, host_and_port
from engine.bundles.bundle import FOLDERS_VARIABLE, TONE, bundles
from engine.graphs.graph import PROVIDERS
from engine.processes import AUDIO_PRIORITY, set_priority

__all__ = ["CHECKS", "Check", "doctor_main"]

_ENOUGH_CORES: Final = 2
_ENOUGH_GB: Final = 2.0
_LONG_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check.

    Args:
        name: of the thing checked.
        state: ``ok``; ``note``: something optional is missing; ``bad``: must be fixed before anything can play.
        found: the finding in a few words.
        remedy: what to do; empty if nothing.
    """

    name: str
    state: str
    found: str
    remedy: str = ""


def doctor_main(argv: Sequence[str]) -> int:
    """Run all checks; 1 if any of them is ``bad``."""
    parser = argparse.ArgumentParser(
        prog="ripieno doctor",
        description="Check this machine and name a remedy for each problem. Exit status 1: something must be fixed "
        "before Ripieno can play.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)
    checks = [_guarded(name, check) for name, check in CHECKS.items()]
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        _show(checks)
    return int(any(check.state == "bad" for check in checks))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """A check that raises an error becomes a finding of its own; the other checks still run."""
    try:
        return check()
    except Exception as error:
        remedy = "report this bug, with the output of ripieno doctor --json"
        return Check(name, "bad", f"{type(error).__name__}: {error}", remedy)


def check_python() -> Check:
    """The interpreter; python-rtmidi has wheels up to Python 3.12."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= (3, 13):
        return Check("Python", "note", version, "for MIDI use Python 3.11 or 3.12: python-rtmidi has no newer wheels")
    return Check("Python", "ok", version)


def check_packages() -> Check:
    """The packages that the distribution requires, by its own metadata."""
    try:
        needed = [line for line in metadata.requires("ripieno") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:
        return Check("packages", "note", "ripieno runs from its source folder, not installed", "pip install -e .")
    missing = []
    for line in needed:
        name = re.split(r"[\s;<>=!~\[]", line, maxsplit=1)[0]
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing == ["python-rtmidi"]:
        return Check("packages", "note", "python-rtmidi is missing: no MIDI", "pip install python-rtmidi")
    if missing:
        return Check("packages", "bad", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    return Check("packages", "ok", f"all {len(needed)} required packages are installed")


def check_audio() -> Check:
    """PortAudio and its outputs."""
    found, why = survey(outputs)
    if not found:
        remedy = "" if why else f"{HOW_TO_GET_SOUND}; or play silently with --device null"
        return Check("audio", "note", why or "no output", remedy)
    first = next((output for output in found if output.chosen), found[0])
    return Check("audio", "ok", f"{len(found)} outputs, default: {first.title} at {first.sample_rate} Hz")


def check_input() -> Check:
    """Inputs, and whether the default one accepts the settings that we would use; it is not opened."""
    found, why = survey(inputs)
    if not found:
        remedy = "" if why else f"{HOW_TO_GET_INPUT}; playing without --input needs none"
        return Check("input", "note", why or "no input", remedy)
    first = next((device for device in found if device.chosen), found[0])
    _, refusal = survey(lambda: _tried(first))
    if refusal:
        remedy = "close other programs that use it, or choose another --input"
        return Check("input", "note", f"{first.title}: {refusal}", remedy)
    return Check("input", "ok", f"{len(found)} inputs, default: {first.title} at {first.sample_rate} Hz")


def _tried(device: Device) -> list[Device]:
    """The input, if PortAudio accepts our settings for it."""
    sounddevice = portaudio()
    try:
        sounddevice.check_input_settings(device.index, min(2, device.channels), "float32", None, device.sample_rate)
    except sounddevice.PortAudioError as error:
        raise PortError(str(error)) from None
    return [device]


def check_jack() -> Check:
    """A JACK server, or PipeWire in its place: lowest latency on Linux, but optional."""
    found, _ = survey(outputs)
    jack = next((output for output in found if "JACK" in output.hostapi), None)
    if jack is None:
        return Check("JACK", "ok", "no server is running (optional)")
    return Check("JACK", "ok", f"running at {jack.sample_rate} Hz, {1000.0 * jack.latency_s:.1f} ms")


def check_midi() -> Check:
    """MIDI systems and inputs."""
    found, why = survey(midi_sources)
    if why:
        return Check("MIDI", "note", "no MIDI system; send chords over OSC instead", why)
    if not found:
        return Check("MIDI", "note", "no input", "connect a keyboard, or use --midi-in virtual")
    return Check("MIDI", "ok", ", ".join(source.title for source in found))


def check_onnxruntime() -> Check:
    """Loaded in another process, so that a library that crashes does not end this one."""
    code = "import json, onnxruntime as o; print(json.dumps([o.__version__, o.get_available_providers()]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=_LONG_S)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        return Check("onnxruntime", "bad", why, "pip install --force-reinstall onnxruntime")
    version, here = json.loads(done.stdout)
    names = [name for name, provider in PROVIDERS.items() if provider in here]
    return Check("onnxruntime", "ok", f"{version}, providers: {', '.join(names)}")


def check_bundles() -> Check:
    """Bundles with trained weights; damaged ones do not count."""
    names = [info.name for info in bundles() if info.name != TONE]
    if not names:
        remedy = f"make one with ripieno export, or set {FOLDERS_VARIABLE} to the folder that holds your bundles"
        return Check("bundles", "note", "none: only the test tone can be played", remedy)
    return Check("bundles", "ok", ", ".join(names))


def check_osc() -> Check:
    """The address at which `ripieno live` receives OSC by default."""
    host, port = host_and_port(Settings().osc)
    for kind, title in ((socket.SOCK_DGRAM, "UDP"), (socket.SOCK_STREAM, "TCP")):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM and os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port just left is free
            try:
                probe.bind((host, port))
            except OSError as error:
                remedy = f"close the program that uses it (another ripieno?), or use --osc {host}:{port + 10}"
                return Check("OSC", "note", f"{title} {host}:{port} is in use ({error.strerror})", remedy)
    return Check("OSC", "ok", f"{host}:{port} is free")


def check_cores() -> Check:
    """Processor cores: in the worst case each voice fills one, and everything else shares another."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    remedy = "" if cores >= _ENOUGH_CORES else "play one small voice, with a larger --fill-ms"
    return Check("cores", "ok" if not remedy else "note", str(cores), remedy)


def check_memory() -> Check:
    """Memory that is free now."""
    import psutil

    free_gb = psutil.virtual_memory().available / 2**30
    remedy = "" if free_gb >= _ENOUGH_GB else "close other programs, or play one voice"
    return Check("memory", "ok" if not remedy else "note", f"{free_gb:.1f} GB free", remedy)


def check_priority() -> Check:
    """The priority that the audio thread can get, tried in a thread of its own."""
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(set_priority(AUDIO_PRIORITY)))
    thread.start()
    thread.join()
    switch_ms = 1000.0 * sys.getswitchinterval()
    found = f"{got[0]}; Python switches threads every {switch_ms:g} ms, every 0.5 ms while playing"
    if got[0] == "normal" and sys.platform == "linux":
        remedy = "allow rtprio 20 for your user in /etc/security/limits.d, or add your user to the group 'audio'"
        return Check("priority", "note", found, remedy)
    return Check("priority", "ok", found)


CHECKS: Final = {
    "Python": check_python,
    "packages": check_packages,
    "onnxruntime": check_onnxruntime,
    "bundles": check_bundles,
    "audio": check_audio,
    "input": check_input,
    "JACK": check_jack,
    "MIDI": check_midi,
    "OSC": check_osc,
    "cores": check_cores,
    "memory": check_memory,
    "priority": check_priority,
}
"""The checks, in the order in which they run."""


def _show(checks: Sequence[Check]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colours = {"ok": "green", "note": "yellow", "bad": "red"}
    table = Table(box=box.SIMPLE)
    for title in ("", "check", "found", "remedy"):
        table.add_column(title, overflow="fold")
    for check in checks:
        colour = colours[check.state]
        table.add_row(f"[{colour}]{check.state}[/]", check.name, escape(check.found), escape(check.remedy))
    Console(highlight=False).print(table)
