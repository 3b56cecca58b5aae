"""The Streamer protocol as checks: each takes a way to make a streamer, and fails with what was broken.

A new model proves itself by one line in test_streamers.py.
"""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from engine.conductor import Conductor, Span
from engine.controls import walk, with_value
from engine.music.audio import Audio
from engine.music.harmony import parse_chord
from engine.protocols.streamer import Streamer

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
    streamer = make()
    controls, told = streamer.controls(), list(spans(streamer, 6))
    state = streamer.begin(5)
    for span in told[:2]:
        streamer.step(state, controls, span)
    fork = streamer.fork(state)
    on = [streamer.step(state, controls, span) for span in told[2:]]
    beside = [streamer.step(fork, controls, span) for span in told[2:]]
    assert np.array_equal(np.concatenate(on, 1), np.concatenate(beside, 1))


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
