"""A band's musical time is what is heard: of its own clock, of a MIDI clock, of a session."""

import random
from typing import Any

import pytest

from bridge.band.clock import ClockReading, MidiTime, OwnTime, SessionTime
from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import BandStart, BandStop, Beats, Command, Locate, Progression, SetChord, Tempo
from engine.protocols.accompanist import BAR_TICKS
from engine.worker.orders import conduct

RATE, BLOCK, LEAD_S, DEVICE_S = 48_000, 256, 0.03, 0.01


class Stage:
    """What `SessionTime` sees of a session, whose port reads in blocks, now and then late, under a test's clock."""

    def __init__(self, jitter_s: float = 0.0) -> None:
        self.sample_rate, self.now = RATE, 50.0
        self.moment = (0, 0.0)
        self._conductor = Conductor(RATE)
        self._began_s, self._read, self._jitter_s = 50.0, 0, jitter_s
        self._chance = random.Random(1)
        # The lead less one block is what lies in a full ring before the block that has just been read.
        session: Any = self
        self.time = SessionTime(session, lambda: LEAD_S - BLOCK / RATE + DEVICE_S, lambda: self.now)
        self.moments: list[tuple[float, ClockReading]] = []

    def conductor(self) -> Conductor:
        return self._conductor.copy()

    def say(self, command: Command, sample: float) -> None:
        conduct(self._conductor, command, sample)

    def heard(self) -> float:
        """The sample that leaves the output now."""
        return (self.now - self._began_s - DEVICE_S) * RATE

    def play(self, seconds: float) -> "Stage":
        end = self.now + seconds
        while self.now < end:
            self.now += 0.005 + self._chance.uniform(0.0, self._jitter_s)
            gone = (self.now - self._began_s) * RATE
            while self._read + BLOCK <= gone + LEAD_S * RATE:
                self.moment = (self._read, self.now)
                self._read += BLOCK
            moment = self.time.poll(self.now)
            if moment is not None:
                self.moments.append((self.now, moment))
        return self


@pytest.fixture
def stage() -> Stage:
    made = Stage(jitter_s=0.004)
    made.time.begin(made.now)
    return made.play(1.0)


def test_nothing_is_told_before_the_band_is_ready_or_anything_was_read() -> None:
    stage = Stage()
    assert stage.time.begin(stage.now) is None
    assert stage.time.sounds_at_s(0.0) is None
    assert stage.time.chords(3) == (None,) * 4
    other = Stage().play(1.0)
    assert other.moments == []


def test_a_tick_is_told_for_the_moment_at_which_its_sample_leaves_the_output(stage: Stage) -> None:
    stage.play(5.0)
    pulse = stage.moments[-1][1].pulse
    assert pulse is not None
    right = stage.conductor().tick_at(stage.heard())
    assert abs(pulse.tick_at(stage.now) - right) / pulse.ticks_per_s < BLOCK / RATE + 0.001
    assert sum(moment.jumped for _, moment in stage.moments) == 1
    assert len(stage.moments) < 12


def test_reads_that_come_late_do_not_move_the_band() -> None:
    even, late = Stage().play(3.0), Stage(jitter_s=0.02).play(3.0)
    told = [stage.time.sounds_at_s(0.0) for stage in (even, late)]
    assert told[0] == pytest.approx(told[1], abs=0.006)


def test_tempo_holds_from_its_sample_and_the_tick_never_jumps(stage: Stage) -> None:
    at = stage.heard() + RATE
    stage.say(Tempo(bpm=90.0), at)
    stage.moments.clear()
    stage.play(2.0)
    first = next(now for now, moment in stage.moments if moment.pulse is not None and moment.pulse.tempo_bpm == 90.0)
    heard_s = stage.time.sounds_at_s(at)
    assert heard_s is not None
    assert 0.0 <= first - heard_s < 0.02
    assert not any(moment.jumped for _, moment in stage.moments)


def test_locate_is_a_jump_to_its_bar(stage: Stage) -> None:
    stage.say(Locate(bar=8), stage.heard() + 100)
    stage.moments.clear()
    stage.play(0.1)
    jumped = [moment.pulse for _, moment in stage.moments if moment.jumped]
    assert len(jumped) == 1
    assert jumped[0] is not None
    assert jumped[0].tick == pytest.approx(8 * BAR_TICKS, abs=20)


