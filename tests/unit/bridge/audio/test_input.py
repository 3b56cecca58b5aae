"""What comes in: found by name, taken out of a ring, put where it belongs; a sound file as if it were live."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.clocks import Earliest, Sounding
from bridge.audio.duplex import Duplex
from bridge.audio.input_file import FileInput
from bridge.audio.input_pump import InputPump
from bridge.audio.monitor import Monitor
from bridge.audio.opening import open_input
from bridge.audio.port import NoDeviceError, PortError
from bridge.audio.rings import CAPACITY, CaptureRing
from bridge.audio.scan import Device, choose, pick
from engine.audio.input import InputControls, InputHistory
from engine.music.audio import Audio

RATE = 48_000


# by name


def device(name: str, channels: int = 2, *, chosen: bool = False) -> Device:
    return Device(
        index=0, hostapi="ALSA", name=name, channels=channels, sample_rate=RATE, latency_s=0.01, chosen=chosen
    )


def test_an_unknown_input_lists_what_there_is_and_how_to_do_without() -> None:
    with pytest.raises(PortError, match=r"no audio input is called 'mic'.*ALSA: Scarlett.*none"):
        choose([device("Scarlett")], "mic", "input")
    with pytest.raises(NoDeviceError, match=r"no audio input.*file:PATH"):
        choose([], None, "input")


def test_channels_are_a_pair_or_one_for_both_sides() -> None:
    assert pick(device("a", 8), (3, 4)) == (3, 4)
    assert pick(device("a", 8), (2, 2)) == (2,)
    assert pick(device("a", 1), (1, 2)) == (1,)
    with pytest.raises(PortError, match=r"channels 1\.\.2, got \(3, 4\)"):
        pick(device("a", 2), (3, 4))


# clocks


@settings(max_examples=50, deadline=None)
@given(late=st.lists(st.floats(0.0, 0.1), min_size=40, max_size=200), begun=st.floats(-10.0, 1e6))
def test_of_late_sights_the_earliest_tells_the_time(late: list[float], begun: float) -> None:
    sights = Earliest(1.0)
    late[::20] = [0.0] * len(late[::20])  # not every one is late
    for number, lateness in enumerate(late):
        now = begun + 0.02 * number
        least = sights.add(now, begun + lateness)
        assert least == pytest.approx(begun, abs=1e-6)


def test_an_earlier_clock_is_believed_at_once_and_a_later_one_after_the_window() -> None:
    sights = Earliest(1.0)
    assert sights.least is None
    assert sights.add(0.0, 5.0) == 5.0
    assert sights.add(0.5, 4.0) == 4.0
    assert sights.add(1.0, 6.0) == 4.0
    assert sights.add(1.6, 6.0) == 6.0
    sights.clear()
    assert sights.least is None


def test_the_sample_that_sounds_is_behind_the_one_that_is_read_by_the_latency() -> None:
    moment = (0, 0.0)
    sounding = Sounding(lambda: moment, RATE, lambda: 0.05)
    assert sounding.latest_sample_at(10.0) is None
    assert sounding.time_of(0.0) is None
    for number in range(100):  # read in bursts of three, so two of them late
        moment = (256 * number, 100.0 + (256 * number + 256 * (2 - number % 3)) / RATE)
        found = sounding.latest_sample_at(moment[1])
    assert found is not None
    assert found == pytest.approx((moment[1] - 100.0 - 0.05) * RATE, abs=256.5 * 2)
    assert sounding.sample_at(200.0) == pytest.approx((100.0 - 0.05) * RATE, abs=1.0)
    assert sounding.time_of(99.95 * RATE) == pytest.approx(200.0, abs=1.0 / RATE)


# the ears


class Tape:
    """A capture whose frames are `sound`, given out as they are let."""

    def __init__(self, sound: np.ndarray, rate: int = RATE, *, exact: bool = True) -> None:
        self.sound, self.rate, self.exact, self.width = sound, rate, exact, sound.shape[1]
        self.overruns = self.device_flags = 0
        self.there = self._given = 0
        self.place: Callable[[int], float | None] = float

    def read(self, most: int) -> np.ndarray:
        part = self.sound[self._given : min(self.there, self._given + most)]
        self._given += len(part)
        return part

    def position(self, frame: int) -> float | None:
        return self.place(frame)


class Page:
    """A listener that keeps what it is told, as one long array."""

    def __init__(self, samples: int) -> None:
        self.sound = np.zeros((2, samples), np.float32)
        self.calls: list[tuple[int, int]] = []

    def __call__(self, audio: Audio, sample: int) -> None:
        self.sound[:, sample : sample + audio.shape[1]] = audio
        self.calls.append((sample, audio.shape[1]))


def listen(ears: InputPump, tape: Tape, sizes: list[int]) -> None:
    number = 0
    while tape.there < len(tape.sound):
        tape.there = min(len(tape.sound), tape.there + sizes[number % len(sizes)])
        number += 1
        ears.turn()


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 6_000), min_size=1, max_size=10), place=st.integers(0, 1_000))
def test_frames_in_any_pieces_come_whole_to_their_place(sizes: list[int], place: int) -> None:
    if sum(sizes) / len(sizes) < 100:
        sizes = [*sizes, 4_000]
    tape = Tape(np.random.default_rng(0).uniform(-1, 1, (20_000, 2)).astype(np.float32))
    tape.place = lambda frame: float(place + frame)
    ears, page = InputPump(RATE), Page(21_000)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, sizes)
    np.testing.assert_array_equal(page.sound[:, place : place + 20_000], tape.sound.T)
    assert (ears.stats.samples, ears.stats.jumps) == (20_000, 0)


def test_what_comes_before_anything_sounds_is_left_out() -> None:
    tape, ears, page = Tape(np.ones((3_000, 2), np.float32)), InputPump(RATE), Page(4_000)
    tape.place = lambda frame: None if frame < 1_000 else float(frame)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, [500])
    assert not page.sound[:, :1_000].any()
    assert page.sound[:, 1_000:3_000].all()
    assert ears.stats.jumps == 0


def test_a_place_that_moves_is_followed_at_once_where_places_are_exact() -> None:
    tape, ears, page = Tape(np.ones((2_000, 2), np.float32)), InputPump(RATE), Page(4_000)
    tape.place = lambda frame: float(frame if frame < 1_000 else frame + 7)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, [500])
    assert page.calls == [(0, 500), (500, 500), (1_007, 500), (1_507, 500)]
    assert ears.stats.jumps == 1


@pytest.mark.parametrize("rate", [44_100, 96_000, 22_050, 48_000])
def test_another_rate_is_brought_to_the_sessions_without_moving_anything(rate: int) -> None:
    frames = 2 * rate
    phase = 2.0 * np.pi * 440.0 * np.arange(frames) / rate
    tape = Tape(np.sin(phase).astype(np.float32)[:, None], rate)
    tape.place = lambda frame: 480.0 + frame * RATE / rate
    ears, page = InputPump(RATE), Page(3 * RATE)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, [211, 480, 37])
    there = np.arange(4_800, RATE + 4_800)
    np.testing.assert_allclose(page.sound[0, there], np.sin(2.0 * np.pi * 440.0 * (there - 480) / RATE), atol=2e-3)
    np.testing.assert_array_equal(page.sound[0], page.sound[1])
    assert ears.stats.jumps == 0


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_clock_that_drifts_is_followed_without_a_break(drift: float) -> None:
    """Twenty seconds, 200 ppm off, with estimates that waver by half a millisecond: one sine, in its place."""
    frames, wavering = 20 * RATE, np.random.default_rng(2)
    tape = Tape(np.sin(2.0 * np.pi * 440.0 * np.arange(frames) / RATE).astype(np.float32)[:, None], exact=False)
    tape.place = lambda frame: frame * (1.0 + drift) + wavering.uniform(0.0, 24.0)
    ears, page = InputPump(RATE), Page(frames + RATE)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, [240])
    first, length = page.calls[-1]
    assert first + length == pytest.approx(frames * (1.0 + drift), abs=0.0012 * RATE)
    assert ears.stats.jumps == 0
    assert all(a + b == c for (a, b), (c, _) in zip(page.calls, page.calls[1:], strict=False))
    heard = page.sound[0, 1_000 : first - 1_000]
    assert np.abs(np.diff(heard)).max() < 1.2 * 2.0 * np.pi * 440.0 / RATE


def test_a_leap_of_an_estimate_is_followed_by_a_leap() -> None:
    tape, ears, page = Tape(np.ones((RATE, 2), np.float32), exact=False), InputPump(RATE), Page(2 * RATE)
    tape.place = lambda frame: float(frame if frame < RATE // 2 else frame + RATE // 4)
    ears.begin(page)
    ears.attach(tape)
    listen(ears, tape, [240])
    assert ears.stats.jumps == 1
    assert not page.sound[:, RATE // 2 + 300 : RATE // 2 + RATE // 4].any()
    assert page.sound[:, RATE // 2 + RATE // 4 : RATE + RATE // 4].all()


def test_a_listener_that_fails_is_told_once_and_the_ears_go_on() -> None:
    tape, ears = Tape(np.ones((2_000, 2), np.float32)), InputPump(RATE)

    def refuse(audio: Audio, sample: int) -> None:
        raise RuntimeError("told to")

    ears.begin(refuse)
    ears.attach(tape)
    listen(ears, tape, [100])
    assert ears.stats.faults == 20
    assert ears.poll() == ["the input could not be passed on: RuntimeError: told to"]


def test_a_device_that_goes_and_returns_is_counted_with_what_it_lost() -> None:
    first, second, ears, page = (
        Tape(np.ones((500, 2), np.float32)), Tape(np.ones((500, 1), np.float32)), InputPump(RATE), Page(9_000),
    )  # fmt: skip
    second.place = lambda frame: 5_000.0 + frame
    ears.begin(page)
    ears.attach(first)
    first.overruns, first.device_flags = 2, 3
    listen(ears, first, [250])
    ears.detach()
    ears.turn()
    ears.attach(second)
    second.overruns = 1
    listen(ears, second, [250])
    stats = ears.stats
    assert (stats.losses, stats.overruns, stats.device_flags, stats.jumps) == (1, 3, 3, 0)
    assert page.sound[:, 5_000:5_500].all()
    assert not page.sound[:, 500:5_000].any()


# a stream that plays and records


class Action:
    def __init__(self, queue: Any, channels: tuple[int, ...]) -> None:
        self.queue, self.channels = queue, channels
        self.done_frames, self.actual_time = 0, -1.0


class Stream:
    """An rtmixer stream whose callbacks are called by hand; its input is the number of the frame."""

    samplerate, latency = RATE, (0.004, 0.006)

    def __init__(self) -> None:
        self.actions: dict[Action, None] = {}
        self.time = 50.0
        self.frame = 0

    def record_ringbuffer(self, queue: Any, channels: tuple[int, ...]) -> Action:
        action = Action(queue, channels)
        self.actions[action] = None
        return action

    def call_back(self, frames: int = 128, *plays: Action) -> None:
        """One callback: those that play move on, those that record get the frames' numbers."""
        numbers = np.arange(self.frame, self.frame + frames, dtype=np.float32)
        for action in plays:
            if action.done_frames == 0:
                action.actual_time = self.time + self.latency[1]
            action.done_frames += frames
        for action in list(self.actions):
            if action.done_frames == 0:
                action.actual_time = self.time - self.latency[0]
            block = np.repeat(numbers[:, None], len(action.channels), axis=1)
            written = action.queue.write(np.ascontiguousarray(block).tobytes())
            action.done_frames += written
            if written < frames:
                del self.actions[action]
        self.frame += frames
        self.time += frames / RATE


