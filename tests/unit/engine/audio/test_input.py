"""What was heard lies where it was heard, whatever it came in."""

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.input import InputControls, InputHistory
from engine.controls import walk
from engine.errors import ControlError, ShapeError
from engine.messages.session import BEAT, NOW, Applied, Changed, Event, Failed, Set, Telemetry
from engine.session.session import Session

RATE = 1_000
SPAN = 5 * RATE


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (2, samples)).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    writes=st.lists(st.tuples(st.integers(-300, 1_500), st.integers(0, 2_000)), max_size=30),
    reads=st.lists(st.tuples(st.integers(0, 7_000), st.integers(-100, 2_000)), min_size=1, max_size=5),
)
def test_any_writes_are_those_into_one_long_array(writes: list[tuple[int, int]], reads: list[tuple[int, int]]) -> None:
    """Blocks of any size, with gaps and overlaps: the same as an array of which only the latest seconds are seen."""
    hearing, plain, end = InputHistory(RATE, 5.0), np.zeros((2, 1 << 17), np.float32), 0
    for number, (step, samples) in enumerate(writes):
        sound, sample = noise(samples, number), end + step
        hearing.write(sound, sample)
        begin = max(0, sample, end - SPAN)
        if begin < sample + samples:
            plain[:, begin : sample + samples] = sound[:, begin - sample :]
            end = max(end, sample + samples)
    assert hearing.end == end
    seen = np.where(np.arange(plain.shape[1]) >= end - SPAN, plain, 0.0)
    for samples, ahead in reads:
        until = end + ahead
        wanted = np.zeros((2, samples), np.float32)
        begin = max(0, until - samples)
        if begin < until:
            wanted[:, samples - (until - begin) :] = seen[:, begin:until]
        np.testing.assert_array_equal(hearing.last(samples, until), wanted)
    np.testing.assert_array_equal(hearing.last(100), hearing.last(100, end))


def test_gaps_are_zeros_and_are_counted() -> None:
    hearing = InputHistory(RATE, 5.0)
    hearing.write(np.ones((2, 100), np.float32), 700)  # whoever begins late has missed nothing
    assert (hearing.gaps, hearing.missed, hearing.received) == (0, 0, 100)
    hearing.write(np.ones((2, 50), np.float32), 900)
    assert (hearing.gaps, hearing.missed, hearing.received, hearing.end) == (1, 100, 150, 950)
    assert hearing.last(250)[0].tolist() == [1.0] * 100 + [0.0] * 100 + [1.0] * 50


def test_a_gap_longer_than_all_that_is_kept_leaves_nothing_of_before() -> None:
    hearing = InputHistory(RATE, 5.0)
    hearing.write(np.ones((2, SPAN), np.float32), 0)
    hearing.write(np.full((2, 10), 0.5, np.float32), 100 * SPAN)
    sound = hearing.last(SPAN)
    assert not sound[:, :-10].any()
    assert np.all(sound[:, -10:] == 0.5)


def test_one_channel_is_heard_in_both() -> None:
    hearing = InputHistory(RATE, 5.0)
    sound = noise(64)[:1]
    hearing.write(sound, 0)
    np.testing.assert_array_equal(hearing.last(64), np.repeat(sound, 2, axis=0))


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_what_is_no_number_is_zero_and_counted_and_the_rest_stays(data: st.DataObject) -> None:
    sound = noise(200)
    places = data.draw(st.sets(st.tuples(st.integers(0, 1), st.integers(0, 199)), min_size=1, max_size=20))
    clean = sound.copy()
    for place in places:
        sound[place] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        clean[place] = 0.0
    before = sound.copy()
    hearing = InputHistory(RATE, 5.0)
    hearing.write(sound, 0)
    np.testing.assert_array_equal(hearing.last(200), clean)
    np.testing.assert_array_equal(sound, before)  # the caller's own array stays as it was
    assert hearing.mended == len(places)
    assert np.isfinite(hearing.peak)


def test_what_is_too_loud_is_cut_off_at_full_scale_and_counted() -> None:
    hearing = InputHistory(RATE, 5.0)
    hearing.write(np.array([[0.5, 2.0, -3.0], [0.1, 0.1, 0.1]], np.float32), 0)
    assert hearing.last(3)[0].tolist() == [0.5, 1.0, -1.0]
    assert (hearing.clipped, hearing.peak, hearing.level) == (1, 1.0, 0.0)


def test_level_is_that_of_what_was_heard_since_it_was_set_back() -> None:
    hearing = InputHistory(RATE, 5.0)
    assert hearing.level == -120.0
    hearing.write(np.full((2, 10), -0.5, np.float32), 0)
    assert hearing.level == pytest.approx(-6.0, abs=0.1)
    hearing.peak = 0.0
    hearing.write(np.full((2, 10), 0.1, np.float32), 10)
    assert hearing.level == pytest.approx(-20.0, abs=0.1)


