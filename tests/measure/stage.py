"""The program on stage: does it start, answer, survive and repeat as promised?

``python -m tests.measure.stage [NAME ...] [--bundle NAME] [--minutes 10] [--json OUT]`` runs ``ripieno live`` as a
process on a real JACK server (its dummy driver), listens to what reaches the speakers, and prints one JSON row a
figure: name, value, unit, wanted, machine, command. Every NAME is a part; all are run without one.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from engine.bundles.bundle import describe
from engine.music.audio import Audio, read_audio
from engine.session.replay import replay as sound_of
from engine.session.take import read_take
from tests.measure.helpers.ear import Ear, find, longest_silence
from tests.measure.helpers.jackd import Jackd
from tests.measure.helpers.legal import Words, bad_packets, pour
from tests.measure.helpers.quiet import Bystander
from tests.measure.helpers.scene import Scene, Trouble
from tests.measure.helpers.show import ROOT, Memory, Said, Show, packet

__all__ = ["PARTS", "main"]

_SOAK_HZ: Final = 200.0
_LOOK_S: Final = 5.0  # between looks at memory and sound
_FLOOD_HZ: Final = 5000.0
_NEEDLE: Final = 512  # samples that are surely found once only


def start(scene: Scene) -> None:
    """From the start of the process to the first sound at the JACK ports."""
    seconds = []
    for _ in range(scene.times(5)):
        with scene.show() as show:
            first = scene.ear.first_sound(scene.ear.frame_at(show.began_s), 60.0)
            seconds.append(scene.ear.moment_of(first) - show.began_s)
    scene.row("sound_s_median", float(np.median(seconds)), "s", "<= 5")
    scene.row("sound_s_worst", max(seconds), "s", "<= 5")


def soak(scene: Scene) -> None:
    """Minutes of play under 200 messages a second; a silent client beside it shows what the machine does by itself."""
    seconds = 60.0 * scene.minutes
    with Bystander(scene.folder, scene.flags) as alone:
        time.sleep(min(seconds, 60.0))
    with Bystander(scene.folder, scene.flags) as beside, scene.playing() as show:
        trouble, counted = Trouble(scene, show), show.counters()
        words, memory, silence, sent = Words(show.voice, scene.controls, seed=1), [show.resident_mb()], 0, 0
        began_s = time.perf_counter()
        heard, look_s = scene.ear.now(), began_s + _LOOK_S
        while (now_s := time.perf_counter()) < began_s + seconds:
            for _ in range(sent, int((now_s - began_s) * _SOAK_HZ)):
                address, values = words.any()
                show.send(address, *values)
                sent += 1
            if now_s >= look_s:
                look_s += _LOOK_S
                memory.append(show.resident_mb())
                silence = max(silence, longest_silence(scene.ear.heard(heard)))
                heard = scene.ear.now()
            time.sleep(0.002)
        time.sleep(1.0)
        trouble.tell("0")
        scene.row("covers", sum(1 for _ in show.said("/event/cover")), "events", "0")
        counts = {name: count - counted[name] for name, count in show.counters().items()}
        _tell_memory(scene, memory, show.memory())
    scene.row("silent_client_xruns_beside", beside.xruns, "xruns")
    scene.row("silent_client_xruns_alone", alone.xruns, f"xruns in {min(seconds, 60.0):g} s")
    scene.row("longest_silence_ms", scene.ms(silence), "ms")
    scene.row("seconds", seconds, "s")
    scene.row("sent", sent, "messages")
    for name in ("refused", "malformed", "dropped", "failed", "faults"):
        scene.row(name, counts[name], "messages", "0")


def _tell_memory(scene: Scene, resident_mb: Sequence[float], last: Memory) -> None:
    """Rows of what all processes took while they played, and of how it was shared at the end."""
    scene.row("rss_mb", max(*resident_mb, last.rss), f"MB in {last.processes} processes", "<= 700")
    scene.row("rss_growth_mb", resident_mb[-1] - resident_mb[len(resident_mb) // 2], "MB in the second half")
    scene.row("pss_mb_last", last.pss, "MB")
    scene.row("uss_mb_last", last.uss, "MB")


def latency(scene: Scene) -> None:
    """Changes of style at random moments: what the program says, and what reaches the speakers."""
    chance, changes = random.Random(3), list[tuple[float, Said]]()
    with scene.playing() as show:
        address = f"/{show.voice}/style/seed"
        show.send(f"/{show.voice}/style/glide", 0.0)
        trouble = Trouble(scene, show)
        for seed in range(scene.times(100)):
            time.sleep(chance.uniform(0.2, 1.0))
            since = show.mark()
            sent_s = show.send(address, 1000 + seed)
            changes.append((sent_s, show.wait("/applied", since, lambda said: said.values[0] == address)))
        time.sleep(1.0)
        trouble.tell()
        take = show.take()
    told = [float(said.values[4]) for _, said in changes]
    _tell_spread(scene, "told_ms", told, "p99", "<= 200")
    scene.row("changes", len(changes), "changes")
    whole, heard = _replayed(take), []
    for sent_s, said in changes:
        at = _heard_at(scene, whole, int(said.values[3]), sent_s)
        if at is not None:
            heard.append(1000.0 * (at - sent_s))
    scene.row("heard_found", len(heard), "changes")
    if heard:
        _tell_spread(scene, "heard_ms", heard, "p99", "<= 200")
    away = [_divergence(take, whole, said) for _, said in changes[:3]]
    scene.row("differs_from_first", min(away), "samples from the one that was told, the first of 3 changes")
    scene.row("differs_from_last", max(away), "samples from the one that was told, the last of 3 changes")


def _tell_spread(scene: Scene, name: str, values: Sequence[float], judged: str, wanted: str) -> None:
    for part, value in (("p50", np.percentile(values, 50)), ("p99", np.percentile(values, 99)), ("worst", max(values))):
        scene.row(f"{name}_{part}", float(value), "ms", wanted if part == judged else "")


def _replayed(take: Path, last: int | None = None) -> Audio:
    """[2, N], the mix of a take from its first sample."""
    return np.concatenate(list(sound_of(read_take(take), last=last)), axis=1)


def _heard_at(scene: Scene, whole: Audio, sample: int, sent_s: float) -> float | None:
    """When a sample of the mix reached the speakers; None if it was lost in an xrun."""
    around = scene.ear.frame_at(sent_s)
    at = find(whole[:, sample : sample + _NEEDLE], scene.ear.heard(around, around + scene.ear.rate))
    return None if at is None else scene.ear.moment_of(around + at)


def _divergence(take: Path, whole: Audio, said: Said) -> int:
    """Where a take without one command first sounds different, from the sample that `Applied` told.

    Raises:
        RuntimeError: it never does.
    """
    number, sample = int(said.values[1]), int(said.values[3])
    lines = take.read_text("utf-8").splitlines()
    other = take.with_name(f"without-{number}.jsonl")
    other.write_text("\n".join(line for line in lines if not _orders(line, number)) + "\n", "utf-8")
    last = min(sample + read_take(take).sample_rate, whole.shape[1])
    differs = np.flatnonzero((_replayed(other, last) != whole[:, :last]).any(axis=0))
    if not len(differs):
        raise RuntimeError(f"command {number} changes nothing")
    return int(differs[0]) - sample


def _orders(line: str, number: int) -> bool:
    row = json.loads(line)
    return "took" in row and row["number"] == number


def play(scene: Scene) -> None:
    """Stop, silence, play: when it sounds again."""
    told, heard = [], []
    with scene.playing() as show:
        chance = random.Random(4)
        for _ in range(scene.times(20)):
            show.send(f"/{show.voice}/stop")
            scene.ear.wait_silent(0.5)
            time.sleep(chance.uniform(0.0, 1.0))
            since, frame = show.mark(), scene.ear.now()
            sent_s = show.send(f"/{show.voice}/play")
            said = show.wait("/applied", since, lambda said: str(said.values[0]).endswith("/play"))
            told.append(float(said.values[4]))
            heard.append(1000.0 * (scene.ear.moment_of(scene.ear.first_sound(frame, 10.0)) - sent_s))
            time.sleep(1.0)
    _tell_spread(scene, "told_ms", told, "worst", "<= 300")
    _tell_spread(scene, "heard_ms", heard, "worst", "<= 300")


def kill(scene: Scene) -> None:
    """A voice's process dies; then other bundles take over."""
    with scene.playing() as show:
        first = scene.ear.now()
        time.sleep(10.0 * min(1.0, scene.scale))
        before = longest_silence(scene.ear.heard(first))
        trouble, seconds, silence, covered = Trouble(scene, show), list[float](), 0, 0
        for _ in range(2):  # a third within a minute would be held back on purpose
            since, first, process = show.mark(), scene.ear.now(), show.voice_process()
            killed_s = time.perf_counter()
            os.kill(process.pid, signal.SIGKILL)
            up = show.wait("/event/voice_up", since)
            seconds.append(up.at_s - killed_s)
            thawed = show.wait("/event/thawed", since)
            time.sleep(3.0)
            silence = max(silence, longest_silence(scene.ear.heard(first)))
            covered = max(covered, int(thawed.values[2]))
        scene.row("voice_up_s_worst", max(seconds), "s", "< 2")
        scene.row("longest_silence_ms", scene.ms(silence), "ms")
        scene.row("longest_silence_before_ms", scene.ms(before), "ms")
        scene.row("covered_ms_worst", scene.ms(covered), "ms")
        trouble.tell()
        for name, bundle, seed in (("seed", scene.bundle, 7), ("tone", "tone", 1), ("back", scene.bundle, 9)):
            _swap(scene, show, name, bundle, seed)


