"""Lanes and their fades."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.limiter import CEILING_DB
from engine.audio.mixer import Fades, Lane, LaneChange, LaneRequest, Mixer
from engine.audio.ring import Ring

RATE = 8000
FADES = Fades.at(RATE)


def lane_with(ring: Ring, bar: int = 4000) -> Lane:
    lane = Lane(RATE, FADES, lambda _: bar)
    lane.ask(LaneRequest("feed", player=1, ring=ring))
    lane.ask(LaneRequest("play"))
    return lane


def tone(first: int, samples: int, hz: float = 200.0) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hz * (np.arange(samples) + first) / RATE)
    return np.repeat(wave.astype(np.float32)[None], 2, axis=0)


def ring_with(samples: int, first: int = 0) -> Ring:
    ring = Ring(1 << 16)
    ring.jump(first)
    ring.write(tone(first, samples))
    return ring


def read(lane: Lane, first: int, last: int, block: int = 100) -> np.ndarray:
    out = np.zeros((2, last - first), np.float32)
    for at in range(first, last, block):
        part = lane.read(at, min(block, last - at))
        if part is not None:
            out[:, at - first : at - first + part.shape[1]] = part
    return out


def test_a_lane_waits_in_silence_for_its_ring() -> None:
    ring = Ring(1 << 16)
    lane = lane_with(ring)
    assert lane.read(0, 500) is None
    ring.jump(750)
    ring.write(tone(750, 2000))
    out = read(lane, 500, 1500)
    assert (out[:, :250] == 0).all()
    assert np.array_equal(out[:, 250 + FADES.begin :], tone(750 + FADES.begin, 750 - FADES.begin))
    assert [(t.kind, t.sample) for t in lane.take_turns()] == [("start", 750)]


def test_stop_fades_and_then_nothing_is_left() -> None:
    lane = lane_with(ring_with(8000))
    read(lane, 0, 1000)
    lane.ask(LaneRequest("stop", sample=1030, fade=FADES.end))
    out = read(lane, 1000, 2000)
    assert np.array_equal(out[:, :30], tone(1000, 30))
    assert np.abs(np.diff(out)).max() < 0.15
    assert (out[:, 30 + FADES.end :] == 0).all()
    assert lane.silent


def test_a_late_voice_is_covered_by_its_last_bar() -> None:
    lane = lane_with(ring_with(6000), bar=4000)
    out = read(lane, 0, 20000)
    cover = [turn for turn in lane.take_turns() if turn.kind == "cover"]
    assert [(turn.sample, turn.loop) for turn in cover] == [(6000 - FADES.cover, 4000)]
    begin = 6000 - FADES.cover
    loop = tone(begin - 4000, 4000)[:, FADES.cover :]
    heard = out[:, begin + FADES.cover : begin + 4000]
    fall = heard[0] / np.where(np.abs(loop[0]) < 1e-3, 1, loop[0])
    assert (np.abs(fall[np.abs(loop[0]) > 0.1] - 1.0) < 0.11).all()
    steps = np.abs(np.diff(out[:, FADES.begin :]))
    assert steps.max() < 0.5 * 2 * np.pi * 200 / RATE * 1.6, "a click"
    assert lane.missing == 20000 - begin


def test_a_cover_sinks_to_a_quarter_and_stays() -> None:
    lane = lane_with(ring_with(6000), bar=1000)
    out = read(lane, 0, 30000)
    late = np.sqrt((out[:, 20000:] ** 2).mean())
    assert late == pytest.approx(0.125 / np.sqrt(2), rel=0.1)  # a little more at the seams, where a tone meets itself


STEP = 0.5 * 2 * np.pi * 200 / RATE
"""The greatest step between two samples of `tone`; a click is many times as great."""


@pytest.mark.parametrize("bar", [4010, 4020, 4030])
def test_a_cover_neither_begins_nor_repeats_with_a_click(bar: int) -> None:
    """Bars of no whole number of periods, so that the loop's end does not fit its beginning by itself."""
    lane = lane_with(ring_with(6000), bar=bar)
    out = read(lane, 0, 6000 + 3 * bar)
    assert lane.take_turns()[-1].loop == bar
    assert np.abs(np.diff(out[:, FADES.begin :])).max() < 2 * STEP