def test_a_frame_recorded_is_put_to_the_frame_that_sounded() -> None:
    """Callback n plays frames 128n.. after 6 ms, and brings what was heard 4 ms before: 10 ms, 480 frames apart."""
    stream, ring = Stream(), CaptureRing()
    duplex, play = Duplex(stream, (1, 2), ring), Action(None, ())
    stream.call_back()
    duplex.before_playing()
    duplex.playing(play, 1_000)
    begun = stream.frame
    duplex.turn()
    assert ring.placed is None
    for _ in range(10):
        stream.call_back(128, play)
        duplex.turn()
    assert ring.placed == 1_000 - 480
    got = ring.read(10_000)
    np.testing.assert_array_equal(got[:, 0], np.arange(begun, begun + 1_280))
    assert ring.overruns == 0


def test_playing_that_begins_again_moves_the_place_and_not_the_recording() -> None:
    stream, ring = Stream(), CaptureRing()
    duplex, play, again = Duplex(stream, (1,), ring), Action(None, ()), Action(None, ())
    ring.width = 1
    duplex.before_playing()
    duplex.playing(play, 0)
    for _ in range(4):
        stream.call_back(128, play)
        duplex.turn()
    for _ in range(6):  # the ring of the output has run empty
        stream.call_back()
        duplex.turn()
    assert len(ring.read(10_000)) == 1_280  # what came meanwhile follows what came before
    assert ring.placed == -480
    duplex.before_playing()
    duplex.playing(again, 512)
    stream.call_back(128, again)
    duplex.turn()
    assert ring.placed == -480 - 6 * 128
    assert len(ring.read(10_000)) == 128