def _swap(scene: Scene, show: Show, name: str, bundle: str, seed: int) -> None:
    trouble, since, first = Trouble(scene, show), show.mark(), scene.ear.now()
    sent_s = show.send(f"/{show.voice}/load", bundle, seed, "bar")
    swapped = show.wait("/event/swapped", since, within_s=60.0)
    time.sleep(3.0)
    late, empty, xruns = trouble.now()
    scene.row(f"swap_{name}_covers", sum(1 for _ in show.said("/event/cover", since)), "events", "0")
    scene.row(f"swap_{name}_voice_underruns", late, "reads", "0")
    scene.row(f"swap_{name}_device_underruns", empty, "times", "0")
    scene.row(f"swap_{name}_xruns", xruns, "xruns")
    scene.row(f"swap_{name}_longest_silence_ms", scene.ms(longest_silence(scene.ear.heard(first))), "ms")
    scene.row(f"swap_{name}_s", swapped.at_s - sent_s, "s until the bar at which it was ready")


def flood(scene: Scene) -> None:
    """More legal messages than anybody sends, then packets that nobody should send."""
    voice = describe(scene.bundle).voice
    words = Words(voice, scene.controls, seed=2)
    legal = [packet(address, *values) for address, values in (words.any() for _ in range(5000))]
    bad = bad_packets(scene.times(100_000), voice, scene.controls, seed=5)
    with scene.playing() as show:
        if show.voice != voice:
            raise RuntimeError(f"the voice is called {show.voice}, not {voice}")
        trouble, before = Trouble(scene, show), show.counters()
        sent = pour(legal, show.port, _FLOOD_HZ, 10.0 * min(1.0, scene.scale))
        after = _settled(show)
        scene.row("legal_sent", sent, f"messages at {_FLOOD_HZ:g} a second")
        scene.row("legal_handled", after["handled"] - before["handled"], "messages", f"{sent} and some questions")
        for name in ("refused", "malformed", "dropped", "failed", "faults"):
            scene.row(f"legal_{name}", after[name] - before[name], "messages", "0")
        scene.row("legal_coalesced", after["coalesced"] - before["coalesced"], "messages")
        trouble.tell()
        _bad(scene, show, bad.packets, bad.malformed, bad.refused, bad.own)


