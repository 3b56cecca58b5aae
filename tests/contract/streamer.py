"""The Streamer protocol as checks: each takes a way to make a streamer, and fails with what was broken.

A new model proves itself by one line in test_streamers.py.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine.conductor import Conductor, Span
from engine.controls import walk, with_value
from engine.music.audio import Audio
from engine.music.harmony import parse_chord
from engine.protocols.streamer import CanSnapshot, Streamer, restore, snapshot

Make = Callable[[], Streamer[Any, Any]]

CHECKS: list[Callable[[Make], None]] = []


def check(function: Callable[[Make], None]) -> Callable[[Make], None]:
    CHECKS.append(function)
    return function


def spans(streamer: Streamer[Any, Any], chunks: int, *, chord: str = "Am", tempo_bpm: float = 117.0) -> Iterator[Span]:
    """What the first chunks of a voice are told."""
    spec = streamer.spec
    conductor = Conductor(48000)
    conductor.set_tempo(tempo_bpm, 0.0)
    conductor.set_chord(parse_chord(chord), 0.0)
    for chunk in range(chunks):
        yield conductor.span(chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate)


def play(streamer: Streamer[Any, Any], chunks: int, *, seed: int = 1, controls: Any = None) -> Audio:
    controls = streamer.controls() if controls is None else controls
    state = streamer.begin(seed)
    return np.concatenate([streamer.step(state, controls, span) for span in spans(streamer, chunks)], axis=1)


def turned_up(streamer: Streamer[Any, Any]) -> Any:
    """Controls of which every number is at its upper limit, and every text another one; switches stay."""
    controls = streamer.controls()
    for control in walk(controls):
        if control.kind is str:
            controls = with_value(controls, control.path, control.live.choices[-1] if control.live.choices else "x")
        elif control.kind is not bool and control.path != ("gain",):
            controls = with_value(controls, control.path, control.live.high)
    return controls


def played(
    streamer: Streamer[Any, Any], controls: Any, told: list[Span], then: Any = None, after: Sequence[Span] = ()
) -> Audio:
    """What one state plays under some controls, and then under others."""
    state = streamer.begin(3)
    sound = [streamer.step(state, controls, span) for span in told]
    return np.concatenate([*sound, *(streamer.step(state, then, span) for span in after)], axis=1)


def first_difference(one: Audio, other: Audio) -> int:
    """The first sample at which two sounds differ; their length if they do not."""
    differ = np.flatnonzero((one != other).any(axis=0))
    return int(differ[0]) if len(differ) else one.shape[1]


@check
def spec_adds_up(make: Make) -> None:
    spec = make().spec
    for value in (spec.sample_rate, spec.channels, spec.chunk, spec.frames):
        assert isinstance(value, int)
        assert value > 0
    assert spec.chunk == spec.frames * spec.hop, "a chunk is a whole number of equal frames"
    assert spec.latency >= 0


@check
def chunks_are_sound(make: Make) -> None:
    streamer = make()
    state, spec = streamer.begin(3), streamer.spec
    for span in spans(streamer, 6):
        sound = streamer.step(state, streamer.controls(), span)
        assert sound.shape == (spec.channels, spec.chunk)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()


@check
def it_is_heard(make: Make) -> None:
    assert float(np.abs(play(make(), 12)).max()) > 1e-4, "twelve chunks of silence"


@check
def same_seed_same_sound(make: Make) -> None:
    streamer = make()
    assert np.array_equal(play(streamer, 5, seed=7), play(streamer, 5, seed=7))
    assert np.array_equal(play(make(), 5, seed=7), play(streamer, 5, seed=7)), "another instance sounds different"


@check
def another_seed_another_sound(make: Make) -> None:
    assert not np.array_equal(play(make(), 8, seed=1), play(make(), 8, seed=2))


@check
def stop_and_resume_equals_going_on(make: Make) -> None:
    streamer = make()
    controls, told = streamer.controls(), list(spans(streamer, 6))
    state = streamer.begin(5)
    for span in told[:3]:
        streamer.step(state, controls, span)
    saved = pickle.dumps(state)
    on = [streamer.step(state, controls, span) for span in told[3:]]
    again, state = make(), pickle.loads(saved)
    for span, sound in zip(told[3:], on, strict=True):
        assert np.array_equal(again.step(state, controls, span), sound)


@check
def a_fork_is_independent(make: Make) -> None:
    """Origin and fork in turn, each told something else, play what copies of the same state play alone."""
    streamer = make()
    plain, state, told = streamer.controls(), streamer.begin(5), list(spans(streamer, 8))
    others = list(spans(streamer, 8, chord="F#dim7", tempo_bpm=61.0))
    for span in told[:2]:
        streamer.step(state, plain, span)
    saved, fork = pickle.dumps(state), streamer.fork(state)
    sound: tuple[list[Audio], list[Audio]] = ([], [])
    for span, other in zip(told[2:], others[2:], strict=True):
        sound[0].append(streamer.step(state, plain, span))
        sound[1].append(streamer.step(fork, turned_up(streamer), other))
    for made, controls, heard in ((sound[0], plain, told), (sound[1], turned_up(streamer), others)):
        alone = pickle.loads(saved)
        assert np.array_equal(
            np.concatenate([streamer.step(alone, controls, span) for span in heard[2:]], axis=1),
            np.concatenate(made, axis=1),
        )
    assert not np.array_equal(np.concatenate(sound[0], 1), np.concatenate(sound[1], 1)), "nothing was proved"


@check
def a_fork_plays_on_as_its_origin_would(make: Make) -> None:
    streamer = make()
    plain, state, told = streamer.controls(), streamer.begin(5), list(spans(streamer, 8))
    for span in told[:2]:
        streamer.step(state, plain, span)
    fork = streamer.fork(state)
    on = [streamer.step(state, plain, span) for span in told[2:]]
    beside = [streamer.step(fork, plain, span) for span in told[2:]]
    assert np.array_equal(np.concatenate(on, 1), np.concatenate(beside, 1))


@check
def a_snapshot_disturbs_nothing_and_gives_the_same_each_time(make: Make) -> None:
    """A restored state plays on as the origin does: to the bit, or where it says so but for rounding."""
    streamer, told = make(), list(spans(make(), 8))
    plain, state = streamer.controls(), streamer.begin(5)
    for span in told[:4]:
        streamer.step(state, plain, span)
    untouched, data = pickle.loads(pickle.dumps(state)), snapshot(streamer, state)
    on = [streamer.step(state, plain, span) for span in told[4:]]
    assert np.array_equal(
        np.concatenate(on, 1), np.concatenate([streamer.step(untouched, plain, span) for span in told[4:]], 1)
    )
    again = []
    for other in (streamer, make()):
        restored = restore(other, data)
        again.append(np.concatenate([other.step(restored, plain, span) for span in told[4:]], 1))
    assert np.array_equal(*again)
    if isinstance(streamer, CanSnapshot):
        assert np.abs(again[0] - np.concatenate(on, 1)).max() < 1e-3
    else:
        assert np.array_equal(again[0], np.concatenate(on, 1))


@check
def a_change_is_heard_by_its_latency_and_never_before_its_chunk(make: Make) -> None:
    """What is heard after a change at a chunk differs first within that chunk, at the latest a frame after its latency.

    A frame, since it may rise from silence. Which change is heard soonest is the model's affair.
    """
    streamer, at = make(), 5
    spec, told = streamer.spec, list(spans(make(), 5 + 12))
    chords, tempi = list(spans(streamer, at + 12, chord="F#dim7")), list(spans(streamer, at + 12, tempo_bpm=61.0))
    plain = streamer.controls()
    before = played(streamer, plain, told)
    changes = [
        played(streamer, plain, told[:at], turned_up(streamer), told[at:]),
        played(streamer, plain, told[:at], plain, chords[at:]),
        played(streamer, plain, told[:at], plain, tempi[at:]),
    ]
    assert np.array_equal(played(streamer, plain, told), before)
    heard = [first_difference(before, after) for after in changes]
    assert min(heard) >= at * spec.chunk, "a change is heard before the chunk that was told of it"
    assert min(heard) < at * spec.chunk + spec.latency + spec.hop, "a change is heard later than the declared latency"


@check
def voices_do_not_touch_each_other(make: Make) -> None:
    streamer = make()
    controls, told = streamer.controls(), list(spans(streamer, 4))
    alone = play(streamer, 4, seed=1)
    one, other = streamer.begin(1), streamer.begin(2)
    mixed = []
    for span in told:
        mixed.append(streamer.step(one, controls, span))
        streamer.step(other, controls, span)
    assert np.array_equal(np.concatenate(mixed, 1), alone)


@check
def what_is_returned_stays(make: Make) -> None:
    streamer = make()
    controls, told = streamer.controls(), list(spans(streamer, 3))
    state = streamer.begin(1)
    first = streamer.step(state, controls, told[0])
    kept = first.copy()
    streamer.step(state, controls, told[1])
    assert np.array_equal(first, kept), "a chunk is overwritten by the next"


@check
def state_does_not_grow(make: Make) -> None:
    streamer = make()
    controls, sizes = streamer.controls(), []
    state = streamer.begin(1)
    for chunk, span in enumerate(spans(streamer, 60)):
        streamer.step(state, controls, span)
        if chunk in (29, 59):
            sizes.append(len(pickle.dumps(state)))
    assert sizes[1] <= 1.05 * sizes[0] + 256, f"pickled state grew from {sizes[0]} to {sizes[1]} bytes in 30 chunks"


@check
def every_voice_has_gain_and_mute(make: Make) -> None:
    have = {control.path: control for control in walk(make().controls())}
    assert have[("gain",)].value == 0.0
    assert have[("mute",)].value is False


@check
def every_control_may_be_at_its_limits(make: Make) -> None:
    streamer = make()
    told = list(spans(streamer, 2))
    for control in walk(streamer.controls()):
        limits: tuple[Any, ...] = (control.live.low, control.live.high)
        if control.kind is str:
            limits = control.live.choices or ("", "x")
        for value in limits:
            controls = with_value(streamer.controls(), control.path, value)
            state = streamer.begin(1)
            for span in told:
                sound = streamer.step(state, controls, span)
                assert np.isfinite(sound).all(), f"{'/'.join(control.path)} = {value} gives no sound"


@check
def controls_can_be_sent(make: Make) -> None:
    controls = make().controls()
    assert pickle.loads(pickle.dumps(controls)) == controls


@check
def no_chord_and_odd_tempi_are_sound(make: Make) -> None:
    streamer = make()
    state = streamer.begin(1)
    for chord, tempo in (("N", 20.0), ("C7/E", 400.0), ("Bdim7", 60.5)):
        for span in spans(streamer, 2, chord=chord, tempo_bpm=tempo):
            assert np.isfinite(streamer.step(state, streamer.controls(), span)).all()
    conductor = Conductor(44100)
    conductor.locate(1e7, 0.0)
    spec = streamer.spec
    far = conductor.span(0, spec.frames, spec.hop, spec.sample_rate)
    for span in (far, replace(far, bar_ticks=480 * 16)):
        assert np.isfinite(streamer.step(state, streamer.controls(), span)).all()