def test_a_voice_begins_out_of_silence_without_a_click() -> None:
    lane = lane_with(ring_with(4000, first=770))  # at the height of a wave
    out = read(lane, 700, 2000)
    assert np.abs(out[:, 70:80]).max() < 0.05
    assert np.abs(np.diff(out)).max() < 2 * STEP


def test_a_swap_and_a_thaw_fade_from_what_sounded() -> None:
    """Both voices play on below the fade: it does not dip to silence, and does not jump."""
    new = Ring(1 << 16)
    new.jump(3010)
    new.write(tone(3030, 5000))  # half a period away from the other voice
    lane = lane_with(ring_with(8000), bar=1000)
    read(lane, 0, 2000)
    lane.ask(LaneRequest("swap", sample=3010, player=2, ring=new))
    out = read(lane, 2000, 4000)
    assert np.abs(np.diff(out)).max() < 2 * STEP
    assert lane.take_turns()[-1] == LaneChange(3010, "swap", FADES.swap, 2)
    ring = ring_with(6000)
    lane = lane_with(ring, bar=1000)
    read(lane, 0, 9000)
    ring.jump(9050)
    ring.write(tone(9050, 4000))
    out = read(lane, 9000, 9200)
    assert np.abs(np.diff(out)).max() < 2 * STEP
    loud = np.abs(out[0, 30:90])
    assert loud[:20].max() > 0.05, "the cover sounds until it has been faded out"


def test_thaw_returns_to_the_exact_position() -> None:
    ring = ring_with(6000)
    lane = lane_with(ring, bar=1000)
    read(lane, 0, 9000)
    ring.jump(9050)
    ring.write(tone(9050, 4000))
    out = read(lane, 9000, 12000)
    (thaw,) = [turn for turn in lane.take_turns() if turn.kind == "thaw"]
    assert thaw.sample == 9050
    assert np.array_equal(out[:, 50 + FADES.cover :], tone(9050 + FADES.cover, 2950 - FADES.cover))
    assert np.abs(np.diff(out)).max() < 0.15


def test_little_history_is_repeated_by_the_second_or_fades() -> None:
    lane = lane_with(ring_with(6000), bar=90000)
    read(lane, 0, 7000)
    assert lane.take_turns()[-1].loop == 6000 - FADES.cover
    lane = lane_with(ring_with(400), bar=90000)
    out = read(lane, 0, 2000)
    assert lane.take_turns()[-1].loop == 0
    assert (out[:, 400:] == 0).all()
    assert np.abs(np.diff(out[:, 200:])).max() < 0.1


def test_swap_happens_at_its_sample_even_while_covering() -> None:
    for written in (8000, 3000):
        new = ring_with(4000, first=5000)
        lane = lane_with(ring_with(written), bar=1000)
        read(lane, 0, 4000)
        lane.ask(LaneRequest("swap", sample=5000, player=2, ring=new))
        out = read(lane, 4000, 7000)
        (swap,) = [turn for turn in lane.take_turns() if turn.kind == "swap"]
        assert (swap.sample, swap.player) == (5000, 2)
        assert np.array_equal(out[:, 1000 + FADES.swap :], tone(5000 + FADES.swap, 2000 - FADES.swap))


def test_a_new_voice_that_is_not_ready_does_not_interrupt() -> None:
    lane = lane_with(ring_with(9000))
    late = Ring(1 << 16)
    read(lane, 0, 4000)
    lane.ask(LaneRequest("swap", sample=5000, player=2, ring=late))
    out = read(lane, 4000, 6000)
    assert np.array_equal(out, tone(4000, 2000))
    late.jump(6500)
    late.write(tone(6500, 2000))
    read(lane, 6000, 7000)
    assert [(t.kind, t.sample) for t in lane.take_turns()][-1] == ("swap", 6500)


