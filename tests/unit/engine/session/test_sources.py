"""What a voice is to continue is found beside the caller: it neither opens nor writes a file, and never waits."""

import gc
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.input import InputHistory
from engine.audio.mixer import Mixer
from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import Applied, Continue, Event, Failed, Prepared, VoiceUp
from engine.music.files import sha256_of
from engine.music.soundwriter import WavFile
from engine.session.session import Session, VoiceSpec
from engine.session.sources import Sources
from engine.session.take import read_take
from engine.worker.orders import Order
from tests.unit.engine.faulty import open_faulty

RATE = 48000
MOST_CPU_S = 0.005

opened_by: list[tuple[str, int]] = []
"""Name and thread of every file that this process opens: an audit hook stays as long as the process."""


def _note_opened(event: str, arguments: Any) -> None:
    if event == "open" and isinstance(arguments[0], str | Path):
        opened_by.append((Path(str(arguments[0])).name, threading.get_ident()))


sys.addaudithook(_note_opened)


@pytest.fixture
def mixer() -> Mixer:
    """One that has played two seconds of a ramp."""
    mixer = Mixer(RATE, 8.0)
    mixer.kept.put(0, np.linspace(0.1, 0.9, 2 * RATE, dtype=np.float32)[None].repeat(2, axis=0))
    mixer.position = 2 * RATE
    return mixer


def sources_of(folder: Path | None, mixer: Mixer, hearing: InputHistory | None = None, **more: Any) -> Sources:
    return Sources(folder, Conductor(RATE), mixer, hearing or InputHistory(RATE), 8.0, **more)


def wait(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    end_s = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.002)