def _settled(show: Show) -> dict[str, int]:
    """Counters once nothing more arrives."""
    counts = show.counters()
    while True:
        time.sleep(0.5)
        later = show.counters()
        if later["received"] - counts["received"] <= 1 and later["malformed"] == counts["malformed"]:
            return later
        counts = later


def _bad(scene: Scene, show: Show, packets: Sequence[bytes], malformed: int, refused: int, own: int) -> None:
    before = show.counters()
    pour(packets, show.port, _FLOOD_HZ)
    after = _settled(show)
    gone = {name: after[name] - before[name] for name in after}
    scene.row("bad_sent", len(packets), "packets")
    scene.row("bad_malformed", gone["malformed"], "packets", str(malformed))
    scene.row("bad_refused", gone["refused"], "messages", f"{refused}..{refused + own}")
    scene.row("bad_uncounted", gone["received"] - gone["handled"] - gone["refused"], "messages", "0")
    scene.row("bad_dropped", gone["dropped"], "packets", "0")
    scene.row("bad_faults", gone["faults"], "mistakes of the server", "0")
    since = show.mark()
    asked_s = show.send("/ping", 7)
    scene.row("answers_after_ms", 1000.0 * (show.wait("/pong", since).at_s - asked_s), "ms")
    for name, value in (("mute", 0), ("gain", 0.0)):
        show.send(f"/{show.voice}/{name}", value)
    show.send(f"/{show.voice}/play")
    time.sleep(2.0)
    first = scene.ear.now()
    time.sleep(3.0)
    heard = scene.ear.heard(first)
    scene.row("level_after_db", float(20.0 * np.log10(max(float(np.abs(heard).max()), 1e-9))), "dB peak", "> -60")
    scene.row("longest_silence_after_ms", scene.ms(longest_silence(heard)), "ms")