def test_a_ring_that_nobody_empties_loses_sound_is_counted_and_goes_on_in_place() -> None:
    stream, ring = Stream(), CaptureRing()
    ring.width = 1
    duplex, play = Duplex(stream, (1,), ring), Action(None, ())
    duplex.before_playing()
    duplex.playing(play, 0)
    for _ in range(CAPACITY // 1_024 + 3):
        stream.call_back(1_024, play)
        duplex.turn()
    assert ring.overruns == 1
    while len(got := ring.read(4_096)):
        last = got[-1, 0]
    assert last == CAPACITY - 1
    duplex.turn()
    begun = stream.frame
    for _ in range(3):
        stream.call_back(1_024, play)
        duplex.turn()
    taken, got = ring.taken, ring.read(10_000)
    assert got[0, 0] == begun
    assert ring.placed is not None
    assert ring.placed + taken == begun - 480
    assert taken == CAPACITY


# a sound file


def sound_file(path: Path, sound: np.ndarray, rate: int = RATE) -> str:
    soundfile.write(str(path), sound.T, rate, subtype="FLOAT")
    return str(path)


class Time:
    """The session's sample that sounds, moved by hand."""

    sample: float | None = None

    def __call__(self, at_s: float) -> float | None:
        return self.sample


def test_a_file_is_played_in_at_the_sessions_samples_again_and_again(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, (2, 3_333)).astype(np.float32)
    time, page = Time(), Page(20_000)
    opened = FileInput(sound_file(tmp_path / "a.wav", sound), sample_rate=RATE, sample_at=time)
    opened.begin(page)
    opened.turn()
    assert not page.calls
    for sample in (10, 11, 2_000, 1_990, 9_000, 15_000.7):
        time.sample = sample
        opened.turn()
    assert opened.stats.samples == 15_000
    np.testing.assert_array_equal(page.sound[:, :15_000], np.tile(sound, 5)[:, :15_000])
    opened.stop()
    opened.stop()


@pytest.mark.parametrize(("rate", "channels"), [(44_100, (1, 2)), (96_000, (2, 1)), (48_000, (2, 2))])
def test_a_file_of_any_rate_is_brought_to_the_sessions(rate: int, channels: tuple[int, int], tmp_path: Path) -> None:
    at = np.arange(rate) / rate  # a whole second of whole periods, so that it goes round without a seam
    sound = np.stack([0.5 * np.sin(2.0 * np.pi * 300.0 * at), 0.25 * np.sin(2.0 * np.pi * 500.0 * at)])
    time, page = Time(), Page(3 * RATE)
    path = sound_file(tmp_path / "a.wav", sound.astype(np.float32), rate)
    opened = FileInput(path, sample_rate=RATE, sample_at=time, channels=channels)
    opened.begin(page)
    for sample in range(0, 3 * RATE, 4_800):
        time.sample = sample
        opened.turn()
    there = np.arange(2_000, 2 * RATE) / RATE
    both = [0.5 * np.sin(2.0 * np.pi * 300.0 * there), 0.25 * np.sin(2.0 * np.pi * 500.0 * there)]
    for row, channel in enumerate(channels):
        np.testing.assert_allclose(page.sound[row, 2_000 : 2 * RATE], both[channel - 1], atol=2e-3)
    opened.stop()


def test_a_mono_file_is_heard_on_both_sides(tmp_path: Path) -> None:
    time, page = Time(), Page(1_000)
    path = sound_file(tmp_path / "a.wav", np.full((1, 100), 0.5, np.float32))
    opened = FileInput(path, sample_rate=RATE, sample_at=time)
    opened.begin(page)
    time.sample = 1_000.0
    opened.turn()
    assert np.all(page.sound == 0.5)
    opened.stop()


def test_time_that_the_machine_slept_is_skipped_and_a_file_that_fails_is_silence(tmp_path: Path) -> None:
    time, page = Time(), Page(4 * RATE)
    path = sound_file(tmp_path / "a.wav", np.full((2, 100), 0.5, np.float32))
    opened = FileInput(path, sample_rate=RATE, sample_at=time)
    opened.begin(page)
    time.sample = 3.0 * RATE
    opened.turn()
    assert opened.stats.jumps == 1
    assert not page.calls
    opened._file.close()
    time.sample = 3.5 * RATE
    opened.turn()
    assert opened.stats.faults > 0
    assert len(opened.poll()) == 1
    opened.stop()


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "channels"])
def test_a_file_that_cannot_be_played_in_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    if kind == "text":
        path.write_text("no sound")
    elif kind != "missing":
        sound_file(path, np.zeros((2, 0 if kind == "empty" else 10), np.float32))
    with pytest.raises(PortError) as raised:
        open_input(
            f"file:{path}", sample_rate=RATE, sample_at=Time(), channels=(3, 4) if kind == "channels" else (1, 2)
        )
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_channels_count_from_one() -> None:
    with pytest.raises(PortError, match="from 1"):
        open_input("default", sample_rate=RATE, sample_at=Time(), channels=(0, 1))


