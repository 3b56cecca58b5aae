"""A MIDI clock is followed through jitter, ramps and losses, and sent without a burst."""

from collections.abc import Callable

import numpy as np
import pytest

from bridge.midi.clock import CLOCKS_PER_BEAT, LOST_S, ClockFollower, ClockSender
from engine.music.pulse import Pulse

JITTER_S = 0.003
BAR = 96  # clocks
BEGIN_S = 50.0
Tempo = Callable[[float], float]


def clock_times(tempo: Tempo, seconds: float) -> np.ndarray:
    """True times of the clocks of a tempo that changes over time."""
    grid = np.arange(0.0, seconds, 0.0005)
    beats = np.concatenate([[0.0], np.cumsum([tempo(t) / 60.0 * 0.0005 for t in grid[:-1]])])
    return BEGIN_S + np.interp(np.arange(int(beats[-1] * CLOCKS_PER_BEAT)) / CLOCKS_PER_BEAT, beats, grid)


def bar_errors_ms(
    tempo: Tempo, seconds: float = 40.0, *, lost: tuple[float, float] = (0.0, 0.0), late: float = 0.0, seed: int = 0
) -> np.ndarray:
    """How far off each coming bar line is foretold, one clock before it."""
    chance, follower, errors = np.random.default_rng(seed), ClockFollower(), []
    times, arrived = clock_times(tempo, seconds), 0.0
    follower.feed(b"\xfa", BEGIN_S - 0.001)
    for index, true_s in enumerate(times[:-1]):
        arrived = max(arrived + 1e-5, true_s + chance.uniform(-JITTER_S, JITTER_S) + 0.02 * (chance.random() < late))
        if not lost[0] <= true_s - BEGIN_S < lost[1]:
            follower.feed(b"\xf8", arrived)
        pulse = follower.pulse()
        if index % BAR == BAR - 1 and index > BAR and pulse is not None:
            errors.append(1000.0 * (pulse.time_of((index + 1) * 20) - times[index + 1]))
    return np.array(errors)


@pytest.mark.parametrize(
    "tempo",
    [
        pytest.param(lambda t: 120.0, id="steady"),
        pytest.param(lambda t: 110.0 + 30.0 * min(1.0, max(0.0, (t - 8.0) / 20.0)), id="ramp"),
        pytest.param(lambda t: 120.0 if t < 15.0 else 90.0, id="step down"),
        pytest.param(lambda t: 140.0 if t < 15.0 else 70.0, id="half the tempo"),
        pytest.param(lambda t: 70.0 if t < 15.0 else 140.0, id="twice the tempo"),
        pytest.param(lambda t: 180.0, id="fast"),
    ],
)
def test_bar_lines_are_foretold_within_five_milliseconds(tempo: Tempo) -> None:
    errors = np.concatenate([bar_errors_ms(tempo, seed=seed) for seed in range(3)])
    assert np.percentile(np.abs(errors), 99) <= 5.0


def test_clocks_that_come_late_now_and_then_change_nothing() -> None:
    assert np.abs(bar_errors_ms(lambda t: 120.0, late=0.03)).max() <= 5.0


def test_lost_second_is_bridged_and_bars_keep_their_place() -> None:
    errors = np.abs(bar_errors_ms(lambda t: 120.0, lost=(10.0, 11.3)))
    assert errors.max() <= 8.0
    assert np.median(errors) <= 1.0


def test_second_lost_while_the_tempo_rises_is_counted_anew_when_it_is_known() -> None:
    errors = np.abs(bar_errors_ms(lambda t: 110.0 + 30.0 * min(1.0, max(0.0, (t - 8.0) / 17.0)), lost=(18.0, 19.0)))
    assert errors[-5:].max() <= 3.0


def test_start_continue_and_position_say_where_we_are() -> None:
    follower, now = ClockFollower(), 1.0
    assert follower.pulse() is None

    def clocks(count: int) -> Pulse | None:
        nonlocal now
        for _ in range(count):
            now += 1.0 / 48.0
            follower.feed(b"\xf8", now)
        return follower.pulse()

    assert clocks(48) is None  # it ticks, but nobody has said start
    follower.feed(b"\xfa", now)
    assert follower.jumped()
    assert not follower.jumped()
    pulse = clocks(25)
    assert pulse is not None
    assert pulse.tick_at(now) == pytest.approx(480.0, abs=0.5)
    assert pulse.tempo_bpm == pytest.approx(120.0, abs=0.01)
    follower.feed(b"\xfc", now)
    assert follower.pulse() is None
    clocks(13)  # some go on ticking while stopped
    follower.feed(b"\xfb", now)
    pulse = clocks(1)
    assert pulse is not None
    assert pulse.tick_at(now) == pytest.approx(500.0, abs=0.5)
    follower.feed(b"\xf2\x10\x01", now)  # sixteenth 144: bar 9
    pulse = clocks(1)
    assert follower.jumped()
    assert pulse is not None
    assert pulse.tick_at(now) == pytest.approx(144 * 120.0, abs=0.5)


def test_loss_is_told_and_counted() -> None:
    follower = ClockFollower()
    follower.feed(b"\xfa", 0.0)
    for index in range(48):
        follower.feed(b"\xf8", 1.0 + index / 48.0)
    assert follower.state(2.0).receiving
    state = follower.state(2.0 + 2.0 * LOST_S)
    assert not state.receiving
    assert state.playing
    follower.feed(b"\xf8", 4.0)
    assert follower.state(4.0).losses == 1


def test_latency_of_the_input_is_taken_off() -> None:
    follower = ClockFollower(latency_s=0.01)
    follower.feed(b"\xfa", 0.0)
    for index in range(48):
        follower.feed(b"\xf8", 1.01 + index / 48.0)
    pulse = follower.pulse()
    assert pulse is not None
    assert pulse.time_of(0.0) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("message", [b"", b"\xf2", b"\xf2\x01", b"\xf2\xff\x00", b"\x90\x3c\x40", b"\xfe"])
def test_what_is_not_a_whole_clock_message_changes_nothing(message: bytes) -> None:
    follower = ClockFollower()
    assert not follower.feed(message, 1.0)
    assert follower.pulse() is None


def test_follower_hears_what_sender_says() -> None:
    sender, follower, pulse = ClockSender(), ClockFollower(), Pulse(10.0, 0.0, 132.0)
    for message in sender.roll(7680.0):
        follower.feed(message, 25.0)
    now = pulse.time_of(7680.0) - 0.01
    for _ in range(2000):
        now += 0.001
        for due_s, message in sender.due(now, pulse):
            assert now - due_s <= 0.0011
            follower.feed(message, due_s)
    heard = follower.pulse()
    assert heard is not None
    assert heard.tick_at(now) == pytest.approx(pulse.tick_at(now), abs=0.5)
    assert [m[0] for m in sender.stop()] == [0xFC]
    assert sender.stop() == []


def test_sender_that_slept_tells_its_place_instead_of_a_burst() -> None:
    sender, pulse = ClockSender(), Pulse(0.0, 0.0, 120.0)
    assert sender.roll(0.0) == [b"\xfa"]
    sent = [message for _, message in sender.due(30.0, pulse)]
    assert [message[0] for message in sent] == [0xFC, 0xF2, 0xFB]
    assert sent[1][1] + 128 * sent[1][2] == 60 * 4
