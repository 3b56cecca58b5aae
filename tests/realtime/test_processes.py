"""Voices in processes of their own, in real time: what dies or hangs is covered and comes back.

Numbers of time are asserted only where they are promises, and with room for a busy machine.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.messages.session import (
    BAR,
    Applied,
    Cover,
    Failed,
    Load,
    Set,
    SetChord,
    Swapped,
    Telemetry,
    Thawed,
    VoiceDown,
    VoiceUp,
)
from engine.music.audio import Audio
from engine.session.replay import replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import read_take

RATE, BLOCK = 48000, 256


class Stage:
    """A session read in real time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Any] = []
        self.sound: list[Audio] = []
        self.begun = time.perf_counter()

    def play(self, seconds: float, until: Callable[[], bool] = lambda: False) -> Audio:
        first, end = len(self.sound), self.session.position + int(seconds * RATE)
        while self.session.position < end and not until():
            self.sound.append(self.session.read(BLOCK))
            self.events += self.session.poll()
            time.sleep(max(0.0, self.begun + self.session.position / RATE - time.perf_counter()))
        return self.since(first)

    def since(self, block: int) -> Audio:
        return np.concatenate([np.zeros((2, 0), np.float32), *self.sound[block:]], axis=1)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def is_up(stage: Stage, voices: int) -> Callable[[], bool]:
    return lambda: len(stage.of(VoiceUp)) >= voices


def has_come_back(stage: Stage, voice: str) -> bool:
    """Whether a voice that was restarted sounds again."""
    up = [at for at, event in enumerate(stage.events) if isinstance(event, VoiceUp) and event.restarted]
    after = stage.events[up[0] :] if up else []
    return any(isinstance(event, Thawed) and event.voice == voice for event in after)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    voices = (VoiceSpec(name="a", seed=1), VoiceSpec(name="b", seed=2))
    with Session(RATE, voices=voices, folder=tmp_path, fill_ms=120.0) as session:
        made = Stage(session)
        made.play(30.0, is_up(made, 2))
        made.play(1.5)
        yield made


def longest_silence_ms(sound: Audio) -> float:
    """The longest run of samples that are all but zero."""
    loud = np.flatnonzero(np.abs(sound).max(axis=0) > 1e-4)
    edges = np.concatenate([[-1], loud, [sound.shape[1]]])
    return 1000.0 * float(np.diff(edges).max() - 1) / RATE


def test_a_killed_voice_is_covered_and_back_within_two_seconds(stage: Stage) -> None:
    os.kill(stage.session.players()["a"].pid, signal.SIGKILL)
    at = stage.session.position
    sound = stage.play(6.0, lambda: has_come_back(stage, "a"))
    sound = np.concatenate([sound, stage.play(0.5)], axis=1)
    assert [event.voice for event in stage.of(VoiceDown)] == ["a"]
    assert [event.restarted for event in stage.of(VoiceUp)] == [False, False, True]
    assert "a" in {event.voice for event in stage.of(Cover)}
    assert (stage.of(Thawed)[-1].sample - at) / RATE < 2.0
    assert longest_silence_ms(sound) < 5.0
    assert stage.session.take is not None
    live = np.concatenate(stage.sound, axis=1)
    stage.session.close()
    again = np.concatenate(list(replay(read_take(stage.session.take))), axis=1)
    assert np.array_equal(again, live), "the performance, its failure included, replays bit for bit"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_a_hung_voice_is_replaced(stage: Stage) -> None:
    os.kill(stage.session.players()["b"].pid, signal.SIGSTOP)
    for _ in range(3000):  # more than its pipe can hold: nobody may wait for it
        stage.session.post(Set(("b", "octave"), 1))
    sound = stage.play(8.0, lambda: has_come_back(stage, "b"))
    assert [event.voice for event in stage.of(VoiceDown)] == ["b"]
    assert has_come_back(stage, "b")
    assert longest_silence_ms(sound) < 5.0
    stage.play(0.5)
    assert stage.session.controls()["b"].octave == 1