def test_band_rests_while_a_bar_has_not_four_beats_and_says_so_once(stage: Stage) -> None:
    stage.say(Beats(count=3), stage.heard() + 100)
    stage.moments.clear()
    stage.play(1.0)
    assert [moment.pulse for _, moment in stage.moments] == [None]
    assert "4/4" in stage.moments[0][1].line
    stage.say(Beats(count=4), stage.heard() + 100)
    stage.play(0.5)
    assert stage.moments[1][1].jumped
    assert stage.moments[1][1].pulse is not None


def test_band_can_rest_alone_and_join_again(stage: Stage) -> None:
    assert stage.time.apply(BandStop(), stage.now) == ClockReading(None)
    stage.moments.clear()
    stage.play(0.5)
    assert stage.moments == []
    joined = stage.time.apply(BandStart(), stage.now)
    assert joined is not None
    assert joined.jumped
    with pytest.raises(ControlError, match="/transport/tempo"):
        stage.time.apply(Tempo(bpm=90.0), stage.now)


def test_chords_are_the_conductors_beat_by_beat(stage: Stage) -> None:
    stage.say(Progression(chords="Am F | C G"), stage.heard() + 1)
    bar = int(stage.conductor().tick_at(stage.heard()) // BAR_TICKS) + 2
    rows = [[str(chord) for chord in stage.time.chords(number)] for number in (bar, bar + 1)]
    assert sorted(rows) == [["Am", "Am", "F", "F"], ["C", "C", "G", "G"]]
    stage.say(SetChord(name="E7"), stage.heard() + 2)
    assert {str(chord) for chord in stage.time.chords(bar)} == {"E7"}


def test_own_clock_counts_in_starts_stops_and_goes_where_it_is_told() -> None:
    clock = OwnTime(120.0, count_in=True)
    begun = clock.begin(10.0)
    assert begun is not None
    assert begun.pulse is not None
    assert (begun.pulse.tick, begun.jumped) == (-BAR_TICKS, True)
    assert clock.begin(11.0) is None
    slower = clock.apply(Tempo(bpm=60), 12.0)
    assert slower is not None
    assert slower.pulse is not None
    assert slower.pulse.tick == pytest.approx(begun.pulse.tick_at(12.0))
    moved = clock.apply(Locate(bar=4), 13.0)
    assert moved is not None
    assert moved.pulse is not None
    assert moved.pulse.tick == 4 * BAR_TICKS
    assert clock.apply(BandStop(), 14.0) == ClockReading(None)
    assert clock.apply(Tempo(bpm=90), 14.0) is None
    assert clock.poll(14.0) is None
    with pytest.raises(ControlError, match="start the band first"):
        clock.apply(Locate(bar=4), 14.0)
    again = clock.apply(BandStart(), 15.0)
    assert again is not None
    assert again.pulse is not None
    assert again.pulse.tempo_bpm == 90.0


def test_midi_clock_is_followed_and_given_up_when_it_is_lost() -> None:
    clock = MidiTime()
    assert clock.begin(0.0) is None
    assert not clock.feed((0xF1, 0), 0.0)
    now = 1.0
    assert clock.feed((0xFA,), now)
    clock.poll(now)
    told = []
    for _ in range(48):
        now += 0.02
        assert clock.feed((0xF8,), now)
        told.append(clock.poll(now))
    last = told[-1]
    assert last is not None
    assert last.pulse is not None
    assert last.pulse.tempo_bpm == pytest.approx(125.0, rel=0.02)
    assert clock.poll(now + 1.0) is None
    lost = clock.poll(now + 10.0)
    assert lost is not None
    assert lost.pulse is None
    assert "lost" in lost.line
    assert clock.poll(now + 11.0) is None


def test_an_incoming_clock_refuses_to_be_set_and_names_the_remedy() -> None:
    for command in (BandStart(), BandStop(), Tempo(bpm=90.0), Locate(bar=2)):
        with pytest.raises(ControlError, match="--clock own"):
            MidiTime().apply(command, 0.0)
