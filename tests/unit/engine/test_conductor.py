"""Musical time and harmony."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import Beats, Keys, Locate, Progression, Set, SetChord, Tempo
from engine.music.harmony import HarmonyError, parse_chord, parse_progression
from engine.worker.orders import conduct


def test_tempo_change_keeps_the_tick() -> None:
    conductor = Conductor(48000)
    before = conductor.tick_at(30000.0)
    conductor.set_tempo(90.0, 30000.0)
    assert conductor.tick_at(30000.0) == before
    assert conductor.tempo_at(29999.0) == 120.0
    assert conductor.tempo_at(30000.0) == 90.0


@given(st.lists(st.tuples(st.floats(20, 400), st.integers(1, 200000)), max_size=8))
def test_ticks_never_jump_whatever_the_tempo_does(changes: list[tuple[float, int]]) -> None:
    conductor, sample = Conductor(48000), 0.0
    for tempo, gap in changes:
        sample += gap
        conductor.set_tempo(tempo, sample)
    edges = np.arange(0, sample + 1000, max(1.0, sample / 500))
    steps = np.diff(conductor.ticks_at(edges))
    fastest = 400 * 480 / 60 / 48000 * (edges[1] - edges[0])
    assert (steps > 0).all()
    assert (steps <= fastest * 1.000001).all()


def test_the_sample_of_a_tick_is_where_the_tick_is() -> None:
    conductor = Conductor(44100)
    conductor.set_tempo(133.0, 10000.0)
    for tick in (480.0, 1920.0, 5000.5):
        assert conductor.tick_at(conductor.sample_of(tick, 0.0)) == pytest.approx(tick, abs=1e-6)


def test_a_passed_tick_gives_now() -> None:
    assert Conductor(48000).sample_of(10.0, 99999.0) == 99999.0


def test_next_line_is_after_the_line_one_stands_on() -> None:
    conductor = Conductor(48000)  # 24000 samples a beat
    assert conductor.next_line(0.0, 480) == 24000.0
    assert conductor.next_line(23999.0, 480) == 24000.0
    assert conductor.next_line(24000.0, 480) == 48000.0


def test_meter_change_keeps_bar_number_and_beat_phase() -> None:
    conductor = Conductor(48000)
    line = 2 * 4 * 24000.0
    conductor.set_meter(3, line)
    assert conductor.bar_at(line - 1.0)[0] == 1
    assert conductor.bar_at(line) == (2, 0.0)
    assert conductor.bar_at(line + 3 * 24000.0) == (3, 0.0)
    assert conductor.bar_ticks_at(line - 1) == 1920
    assert conductor.bar_ticks_at(line) == 1440
    assert (conductor.tick_at(line + 12000.0) / 480) % 1 == pytest.approx(0.5)


def test_meter_change_inside_a_bar_keeps_the_beat_phase() -> None:
    conductor = Conductor(48000)
    sample = 24000.0 * 5.25
    conductor.set_meter(3, sample)
    assert (conductor.tick_at(sample) / 480) % 1 == pytest.approx(0.25)
    assert conductor.bar_at(sample) == (1, pytest.approx(1.25))


def test_meter_without_a_sample_is_for_all_time() -> None:
    conductor = Conductor(48000)
    conductor.set_meter(6)
    assert conductor.bar_at(24000.0 * 6) == (1, 0.0)
    with pytest.raises(ControlError, match="17"):
        conductor.set_meter(17)


def test_span_tells_the_chord_frame_by_frame() -> None:
    conductor = Conductor(48000)
    conductor.set_chord(parse_chord("C"), 0.0)
    conductor.set_chord(parse_chord("F"), 2400.0)
    span = conductor.span(0, 10, 480, 48000)
    assert span.bass[0].tolist() == [1.0] * 5 + [0.0] * 5
    assert span.bass[5].tolist() == [0.0] * 5 + [1.0] * 5


@pytest.mark.parametrize(("change", "column"), [(2160.0 - 239.0, 4), (2160.0 - 1.0, 4), (2160.0 + 1.0, 5), (2399.0, 5)])
def test_a_frame_has_the_chord_of_its_middle(change: float, column: int) -> None:
    """Frames of 480 samples: that of column 4 has its middle at 2160. A chord that is set, or a bar line."""
    conductor = Conductor(48000)
    conductor.set_chord(parse_chord("C"), 0.0)
    conductor.set_chord(parse_chord("F"), change)
    span = conductor.span(0, 10, 480, 48000)
    for tones, chord in ((0, "C"), (5, "F")):
        assert (span.bass[tones] > 0).tolist() == [(n >= column) == (chord == "F") for n in range(10)]
    assert (span.chroma[9] > 0).tolist() == [n >= column for n in range(10)]  # A is in F, not in C
    line = Conductor(48000)
    line.set_progression(parse_progression("C F"), 0)
    line.locate(1920.0 - change * 480 / 24000, 0.0)  # so that bar 1 begins at the change
    assert np.array_equal(line.span(0, 10, 480, 48000).bass, span.bass)


@pytest.mark.parametrize("hair", [0.0, -1e-6, 1e-6])
def test_a_progression_begins_with_the_bar_in_which_it_is_sent(hair: float) -> None:
    """A bar line is a float: a hair before it counts as on it. 120 bpm: bars of 96000 samples."""
    conductor = Conductor(48000)
    conduct(conductor, Progression(chords="Am F C"), 5 * 96000.0 + hair)
    assert conductor.progressions[-1][2] == 5
    names = [str(conductor.chord_at((5 + bar) * 1920.0, (5 + bar) * 96000.0 + 1)) for bar in range(4)]
    assert names == ["Am", "F", "C", "Am"]
    conduct(conductor, Progression(chords="Dm G"), 7.5 * 96000.0)
    assert conductor.progressions[-1][2] == 7


def test_span_at_the_models_rate_keeps_session_time() -> None:
    conductor = Conductor(48000)
    span = conductor.span(22050, 4, 256, 22050, origin=1000)
    assert span.ticks[0] == pytest.approx(conductor.tick_at(49000.0))
    assert span.ticks[-1] == pytest.approx(conductor.tick_at(49000.0 + 1024 * 48000 / 22050))


def test_progression_holds_one_entry_a_bar_from_its_first() -> None:
    conductor = Conductor(48000)
    conductor.set_progression(parse_progression("Am | F C"), 1, 96000.0)
    assert conductor.chord_at(0.0, 0.0) is None
    names = [str(conductor.chord_at(tick, 96000.0 + tick * 50)) for tick in (1920, 3840, 4900, 5760)]
    assert names == ["Am", "F", "C", "Am"]


def test_a_held_chord_comes_before_the_progression_until_given_back() -> None:
    conductor = Conductor(48000)
    conductor.set_progression(parse_progression("Am"), 0)
    conductor.set_chord(parse_chord("G"), 100.0)
    conductor.set_chord(None, 200.0)
    assert [str(conductor.chord_at(0.0, s)) for s in (50.0, 150.0, 250.0)] == ["Am", "G", "Am"]


def test_a_copy_is_independent() -> None:
    conductor = Conductor(48000)
    copy = conductor.copy()
    conductor.set_tempo(60.0, 0.0)
    conductor.set_chord(parse_chord("C"), 0.0)
    conductor.set_progression(parse_progression("C"), 0)
    assert copy == Conductor(48000)


def test_commands_conduct() -> None:
    conductor = Conductor(48000)
    conduct(conductor, Tempo(bpm=100.0), 10.0)
    conduct(conductor, Locate(bar=3), 20.0)
    conduct(conductor, Beats(count=3), 20.0)
    conduct(conductor, Progression(chords="Dm G"), 20.0)
    conduct(conductor, SetChord(name="E7"), 30.0)
    assert conductor.tempo_at(20.0) == 100.0
    assert conductor.bar_at(20.0) == (3, 0.0)
    assert str(conductor.chord_at(conductor.tick_at(25.0), 25.0)) == "Dm"
    assert str(conductor.chord_at(conductor.tick_at(30.0), 30.0)) == "E7"
    conduct(conductor, SetChord(name=""), 40.0)
    assert str(conductor.chord_at(conductor.tick_at(40.0), 40.0)) == "Dm"


def test_keys_make_the_chord_and_letting_go_keeps_it() -> None:
    conductor = Conductor(48000)
    conduct(conductor, Keys((60, 64, 67)), 10.0)
    conduct(conductor, Keys(()), 20.0)
    conduct(conductor, Keys((60,)), 30.0)
    assert str(conductor.chord_at(0.0, 40.0)) == "C"


def test_what_does_not_conduct_is_refused() -> None:
    with pytest.raises(ControlError, match="Set"):
        conduct(Conductor(48000), Set(("a", "gain"), 0.0), 0.0)
    with pytest.raises(HarmonyError):
        conduct(Conductor(48000), SetChord(name="H7"), 0.0)