def test_commands_and_loading_disturb_nothing(stage: Stage) -> None:
    """Controls are answered in time, a bundle is loaded and takes over at the bar, another cannot be loaded."""
    first = len(stage.sound)
    stage.session.post(Load(voice="a", bundle="tone", seed=9), BAR)
    refused = stage.session.post(Load(voice="b", bundle="no such bundle"))
    for turn in range(20):
        stage.session.post(Set(("a", "gain"), -float(turn % 6)))
        if turn % 5 == 0:
            stage.session.post(SetChord(name="Am" if turn % 2 else "F"))
        stage.play(0.1)
    stage.play(6.0, lambda: bool(stage.of(Swapped)))
    stage.play(0.5)
    (swapped,) = stage.of(Swapped)
    bar = swapped.sample / (2.0 * RATE)
    assert bar == round(bar), "at 120 bpm a bar is two seconds"
    assert [event.number for event in stage.of(Failed)] == [refused]
    assert longest_silence_ms(stage.since(first)) < 5.0
    answered = [event for event in stage.of(Applied) if isinstance(event.command, Set | SetChord)]
    assert len(answered) == 24
    assert float(np.median([event.latency_ms for event in answered])) < 300.0
    assert stage.of(Telemetry)[-1].underruns <= 1, "a busy machine may be late once"


def test_post_never_waits(stage: Stage) -> None:
    took = []
    for _ in range(2000):
        begun = time.perf_counter()
        stage.session.post(Set(("a", "gain"), -3.0))
        took.append(time.perf_counter() - begun)
    assert float(np.median(took)) < 0.005
    stage.play(0.5)


SCRIPT = """
import sys, time
from pathlib import Path
from engine.messages.session import Record
from engine.session.session import Session, VoiceSpec

if __name__ == "__main__":
    with Session(48000, voices=(VoiceSpec(name="a"),), folder=Path(sys.argv[1])) as session:
        session.post(Record(name="take.wav"))
        begun = time.perf_counter()
        while True:
            session.read(256)
            time.sleep(max(0.0, begun + session.position / 48000 - time.perf_counter()))
            if session.position == 256 * 750:
                print("playing", session.players()["a"].pid, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_session_leaves_a_recording_and_no_processes(tmp_path: Path) -> None:
    import soundfile

    script = tmp_path / "play.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline().split()[1])
        process.kill()
    sound, rate = soundfile.read(str(tmp_path / "take.wav"))
    assert rate == RATE
    assert len(sound) >= 2 * RATE
    for _ in range(200):
        if not _lives(child):
            break
        time.sleep(0.02)
    assert not _lives(child), "a voice outlived its session"
    (take,) = tmp_path.glob("take-*.jsonl")
    assert read_take(take).end >= 0


def _lives(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_an_ended_session_leaves_nothing_behind(tmp_path: Path) -> None:
    """No processes, no shared memory, and nothing on the error channel, even after a voice was killed."""
    script = tmp_path / "end.py"
    script.write_text(
        "import os, signal, time\n"
        "from engine.session.session import Session\n"
        "if __name__ == '__main__':\n"
        "    with Session(48000) as session:\n"
        "        while not session.controls():\n"
        "            session.poll(); time.sleep(0.01)\n"
        "        os.kill(session.players()['tone'].pid, signal.SIGTERM)\n"
        "        for _ in range(100):\n"
        "            session.read(256); session.poll(); time.sleep(0.005)\n"
        "        names = [player.ring.name for player in session.players().values()]\n"
        "    print(names)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0
    assert done.stderr == ""
    if Path("/dev/shm").is_dir():
        left = {file.name for file in Path("/dev/shm").iterdir()}
        assert not [name for name in eval(done.stdout) if name.lstrip("/") in left]
