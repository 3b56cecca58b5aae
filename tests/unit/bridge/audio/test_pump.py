"""The pump, a turn at a time: a clock that is moved by hand and a ring that is emptied by hand."""

import numpy as np
import numpy.typing as npt
import pytest

from bridge.audio.pump import Pump
from engine.music.audio import Audio

RATE, BLOCK, LEAD = 48_000, 256, 1_440


class Ramp:
    """Sound whose every sample is its own position; right is the negative of left."""

    def __init__(self) -> None:
        self.position = 0
        self.fails: str = ""

    def __call__(self, frames: int) -> Audio:
        first, self.position = self.position, self.position + frames
        if self.fails:
            raise RuntimeError(self.fails)
        left = np.arange(first, self.position, dtype=np.float32)
        return np.stack([left, -left])


class Bucket:
    """A sink that keeps what is written until `drink`."""

    def __init__(self, width: int = 2) -> None:
        self.width = width
        self.underruns = 0
        self.there = True
        self.closed = False
        self.written: list[npt.NDArray[np.float32]] = []
        self._drunk = 0

    def begin(self, frame: int) -> None:
        self.first = frame

    def alive(self) -> bool:
        return self.there

    def fill(self) -> int:
        return sum(len(part) for part in self.written) - self._drunk

    def write(self, frames: npt.NDArray[np.float32]) -> None:
        assert frames.flags.c_contiguous
        assert frames.dtype == np.float32
        self.written.append(frames)

    def drink(self, frames: int) -> None:
        self._drunk += min(frames, self.fill())

    def close(self) -> None:
        self.closed = True

    @property
    def sound(self) -> npt.NDArray[np.float32]:
        return np.concatenate(self.written)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pump(clock: Clock) -> Pump:
    return Pump(sample_rate=RATE, block=BLOCK, lead=LEAD, clock=clock)


def play(pump: Pump, clock: Clock, sink: Bucket, seconds: float) -> None:
    """Turns for so long, with a device that takes 128 frames at a time."""
    end = clock.now + seconds
    while clock.now < end:
        pump.turn()
        sink.drink(128)
        clock.now += 128 / RATE


def test_sound_goes_through_whole_and_in_order(pump: Pump, clock: Clock) -> None:
    source, sink = Ramp(), Bucket()
    pump.begin(source)
    pump.attach(sink)
    play(pump, clock, sink, 0.5)
    sound = sink.sound
    np.testing.assert_array_equal(sound[:, 0], np.arange(len(sound)))
    np.testing.assert_array_equal(sound[:, 1], -sound[:, 0])
    assert pump.stats().frames == len(sound)


def test_ring_is_kept_within_a_block_of_the_lead(pump: Pump, clock: Clock) -> None:
    source, sink = Ramp(), Bucket()
    pump.begin(source)
    pump.attach(sink)
    for _ in range(200):
        pump.turn()
        assert LEAD - BLOCK < sink.fill() <= LEAD
        sink.drink(100)
        clock.now += 100 / RATE


def test_mono_is_the_mean_of_both_channels(pump: Pump, clock: Clock) -> None:
    sink = Bucket(width=1)
    pump.begin(lambda frames: np.stack([np.full(frames, 0.5, np.float32), np.full(frames, 0.25, np.float32)]))
    pump.attach(sink)
    pump.turn()
    assert sink.sound.shape[1] == 1
    np.testing.assert_allclose(sink.sound, 0.375)


def test_underrun_is_counted_and_told(pump: Pump, clock: Clock) -> None:
    sink = Bucket()
    pump.begin(Ramp())
    pump.attach(sink)
    play(pump, clock, sink, 0.1)
    assert pump.notices.poll() == []
    sink.underruns += 1
    play(pump, clock, sink, 0.1)
    assert pump.stats().underruns == 1
    (line,) = pump.notices.poll()
    assert "underrun" in line


