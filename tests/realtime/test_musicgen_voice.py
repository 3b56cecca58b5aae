"""A language model as a voice of its own process: it goes on with what sounds, comes back after a kill, and replays.

Nothing of time is asserted: a slow machine plays covers, and is as right.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.messages.session import BAR, Applied, Branch, Choose, Continue, Failed, Prepared, Rewind, Set, VoiceUp
from engine.music.audio import Audio
from engine.session.replay import replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import read_take
from tests.realtime.test_live_process import Live
from tests.tiny_musicgen import write_tiny

RATE, BLOCK = 48000, 256
PATIENCE_S = 60.0


class Stage:
    """A session read in real time, or slower where the machine is."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Any] = []
        self.sound: list[Audio] = []
        self.begun = time.perf_counter()

    def play(self, until: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
        end = self.session.position + int(seconds * RATE)
        while self.session.position < end and not until():
            self.sound.append(self.session.read(BLOCK))
            self.events += self.session.poll()
            time.sleep(max(0.0, self.begun + self.session.position / RATE - time.perf_counter()))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def answered(self, number: int) -> Applied | Failed:
        def found() -> list[Any]:
            return [event for event in self.events if isinstance(event, Applied | Failed) and event.number == number]

        self.play(lambda: bool(found()))
        return found()[0]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    bundle = write_tiny(tmp_path / "tiny", "conducted")
    voices = (VoiceSpec(name="m", bundle=str(bundle), seed=1),)
    with Session(RATE, voices=voices, folder=tmp_path, fill_ms=120.0, tempo_bpm=240.0) as session:
        made = Stage(session)
        made.play(lambda: bool(made.of(VoiceUp)))
        made.play(lambda: False, 1.0)
        yield made


def replayed(stage: Stage) -> Audio:
    stage.session.close()
    assert stage.session.take is not None
    return np.concatenate(list(replay(read_take(stage.session.take))), axis=1)


def test_it_goes_on_beside_its_sound_and_the_take_replays(stage: Stage) -> None:
    numbers = [
        stage.session.post(command, BAR)
        for command in (
            Set(("m", "temperature"), 0.9),
            Continue(voice="m", seconds=0.8, text="slow piano"),
            Branch(voice="m", futures=3),
        )
    ]
    for number in numbers:
        answer = stage.answered(number)
        assert isinstance(answer, Applied), answer
    (prepared,) = stage.of(Prepared)
    assert prepared.seconds > 0.0
    assert 0.7 < prepared.prompt_s <= 0.8
    for command in (Choose(voice="m", future=3), Rewind(voice="m")):
        assert isinstance(stage.answered(stage.session.post(command, BAR)), Applied)
    stage.play(lambda: False, 0.5)
    live = np.concatenate(stage.sound, axis=1)
    assert np.isfinite(live).all()
    assert np.abs(live).max() <= 1.0
    assert np.array_equal(replayed(stage), live)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_it_comes_back_with_what_it_said_and_with_what_it_was_asked(stage: Stage) -> None:
    number = stage.session.post(Continue(voice="m", seconds=0.8), BAR)
    os.kill(stage.session.players()["m"].pid, signal.SIGKILL)
    answer = stage.answered(number)
    assert isinstance(answer, Applied), answer
    assert [event.restarted for event in stage.of(VoiceUp)] == [False, True]
    stage.play(lambda: False, 0.5)
    live = np.concatenate(stage.sound, axis=1)
    assert np.array_equal(replayed(stage), live)


def next_applied(live: Live, address: str) -> list[object]:
    while (answer := live.answer("/applied"))[0] != address:
        pass
    return answer


def test_a_program_is_asked_over_osc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiny(tmp_path / "bundles" / "tiny", "conducted")
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "bundles"))
    live = Live(tmp_path / "session")
    try:
        live.wait(voice_state="playing")
        live.ask("/reply/to", live.socket.getsockname()[1])
        live.ask("/gen/load", "tiny")
        assert live.answer("/event/voice_up")[0] == "gen"
        names: list[object] = []
        while "gen" not in names:
            live.ask("/voices")
            names = live.answer("/voices")
        live.ask("/gen/continue", 1)  # a foot switch
        assert int(str(next_applied(live, "/gen/continue")[3])) > 0
        assert list((tmp_path / "session").glob("heard-*.wav"))
        live.ask("/gen/continue", 0)  # and let go
        live.ask("/gen/continue", "output", 1.0, 0, "slow piano", "bar")
        next_applied(live, "/gen/continue")
        live.ask("/gen/text")
        assert live.answer("/gen/text") == ["slow piano"]
        live.ask("/gen/branch", 2)
        next_applied(live, "/gen/branch")
        live.ask("/gen/choose", 2, "bar")
        next_applied(live, "/gen/choose")
        live.ask("/gen/choose", 3)
        assert "there are 2 futures" in str(live.answer("/error")[2])
        live.ask("/status")
        assert float(str(live.answer("/status/continue_ms")[0])) > 0.0
        live.process.send_signal(signal.SIGINT)
        said, _ = live.process.communicate(timeout=PATIENCE_S)
        assert live.process.returncode == 0, said
        assert "Traceback" not in said
    finally:
        if live.process.poll() is None:
            live.process.kill()
        live.process.wait()
        live.socket.close()
        if live.process.stdout is not None:
            live.process.stdout.close()
