"""A table of senders of MIDI clock: tempo, bar lines and count stay right, however late their clocks arrive."""

import numpy as np
import pytest

from bridge.band.clock import MidiTime
from bridge.midi.clock import CLOCKS_PER_BEAT, ClockFollower
from engine.music.arrays import F64

BAR = 96  # clocks
TEMPOS = (60.0, 97.0, 120.0, 174.0, 240.0)
SENDERS = {
    "regular": {},
    "steps of 10 ms": {"step_s": 0.010},
    "steps of 11.25 ms": {"step_s": 0.01125},
    "steps of 15 ms": {"step_s": 0.015},
    "steps of 15.625 ms": {"step_s": 0.015625},
    "steps of 30 ms": {"step_s": 0.030},
    "jitter of 5 ms": {"jitter_s": 0.005},
    "jitter of 12 ms": {"jitter_s": 0.012},
    "jitter of 20 ms": {"jitter_s": 0.020},
    "bursts of 2": {"burst": 2},
    "bursts of 6": {"burst": 6},
    "steps and jitter": {"step_s": 0.015, "jitter_s": 0.005},
}


def clocks(
    tempo_bpm: float, beats: int, seed: int = 0, *, step_s: float = 0.0, jitter_s: float = 0.0, burst: int = 1
) -> tuple[F64, F64]:
    """Times at which the clocks of a sender are meant and at which they arrive, in order."""
    chance, count = np.random.default_rng(seed), beats * CLOCKS_PER_BEAT
    meant = 10.0 + chance.uniform(0.0, 0.05) + np.arange(count) * 2.5 / tempo_bpm
    arrived = np.maximum.accumulate(meant + chance.uniform(-jitter_s, jitter_s, count))
    last = np.minimum((np.arange(count) // burst + 1) * burst - 1, count - 1)
    arrived = arrived[last]
    if step_s:
        offset = chance.uniform(0.0, step_s)
        arrived = np.ceil((arrived - offset) / step_s) * step_s + offset
    return meant.astype(np.float64), (arrived + np.arange(count) * 1e-6).astype(np.float64)


@pytest.mark.parametrize("sender", SENDERS)
def test_tempo_is_within_half_a_percent_and_bar_lines_within_ten_milliseconds(sender: str) -> None:
    for tempo_bpm in TEMPOS:
        meant, arrived = clocks(tempo_bpm, 20, **SENDERS[sender])  # type: ignore[arg-type]
        follower = ClockFollower()
        follower.feed(b"\xfa", float(arrived[0]) - 0.0005)
        for index, at_s in enumerate(arrived):
            follower.feed(b"\xf8", float(at_s))
            pulse = follower.pulse()
            assert pulse is not None
            if index >= BAR:
                assert pulse.tempo_bpm == pytest.approx(tempo_bpm, rel=0.005), (tempo_bpm, index)
            if index >= BAR and index % BAR == BAR - 1:
                line_s = meant[0] + (index + 1) * 2.5 / tempo_bpm
                assert pulse.time_of((index + 1) * 20) == pytest.approx(line_s, abs=0.010), (tempo_bpm, index)
        assert follower.state(float(arrived[-1])).losses == 0


def test_the_first_clock_after_a_start_among_ticking_clocks_is_beat_0() -> None:
    for late_s in (0.0001, 0.0104, 0.0207):
        follower = ClockFollower()
        for index in range(100):
            follower.feed(b"\xf8", index / 48.0)
            if index == 50:
                follower.feed(b"\xfa", index / 48.0 + late_s)
        pulse = follower.pulse()
        assert pulse is not None
        assert pulse.time_of(0.0) == pytest.approx(51 / 48.0, abs=0.001)


@pytest.mark.parametrize("messages", [(b"\xfb",), (b"\xf2\x08\x00",), (b"\xf2\x08\x00", b"\xfb")])
def test_continue_and_position_to_where_it_is_change_nothing(messages: tuple[bytes, ...]) -> None:
    clock = MidiTime()
    clock.feed(b"\xfa", 1.0)
    jumps = 0
    for index in range(3 * BAR):
        if index in (48, 51):  # sixteenth 8 begins, and is half over
            for message in messages:
                clock.feed(message, 1.0 + index / 48.0 - 0.001)
        clock.feed(b"\xf8", 1.0 + index / 48.0)
        reading = clock.poll(1.0 + index / 48.0)
        assert reading is not None
        assert reading.pulse is not None
        assert reading.pulse.tick_at(1.0 + index / 48.0) == pytest.approx(20 * index, abs=1.0)
        jumps += reading.jumped
    assert jumps == 1, "only the start"


def test_a_position_elsewhere_is_a_jump() -> None:
    follower = ClockFollower()
    follower.feed(b"\xfa", 0.0)
    for index in range(48):
        follower.feed(b"\xf8", index / 48.0)
    assert follower.jumped()
    follower.feed(b"\xf2\x40\x00", 0.99)
    assert follower.jumped()
    follower.feed(b"\xf8", 1.0)
    pulse = follower.pulse()
    assert pulse is not None
    assert pulse.tick_at(1.0) == pytest.approx(64 * 120.0, abs=0.5)


def lines_of(arrived: F64, *, start: bool) -> list[str]:
    clock = MidiTime()
    if start:
        clock.feed(b"\xfa", float(arrived[0]) - 0.001)
    lines = []
    for at_s in arrived:
        clock.feed(b"\xf8", float(at_s))
        reading = clock.poll(float(at_s))
        lines += [reading.line] if reading is not None and reading.line else []
    return lines


def test_a_clock_that_nobody_has_started_is_remarked_on_once() -> None:
    (line,) = lines_of(clocks(120.0, 16)[1], start=False)
    assert "no start" in line
    assert lines_of(clocks(120.0, 16)[1], start=True) == []


@pytest.mark.parametrize("other_bpm", [120.0, 125.0, 140.0])
def test_two_clocks_on_one_cable_are_remarked_on_once(other_bpm: float) -> None:
    one, other = clocks(120.0, 16, seed=1)[0], clocks(other_bpm, 16, seed=3)[0] + 0.004
    together = np.sort(np.concatenate([one, other]))
    (line,) = lines_of(together[together < min(one[-1], other[-1])], start=True)
    assert "two MIDI clocks" in line


@pytest.mark.parametrize("sender", SENDERS)
def test_one_clock_is_not_taken_for_two(sender: str) -> None:
    for tempo_bpm in (100.0, 240.0):
        assert lines_of(clocks(tempo_bpm, 12, **SENDERS[sender])[1], start=True) == []  # type: ignore[arg-type]