# the monitor


class Stage:
    """A mix of silence, read block by block, with an input that comes `behind` samples late."""

    def __init__(self, monitor_db: float, behind: int = 1_000) -> None:
        self.position, self.behind = 0, behind
        self.hearing = InputHistory(RATE, 5.0, InputControls(monitor=monitor_db))
        self.monitor = Monitor(self.read, self.hearing, lambda: self.position)

    def read(self, frames: int) -> Audio:
        self.position += frames
        return np.zeros((2, frames), np.float32)

    def play(self, blocks: int) -> np.ndarray:
        parts = []
        for _ in range(blocks):
            end, until = self.hearing.end, self.position - self.behind
            if until > end:
                phase = 2.0 * np.pi * 100.0 * np.arange(end, until) / RATE
                self.hearing.write(0.5 * np.sin(phase)[None].astype(np.float32), end)
            parts.append(self.monitor(256))
        return np.concatenate(parts, axis=1)


def test_the_input_is_not_in_the_output_unless_it_is_asked_for() -> None:
    stage = Stage(-60.0)
    assert not stage.play(200).any()


def test_the_monitor_is_the_input_later_without_a_click() -> None:
    stage = Stage(0.0)
    out = stage.play(400)[0]
    assert np.abs(out[20_000:]).max() == pytest.approx(0.5, abs=1e-3)
    assert np.abs(np.diff(out)).max() < 1.1 * 0.5 * 2.0 * np.pi * 100.0 / RATE
    assert stage.monitor.late == 0


def test_the_monitor_can_be_turned_off_without_a_click() -> None:
    stage = Stage(0.0)
    stage.play(200)
    stage.hearing.turn(("monitor",), -60.0, 0)
    out = stage.play(50)[0]
    assert np.abs(np.diff(out)).max() < 2.0 * 0.5 * 2.0 * np.pi * 100.0 / RATE
    assert not out[5_000:].any()


def test_an_input_that_comes_later_than_before_is_waited_for_and_one_that_is_gone_is_silence() -> None:
    stage = Stage(0.0)
    stage.play(200)
    stage.behind = 3_000
    out = stage.play(300)[0]
    assert stage.monitor.late == 1
    assert np.abs(out[-5_000:]).max() == pytest.approx(0.5, abs=1e-3)
    stage.behind = 1 << 30
    assert not stage.play(400)[0, -5_000:].any()