def replay(scene: Scene) -> None:
    """A performance with 100 commands, recorded; then its take made into sound again."""
    seconds, chance = 60.0 * min(scene.minutes, 2.0), random.Random(6)
    with scene.playing() as show:
        words, since = Words(show.voice, scene.controls, seed=8), show.mark()
        show.send("/record/start", "live.wav")
        show.wait("/applied", since, lambda said: said.values[0] == "/record/start")
        trouble, began_s, count = Trouble(scene, show), time.perf_counter(), scene.times(100)
        first = scene.ear.now()
        for at in sorted(chance.uniform(0.0, seconds) for _ in range(count)):
            time.sleep(max(0.0, began_s + at - time.perf_counter()))
            address, values = words.performed()
            show.send(address, *values)
        time.sleep(max(0.0, began_s + seconds - time.perf_counter()))
        show.send("/record/stop")
        recorded = show.wait("/event/recorded", since)
        trouble.tell()
        scene.row("commands", count, "commands")
        scene.row("covers", sum(1 for _ in show.said("/event/cover")), "events, which the take knows, too")
        take, heard = show.take(), scene.ear.heard(first)
    out, began_s = take.with_name("again.wav"), time.perf_counter()
    subprocess.run(
        [sys.executable, "ripieno.py", "replay", str(take), str(out)], cwd=ROOT, check=True, stdout=sys.stderr
    )
    scene.row("replay_s", time.perf_counter() - began_s, "s")
    again, live = read_audio(out)[0], read_audio(str(recorded.values[0]))[0]
    _compare(scene, live, again)
    pieces = [heard[:, at : at + scene.ear.rate] for at in range(0, heard.shape[1] - scene.ear.rate, scene.ear.rate)]
    same = sum(find(piece, again) is not None for piece in pieces)
    scene.row("heard_seconds", len(pieces), "s at the JACK ports")
    scene.row("heard_seconds_same", same, "s of them in the replay, bit for bit; an xrun costs one")


def _compare(scene: Scene, live: Audio, again: Audio) -> None:
    """Rows of how far a recording is in a replay."""
    loud = int(np.argmax(np.abs(live).max(axis=0) > 0.0))
    at = find(live[:, loud : loud + 8 * _NEEDLE], again)
    scene.row("recorded_samples", live.shape[1], "samples")
    if at is None or at < loud:
        scene.row("different_samples", live.shape[1], "samples: the beginning is not in the replay", "0")
        return
    other = again[:, at - loud : at - loud + live.shape[1]]
    missing = live.shape[1] - other.shape[1]
    differs = (live[:, : other.shape[1]].view(np.int32) != other.copy().view(np.int32)).any(axis=0)
    scene.row("different_samples", int(differs.sum()) + missing, "samples", "0")


PARTS: Final[Mapping[str, Callable[[Scene], None]]] = {
    "start": start,
    "soak": soak,
    "latency": latency,
    "play": play,
    "kill": kill,
    "flood": flood,
    "replay": replay,
}
"""Every part by its name, in the order in which all are run."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.measure.stage", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--bundle", default="musika-live", metavar="NAME", help="what plays")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the soak; at most 2 for the replay")
    parser.add_argument("--scale", type=float, default=1.0, help="of repetitions: 0.1 is a short trial")
    parser.add_argument("--jack", default="-r", metavar="FLAGS", help="jackd's, such as '-r -S'; default -r")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all rows here, too")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; 0 done, 1 one could not be measured, 2 not understood."""
    parser = _parser()
    args = parser.parse_args(argv)
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown or args.minutes <= 0.0 or args.scale <= 0.0:
        parser.error(f"parts are {', '.join(PARTS)}, minutes and scale are more than 0; got {' '.join(unknown)}")
    flags = tuple(args.jack.split())
    command = " ".join(["python -m tests.measure.stage", *(sys.argv[1:] if argv is None else argv)])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stage-")))
        controls = describe(args.bundle).controls
        server = Jackd(folder, flags)
        stack.callback(server.stop)
        server.start()
        ear = Ear(server)
        stack.callback(ear.stop)
        command = f"{command} ({server.command})"
        scene = Scene(server, ear, folder, args.bundle, controls, args.minutes, args.scale, flags, command)
        failed = _run(scene, args.parts or list(PARTS))
    if args.json:
        args.json.write_text(json.dumps(scene.rows, indent=1) + "\n", "utf-8")
    return 1 if failed else 0


def _run(scene: Scene, names: Sequence[str]) -> int:
    """Parts that could not be measured; the others go on."""
    failed = 0
    for name in names:
        scene.part = name
        try:
            PARTS[name](scene)
        except (TimeoutError, RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"{name} could not be measured: {type(error).__name__}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