def test_the_mix_is_written_by_another_thread_and_named_with_its_hash(tmp_path: Path, mixer: Mixer) -> None:
    opened_by.clear()
    found = sources_of(tmp_path, mixer).find(Continue(seconds=0.5))
    wait(lambda: found.done)
    command = found.result()
    assert (command.source, command.seconds, command.heard_until) == (f"heard-{2 * RATE}.wav", 0.5, 2 * RATE)
    assert command.file_hash == hashlib.sha256((tmp_path / command.source).read_bytes()).hexdigest()
    sound, rate = soundfile.read(tmp_path / command.source, dtype="float32", always_2d=True)
    assert rate == RATE
    assert np.array_equal(sound.T, mixer.kept.get(2 * RATE - RATE // 2, RATE // 2))
    by = {thread for name, thread in opened_by if name == command.source} - {threading.get_ident()}
    assert len(by) == 1


def test_a_slow_disk_holds_up_nobody(tmp_path: Path, mixer: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    may_write, plain = threading.Event(), WavFile.write

    def slow(self: WavFile, audio: Any) -> None:
        assert may_write.wait(60.0)
        plain(self, audio)

    monkeypatch.setattr(WavFile, "write", slow)
    found = sources_of(tmp_path, mixer).find(Continue())
    assert not found.done
    may_write.set()
    wait(lambda: found.done)
    assert found.result().file_hash


def test_without_time_it_is_written_when_its_result_is_wanted(tmp_path: Path, mixer: Mixer) -> None:
    found = sources_of(tmp_path, mixer, threaded=False).find(Continue())
    assert found.done
    assert not list(tmp_path.iterdir())
    assert (tmp_path / found.result().source).exists()


def test_a_file_is_named_and_not_touched(tmp_path: Path, mixer: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("open", "stat", "is_file", "exists"):
        monkeypatch.setattr(Path, method, lambda *_, **__: 1 // 0)
    found = sources_of(tmp_path, mixer).find(Continue(source="mine.wav", melody="hum.wav"))
    assert found.done
    assert found.result() == Continue(source="mine.wav", melody="hum.wav")


def test_what_came_in_is_continued_before_the_mix(tmp_path: Path, mixer: Mixer) -> None:
    hearing = InputHistory(RATE)
    hearing.write(np.full((2, RATE), 0.5, np.float32), 1000)
    found = sources_of(tmp_path, mixer, hearing, threaded=False).find(Continue(seconds=0.25)).result()
    assert (found.source, found.heard_until) == (f"heard-{RATE + 1000}.wav", RATE + 1000)
    assert np.all(soundfile.read(tmp_path / found.source)[0] == 0.5)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Continue(source="../mine.wav"), "name of a sound file"),
        (Continue(melody="a/b.wav"), "name of a sound file"),
        (Continue(source="input"), "nothing has come from the input"),
        (Continue(seconds=0.05), "nothing has come from the output"),
    ],
)
def test_what_cannot_be_is_refused_at_once(command: Continue, says: str, tmp_path: Path, mixer: Mixer) -> None:
    with pytest.raises(ControlError, match=says):
        sources_of(tmp_path, mixer).find(command)


def test_a_session_without_a_folder_continues_nothing(mixer: Mixer) -> None:
    with pytest.raises(ControlError, match="start it with one"):
        sources_of(None, mixer).find(Continue())


def test_silence_and_a_missing_melody_leave_no_file(tmp_path: Path, mixer: Mixer) -> None:
    with pytest.raises(ControlError, match="there is none of this name"):
        sources_of(tmp_path, mixer, threaded=False).find(Continue(melody="hum.wav")).result()
    mixer.kept.put(0, np.zeros((2, 2 * RATE), np.float32))
    with pytest.raises(ControlError, match="nothing has come"):
        sources_of(tmp_path, mixer, threaded=False).find(Continue()).result()
    assert not list(tmp_path.iterdir())


def test_what_was_overwritten_meanwhile_is_refused(tmp_path: Path, mixer: Mixer) -> None:
    found = sources_of(tmp_path, mixer, threaded=False).find(Continue(seconds=1.0))
    mixer.position += 7 * RATE
    assert found.result().file_hash  # the oldest sample is still there, by a hair
    found = sources_of(tmp_path, mixer, threaded=False).find(Continue(seconds=1.0))
    mixer.position += 7 * RATE + 1
    with pytest.raises(ControlError, match="overwritten"):
        found.result()


def test_two_that_ask_at_once_get_a_file_each(tmp_path: Path, mixer: Mixer) -> None:
    found = [sources_of(tmp_path, mixer).find(Continue(seconds=seconds)) for seconds in (0.25, 0.5)]
    wait(lambda: all(each.done for each in found))
    names = [each.result().source for each in found]
    assert len(set(names)) == 2
    assert [len(soundfile.read(tmp_path / name)[0]) for name in names] == [RATE // 4, RATE // 2]


class Live:
    """A session whose voice is a process, read as by a sound card; each call of a door is timed in its own thread."""

    def __init__(self, folder: Path) -> None:
        voice = VoiceSpec(name="v", bundle="continuing")
        self.session = Session(RATE, voices=(voice,), folder=folder, opener=open_faulty, fill_ms=100.0)
        self.events: list[Event] = []
        self.cpu_s: list[float] = []
        self.ended = threading.Event()
        self.pump = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Live":
        self.session.start()
        wait(lambda: bool(self.of(VoiceUp)))
        self.pump.start()
        wait(lambda: self.poll() is None and self.session.position > RATE // 2)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.pump.join()
        self.session.close()

    def _read(self) -> None:
        while not self.ended.wait(0.005):
            self.session.read(240)

    def poll(self) -> None:
        begun_s = time.thread_time()
        self.events += self.session.poll()
        self.cpu_s.append(time.thread_time() - begun_s)

    def of(self, kind: Any) -> list[Any]:
        self.poll()
        return [event for event in self.events if isinstance(event, kind)]

    def continued(self) -> Continue:
        """The command as the take has it."""
        assert self.session.take is not None
        orders = [order for player in read_take(self.session.take).players.values() for _, order in player.script]
        (command,) = [o.command for o in orders if isinstance(o, Order) and isinstance(o.command, Continue)]
        return command

    def ask(self, command: Continue) -> int:
        begun_s = time.thread_time()
        number = self.session.post(command)
        self.cpu_s.append(time.thread_time() - begun_s)
        return number


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Live(tmp_path) as made:
        gc.collect()
        gc.disable()  # a collection of all that the tests hold takes longer than what is measured
        made.cpu_s.clear()
        try:
            yield made
        finally:
            gc.enable()


def test_a_large_file_is_opened_in_the_voices_process_and_the_take_has_its_hash(live: Live, tmp_path: Path) -> None:
    """64 MB: to hash them alone takes a core twenty milliseconds or more."""
    path, frames = tmp_path / "large.wav", 64_000_000 // 8
    file = WavFile(path, RATE)
    file.write(np.full((2, 10), 0.5, np.float32))
    file.samples = frames
    file.close()
    with path.open("r+b") as sparse:  # the rest takes no room
        sparse.truncate(94 + 8 * frames)
    opened_by.clear()
    number = live.ask(Continue(voice="v", source="large.wav"))
    wait(lambda: any(event.number == number for event in live.of(Applied | Failed)))
    assert "large.wav" not in [name for name, _ in opened_by]
    assert max(live.cpu_s) < MOST_CPU_S
    (prepared,) = live.of(Prepared)
    assert prepared.prompt_s == frames / RATE
    assert prepared.seconds > 0.05, "opening the file is part of what it takes"
    assert live.continued().file_hash == sha256_of(path)


def test_the_mix_is_written_beside_post_and_poll(live: Live, tmp_path: Path) -> None:
    opened_by.clear()
    number = live.ask(Continue(voice="v", seconds=60.0))
    wait(lambda: any(event.number == number for event in live.of(Applied | Failed)))
    (path,) = tmp_path.glob("heard-*.wav")
    by = {thread for name, thread in opened_by if name == path.name}
    keeper = next(thread.ident for thread in threading.enumerate() if thread.name == "session")
    assert by
    assert not by & {threading.get_ident(), keeper}
    assert max(live.cpu_s) < MOST_CPU_S
    command = live.continued()
    assert (command.source, command.file_hash) == (path.name, sha256_of(path))


def test_a_file_that_is_not_there_is_answered(live: Live) -> None:
    number = live.ask(Continue(voice="v", source="nowhere.wav"))
    wait(lambda: any(event.number == number for event in live.of(Applied | Failed)))
    (failed,) = live.of(Failed)
    assert "there is none of this name" in failed.reason
