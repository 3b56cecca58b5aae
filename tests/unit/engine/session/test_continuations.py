"""A session goes on with what was heard: on the sample that it tells, and in the same way again from its take."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.errors import TakeError
from engine.messages.session import (
    BAR,
    NOW,
    Applied,
    Branch,
    Changed,
    Choose,
    Command,
    Continue,
    Cover,
    Failed,
    Prepared,
    Rewind,
    Set,
    Stop,
    Tempo,
    VoiceUp,
    When,
)
from engine.music.audio import Audio
from engine.session.replay import replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import read_take
from engine.worker.process import LocalWorker
from tests.tiny_musicgen import write_tiny

RATE = 48000
TEMPO = 480.0
BAR_SAMPLES = RATE // 2


class Stage:
    """A session in this process, with all that was read and told."""

    def __init__(self, folder: Path, bundle: Path, **more: Any) -> None:
        voices = (VoiceSpec(name="m", bundle=str(bundle), seed=3, **more), VoiceSpec(name="t", playing=False))
        self.session = Session(RATE, voices=voices, folder=folder, in_process=True, tempo_bpm=TEMPO)
        self.sound: list[Audio] = []
        self.events: list[Any] = []
        self.session.start()

    def play(self, seconds: float) -> Audio:
        first = len(self.sound)
        for _ in range(round(seconds * RATE / 480)):
            self.sound.append(self.session.read(480))
            self.events += self.session.poll()
        return np.concatenate(self.sound[first:], axis=1)

    def answer(self, command: Command, when: When = NOW, seconds: float = 4.0) -> Applied | Failed:
        number = self.session.post(command, when)
        for _ in range(round(seconds / 0.02)):
            self.play(0.02)
            for event in self.events:
                if isinstance(event, Applied | Failed) and event.number == number:
                    return event
        raise AssertionError(f"{command} was never answered: {self.events[-5:]}")

    def of(self, kind: Any) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def whole(self) -> Audio:
        return np.concatenate(self.sound, axis=1)

    def replayed(self) -> Audio:
        self.session.close()
        assert self.session.take is not None
        return np.concatenate(list(replay(read_take(self.session.take))), axis=1)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return {kind: write_tiny(folder / kind, kind) for kind in ("plain", "conducted")}


@pytest.fixture
def begin(tmp_path: Path, bundles: dict[str, Path]) -> Iterator[Callable[..., Stage]]:
    stages = []

    def made(kind: str = "plain", **more: Any) -> Stage:
        stages.append(Stage(tmp_path, bundles[kind], **more))
        return stages[-1]

    yield made
    for stage in stages:
        stage.session.close()


@pytest.mark.parametrize("kind", ["plain", "conducted"])
@pytest.mark.parametrize("when", [NOW, BAR], ids=["now", "bar"])
def test_it_goes_on_with_the_mix_where_it_says_and_again_from_the_take(
    kind: str, when: When, begin: Callable[..., Stage], tmp_path: Path
) -> None:
    stage = begin(kind)
    stage.play(1.0)
    asked = stage.session.position
    applied = stage.answer(Continue(voice="m", seconds=0.6, seed=4), when)
    assert isinstance(applied, Applied)
    assert applied.voice == "m"
    assert applied.sample > asked
    if when is BAR:
        assert applied.sample % BAR_SAMPLES in (0, 1, BAR_SAMPLES - 1)
    stage.play(0.6)
    (heard,) = tmp_path.glob("heard-*.wav")
    given, rate = soundfile.read(heard, dtype="float32", always_2d=True)
    end = int(heard.stem.split("-")[1])
    assert (rate, len(given)) == (RATE, round(0.6 * RATE))
    live = stage.whole()
    assert np.array_equal(given.T, live[:, end - len(given) : end])
    assert [event.voice for event in stage.of(Prepared)] == ["m"]
    other = Stage(tmp_path / "other", stage_bundle(stage))
    other.play(live.shape[1] / RATE)
    plain = other.whole()
    before = applied.sample - 200  # a resampler hears a little of what comes
    assert np.abs(plain[:, :before] - live[:, :before]).max() < 1e-5
    assert not np.array_equal(plain[:, applied.sample : live.shape[1]], live[:, applied.sample :])
    other.session.close()
    assert np.array_equal(stage.replayed(), live)


def stage_bundle(stage: Stage) -> Path:
    return Path(next(voice.bundle for voice in stage.session.voices() if voice.name == "m"))


def test_it_goes_on_with_a_file_and_with_live_input(begin: Callable[..., Stage], tmp_path: Path) -> None:
    stage = begin()
    sound = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE).astype(np.float32)
    soundfile.write(tmp_path / "mine.wav", sound, RATE, subtype="FLOAT")
    stage.play(0.5)
    one = stage.answer(Continue(voice="m", source="mine.wav", seconds=0.5))
    stage.play(1.0)
    stage.session.hear(np.stack([sound, sound]), stage.session.position - RATE)
    two = stage.answer(Continue(voice="m", seconds=0.5), BAR)
    assert isinstance(one, Applied)
    assert isinstance(two, Applied)
    assert len(list(tmp_path.glob("heard-*.wav"))) == 1  # the input is what is gone on with once there is some
    stage.play(0.5)
    live = stage.whole()
    assert np.array_equal(stage.replayed(), live)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Continue(voice="m", source="nowhere.wav"), "sound file in the session folder"),
        (Continue(voice="m", source="../mine.wav"), "sound file in the session folder"),
        (Continue(voice="m", source="huge.wav"), "huge.wav is too large"),
        (Continue(voice="m", source="input"), "nothing has come from the input"),
        (Continue(voice="m", melody="hum.wav"), "sound file in the session folder"),
        (Continue(voice="t"), "load a bundle of MusicGen"),
        (Continue(voice="nobody"), "no voice 'nobody'"),
        (Branch(voice="t"), "load a bundle of MusicGen"),
        (Choose(voice="m", future=2), "send branch first"),
        (Rewind(voice="m", bars=40), "so much has not been played"),
    ],
)
def test_what_cannot_be_done_is_answered_and_it_plays_on(
    command: Command, says: str, begin: Callable[..., Stage], tmp_path: Path
) -> None:
    with (tmp_path / "huge.wav").open("wb") as huge:
        huge.truncate(1 << 30)  # takes no room
    stage = begin()
    stage.play(0.4)
    answer = stage.answer(command)
    assert isinstance(answer, Failed)
    assert says in answer.reason
    assert np.abs(stage.play(0.3)).max() > 1e-3
    assert not list(tmp_path.glob("heard-*.wav"))


def test_a_silent_voice_begins_with_what_it_goes_on_with(begin: Callable[..., Stage], tmp_path: Path) -> None:
    stage = begin(playing=False)
    assert not stage.play(0.5).any()
    soundfile.write(tmp_path / "mine.wav", 0.3 * np.sin(np.arange(RATE) / 20), RATE, subtype="FLOAT")
    applied = stage.answer(Continue(voice="m", source="mine.wav"), BAR)
    assert isinstance(applied, Applied)
    assert abs((applied.sample + 1) % BAR_SAMPLES - 1) <= 1
    stage.play(0.5)
    live = stage.whole()
    assert not live[:, : applied.sample].any()
    assert np.abs(live[:, applied.sample : applied.sample + 4800]).max() > 1e-3
    stage.answer(Stop(voice="m"))
    stage.play(0.3)
    again = stage.answer(Continue(voice="m", seconds=0.5))
    assert isinstance(again, Applied)
    stage.play(0.5)
    live = stage.whole()
    assert np.array_equal(stage.replayed(), live)


def test_controls_change_with_what_is_heard(begin: Callable[..., Stage]) -> None:
    stage = begin()
    stage.play(0.5)
    stage.session.post(Set(("m", "freeze"), 1))
    stage.play(0.3)
    stage.events.clear()
    stage.answer(Continue(voice="m", seconds=0.4, text="slow piano", temperature=0.5, top_k=7, guidance=2.0), BAR)
    controls = stage.session.controls()["m"]
    assert (controls.text, controls.temperature, controls.top_k, controls.guidance) == ("slow piano", 0.5, 7, 2.0)
    assert not controls.freeze
    changed = {event.path[1]: event.value for event in stage.of(Changed)}
    assert changed == {"text": "slow piano", "temperature": 0.5, "top_k": 7, "guidance": 2.0, "freeze": False}


@pytest.mark.parametrize("kind", ["plain", "conducted"])
def test_futures_are_chosen_taken_back_and_frozen_and_the_take_replays(kind: str, begin: Callable[..., Stage]) -> None:
    stage = begin(kind)
    stage.play(1.2)
    for command, when in (
        (Branch(voice="m", futures=3), BAR),
        (Choose(voice="m", future=2), BAR),
        (Set(("m", "freeze"), 1), BAR),
        (Set(("m", "freeze"), 0), BAR),
        (Choose(voice="m", future=3), NOW),
        (Tempo(bpm=400.0), NOW),
        (Rewind(voice="m", bars=1), BAR),
        (Continue(voice="m", length_bars=1, bars=1), BAR),
    ):
        assert isinstance(stage.answer(command, when), Applied), command
        stage.play(0.2)
    stage.play(1.5)
    assert not stage.sound[-1].any(), "it was to end after a bar"
    live = stage.whole()
    assert np.array_equal(stage.replayed(), live)


def test_a_voice_that_dies_on_the_way_is_asked_again(begin: Callable[..., Stage]) -> None:
    stage = begin()
    stage.play(1.0)
    stage.session.post(Tempo(bpm=60.0))
    number = stage.session.post(Continue(voice="m", seconds=0.5, seed=4), BAR)
    stage.play(0.1)
    player = stage.session.players()["m"]
    assert isinstance(player, LocalWorker)
    player.kill()
    stage.play(6.0)
    assert [event.restarted for event in stage.of(VoiceUp) if event.voice == "m"] == [False, True]
    (applied,) = [event for event in stage.of(Applied) if event.number == number]
    assert isinstance(applied.command, Continue)
    live = stage.whole()
    assert np.array_equal(stage.replayed(), live)


def test_what_is_late_for_its_line_lands_on_the_next_one_like_it(begin: Callable[..., Stage]) -> None:
    stage = begin()
    stage.play(1.0)
    number = stage.session.post(Continue(voice="m", seconds=0.5), BAR)
    player = stage.session.players()["m"]
    assert isinstance(player, LocalWorker)
    player.stalled = True
    stage.play(1.2)
    asked = stage.session.position
    assert not [event for event in stage.of(Applied | Failed) if event.number == number]
    player.stalled = False
    stage.play(1.5)
    (applied,) = [event for event in stage.of(Applied) if event.number == number]
    assert applied.sample > asked
    assert applied.sample % BAR_SAMPLES in (0, 1, BAR_SAMPLES - 1)
    assert stage.of(Cover)
    live = stage.whole()
    assert np.array_equal(stage.replayed(), live)


def test_what_is_asked_anew_or_stopped_is_given_up(begin: Callable[..., Stage]) -> None:
    stage = begin()
    stage.session.post(Tempo(bpm=20.0))
    stage.play(0.5)
    first = stage.session.post(Continue(voice="m"), BAR)
    second = stage.session.post(Continue(voice="m"), BAR)
    stage.play(0.1)
    stage.session.post(Stop(voice="m"))
    stage.play(0.3)
    failed = {event.number: event.reason for event in stage.of(Failed)}
    assert failed == {first: "another came after it", second: "stopped before it began"}


def test_a_take_without_its_sound_is_refused(begin: Callable[..., Stage], tmp_path: Path) -> None:
    stage = begin()
    stage.play(0.6)
    assert isinstance(stage.answer(Continue(voice="m", seconds=0.5)), Applied)
    (heard,) = tmp_path.glob("heard-*.wav")
    heard.write_bytes(heard.read_bytes()[:-8])
    with pytest.raises(TakeError, match="has changed"):
        stage.replayed()