def test_gain_holds_from_its_sample_on_without_a_step() -> None:
    hearing = InputHistory(48_000, 5.0)
    assert hearing.turn(("gain",), -6.0, 4_800) == -6.0
    assert hearing.controls.gain == -6.0
    for first in range(0, 9_600, 96):
        hearing.write(np.full((2, 96), 0.5, np.float32), first)
    sound = hearing.last(9_600)[0]
    assert np.all(sound[:4_800] == 0.5)
    assert sound[-1] == pytest.approx(0.5 * 10 ** (-6 / 20), rel=1e-3)
    assert np.abs(np.diff(sound)).max() < 0.01
    hearing.turn(("mute",), 1, 9_600)
    for first in range(9_600, 19_200, 96):
        hearing.write(np.full((2, 96), 0.5, np.float32), first)
    assert hearing.last(1).tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(("path", "value"), [(("gain",), 99.0), (("colour",), 1.0), ((), 1.0), (("gain",), "loud")])
def test_what_no_control_takes_is_refused_and_changes_nothing(path: tuple[str, ...], value: float | str) -> None:
    hearing = InputHistory(RATE, 5.0)
    with pytest.raises(ControlError):
        hearing.turn(path, value, 0)
    assert hearing.controls == InputControls()


def test_by_default_the_input_is_not_in_the_output() -> None:
    monitor = next(control for control in walk(InputControls()) if control.path == ("monitor",))
    assert monitor.value == monitor.live.low


@pytest.mark.parametrize("wrong", [np.zeros(8, np.float32), np.zeros((3, 8), np.float32)])
def test_other_shapes_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ShapeError):
        InputHistory(RATE, 5.0).write(wrong, 0)
    with pytest.raises(ShapeError):
        InputHistory(RATE, 5.0).last(-1)


@pytest.mark.parametrize("seconds", [4.0, 121.0])
def test_other_lengths_are_refused(seconds: float) -> None:
    with pytest.raises(ControlError, match=r"5\.\.120"):
        InputHistory(RATE, seconds)


def test_a_reader_beside_the_writer_sees_whole_sound() -> None:
    """Every sample holds its own position, so a copy with a piece of another time in it would show."""
    hearing, torn, done, read = InputHistory(RATE, 5.0), [], threading.Event(), threading.Semaphore(0)

    def look() -> None:
        while not done.is_set():
            sound = hearing.last(SPAN)[0]
            steps = np.diff(sound[sound > 0.0])
            if len(steps) and not np.allclose(steps, 1e-6, atol=2e-7):
                torn.append(sound)
            read.release()

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for first in range(0, 60 * RATE, 50):
            positions = (1 + np.arange(first, first + 50)) * 1e-6
            hearing.write(np.repeat(positions.astype(np.float32)[None], 2, axis=0), first)
            if first % 250 == 0:  # sound comes no faster than it can be copied
                while read.acquire(blocking=False):
                    pass
                assert read.acquire(timeout=60.0)
    finally:
        done.set()
        reader.join()
    assert not torn


def test_hearing_takes_no_memory_while_it_hears() -> None:
    """A block comes 200 times a second for hours; all there is to write to is there from the beginning."""
    hearing, blocks = InputHistory(48_000, 5.0), [noise(4_096, number) for number in range(4)]
    for number in range(120):
        hearing.write(blocks[number % 4], 4_096 * number)
    tracemalloc.start()
    try:
        hearing.write(blocks[0], 4_096 * 120)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for number in range(121, 1_200):
            hearing.write(blocks[number % 4], 4_096 * number)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_048
    assert peak - before < blocks[0].nbytes // 2  # not even one block is copied on the way


def play(session: Session, samples: int) -> list[Event]:
    session.read(samples)
    return session.poll()


def test_a_session_hears_tells_the_level_and_turns_the_gain_when_asked() -> None:
    with Session(48_000, in_process=True) as session:
        session.hear(np.full((2, 4_800), 0.5, np.float32), 0)
        levels = [event.input_db for event in play(session, 9_600) if isinstance(event, Telemetry)]
        assert max(levels) == pytest.approx(-6.0, abs=0.1)
        number = session.post(Set(("input", "gain"), -20.0), BEAT)
        events = play(session, 48_000)
        (applied,) = [event for event in events if isinstance(event, Applied) and event.number == number]
        assert applied.sample == 24_000  # the next beat at 120 bpm
        assert Changed(path=("input", "gain"), value=-20.0) in events
        session.hear(np.full((2, 43_200), 0.5, np.float32), 4_800)
        sound = session.hearing.last(48_000)[0]
        assert np.all(sound[:4_800] == 0.5)


def test_a_session_refuses_what_no_control_of_the_input_takes() -> None:
    with Session(48_000, in_process=True) as session:
        session.post(Set(("input", "gain"), 99.0), NOW)
        session.post(Set(("input", "colour"), 1.0), NOW)
        failed = [event for event in play(session, 4_800) if isinstance(event, Failed)]
    assert [event.reason for event in failed] == [
        "takes -60..24 dB, got 99.0",
        "no control colour; there are: gain, mute, monitor",
    ]


def test_what_is_heard_is_no_part_of_the_mix() -> None:
    sounds = []
    for heard in (False, True):
        with Session(48_000, in_process=True) as session:
            if heard:
                session.hear(noise(48_000), 0)
            sounds.append(session.read(24_000))
    np.testing.assert_array_equal(*sounds)