def test_time_goes_on_when_the_device_has_gone(pump: Pump, clock: Clock) -> None:
    source, sink = Ramp(), Bucket()
    pump.begin(source)
    pump.attach(sink)
    play(pump, clock, sink, 0.2)
    sink.there = False
    pump.turn()
    assert pump.lost.is_set()
    position = source.position
    for _ in range(100):
        wait_s = pump.turn()
        assert 0.0 <= wait_s <= BLOCK / RATE + 1e-9
        clock.now += 0.01
    assert abs(source.position - position - RATE) <= 2 * BLOCK
    assert pump.stats().losses == 1


def test_device_that_takes_nothing_has_gone(pump: Pump, clock: Clock) -> None:
    sink = Bucket()
    pump.begin(Ramp())
    pump.attach(sink)
    pump.turn()
    for _ in range(9):
        clock.now += 0.1
        pump.turn()
        assert not pump.lost.is_set()
    clock.now += 0.2
    pump.turn()
    assert pump.lost.is_set()


def test_device_that_is_back_goes_on_where_time_is(pump: Pump, clock: Clock) -> None:
    source, sink, later = Ramp(), Bucket(), Bucket()
    pump.begin(source)
    pump.attach(sink)
    play(pump, clock, sink, 0.2)
    sink.there, sink.underruns = False, 3
    pump.turn()
    for _ in range(50):
        pump.turn()
        clock.now += 0.01
    position = source.position
    pump.attach(later)
    play(pump, clock, later, 0.2)
    assert not pump.lost.is_set()
    assert later.sound[0, 0] == position
    assert (sink.first, later.first) == (0, position)
    later.underruns = 2
    pump.turn()
    assert pump.stats().underruns == 5
    assert pump.stats().losses == 1


def test_lost_time_is_skipped_after_sleep(pump: Pump, clock: Clock) -> None:
    source = Ramp()
    pump.begin(source)
    pump.turn()
    clock.now += 3600.0
    pump.turn()
    assert source.position <= 4 * BLOCK
    assert any("suspended" in line for line in pump.notices.poll())


def test_source_that_fails_gives_silence_and_one_line(pump: Pump, clock: Clock) -> None:
    source, sink = Ramp(), Bucket()
    pump.begin(source)
    pump.attach(sink)
    source.fails = "no voice"
    play(pump, clock, sink, 0.1)
    assert not sink.sound.any()
    stats = pump.stats()
    assert stats.faults == stats.frames // BLOCK
    assert pump.notices.poll() == ["audio source failed, silence instead: RuntimeError: no voice"]
    source.fails = ""
    play(pump, clock, sink, 0.1)
    assert sink.sound.any()


def test_source_of_wrong_shape_is_a_fault_and_not_noise(pump: Pump, clock: Clock) -> None:
    sink = Bucket()
    pump.begin(lambda frames: np.ones((frames, 2), np.float32))
    pump.attach(sink)
    pump.turn()
    assert not sink.sound.any()
    assert pump.stats().faults > 0
    assert "ShapeError" in pump.notices.poll()[0]


def test_sound_ends_in_a_fade(clock: Clock) -> None:
    """In its own thread, with a device that never takes anything: the wait for it ends too."""
    pump = Pump(sample_rate=RATE, block=BLOCK, lead=LEAD)
    sink = Bucket()
    pump.attach(sink)
    pump.start(lambda frames: np.ones((2, frames), np.float32))
    while not sink.fill():
        pass
    pump.stop()
    assert sink.closed
    last = sink.sound[-BLOCK:, 0]
    assert last[0] == 1.0
    assert last[-1] == 0.0
    assert np.all(np.diff(last) < 0.0)


def test_other_threads_give_way_only_while_it_runs() -> None:
    import sys

    before = sys.getswitchinterval()
    pump = Pump(sample_rate=RATE, block=BLOCK, lead=LEAD)
    pump.start(Ramp())
    during = sys.getswitchinterval()
    pump.stop()
    assert during <= 0.0005
    assert sys.getswitchinterval() == pytest.approx(before)