def test_play_after_stop_comes_after_it() -> None:
    lane = lane_with(ring_with(9000))
    read(lane, 0, 1000)
    lane.ask(LaneRequest("stop", sample=1500, fade=FADES.end))
    lane.ask(LaneRequest("play"))
    out = read(lane, 1000, 3000)
    kinds = [(turn.kind, turn.sample) for turn in lane.take_turns()][1:]
    assert kinds[0] == ("stop", 1500)
    assert kinds[1][0] == "start"
    assert np.array_equal(out[:, -500:], tone(2500, 500))


def test_a_ring_in_use_is_known() -> None:
    ring, other = ring_with(5000), ring_with(3000, first=2000)
    lane = lane_with(ring)
    assert lane.uses(ring)
    read(lane, 0, 1000)
    lane.ask(LaneRequest("swap", sample=2000, player=2, ring=other))
    assert lane.uses(other)
    read(lane, 1000, 3000)
    assert lane.uses(other)
    assert not lane.uses(ring)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_turns_from_a_script_give_the_same_sound_at_any_block_size(blocks: list[int]) -> None:
    turns = [
        LaneChange(100, "start", FADES.begin, 1),
        LaneChange(3000, "cover", 0, 0, 2000),
        LaneChange(6000, "thaw", FADES.cover, 1),
        LaneChange(7000, "swap", FADES.swap, 2),
        LaneChange(8000, "stop", FADES.end),
    ]
    rings = {1: ring_with(12000), 2: ring_with(12000)}

    def play(sizes: list[int]) -> np.ndarray:
        lane = Lane(RATE, FADES, lambda _: 0, script=turns, rings=lambda number: rings[number])
        mixer = Mixer(RATE)
        mixer.lanes = (lane,)
        parts, at = [], 0
        while at < 9000:
            size = min(sizes[len(parts) % len(sizes)], 9000 - at)
            parts.append(mixer.read(size))
            at += size
        return np.concatenate(parts, axis=1)

    assert np.array_equal(play(blocks), play([9000]))


def test_the_mix_never_leaves_its_range_and_never_holds_what_is_no_number() -> None:
    loud, broken = Ring(1 << 16), Ring(1 << 16)
    loud.write(np.full((2, 4000), 3.0, np.float32))
    broken.write(np.full((2, 4000), np.nan, np.float32))
    mixer = Mixer(RATE)
    mixer.lanes = (lane_with(loud), lane_with(broken))
    out = np.concatenate([mixer.read(500) for _ in range(4)], axis=1)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 10 ** (CEILING_DB / 20) * 1.000001
    assert mixer.mended > 0


def test_a_loud_mix_is_turned_down_or_without_limiter_cut_off_at_full_scale() -> None:
    loud = Ring(1 << 16)
    loud.write(np.full((2, 4000), 3.0, np.float32))
    limited = Mixer(RATE)
    limited.lanes = (lane_with(loud),)
    limited.read(2000)
    assert limited.limiter is not None
    assert limited.limiter.reduction_db == pytest.approx(20 * np.log10(3.0) - CEILING_DB, abs=0.1)
    loud = Ring(1 << 16)
    loud.write(np.full((2, 4000), 3.0, np.float32))
    mixer = Mixer(RATE, ceiling_db=None)
    mixer.lanes = (lane_with(loud),)
    out = np.concatenate([mixer.read(500) for _ in range(4)], axis=1)
    assert np.abs(out).max() == 1.0


def test_the_mix_remembers_what_it_played() -> None:
    mixer = Mixer(RATE, keep_s=2.0)
    mixer.lanes = (lane_with(ring_with(30000)),)
    out = np.concatenate([mixer.read(500) for _ in range(40)], axis=1)
    assert np.array_equal(mixer.kept.get(10000, 8000), out[:, 10000:18000])
