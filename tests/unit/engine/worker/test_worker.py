"""One voice's turn."""

from typing import Any

import numpy as np
import pytest

from engine.audio.ring import Ring
from engine.conductor import Conductor
from engine.messages.session import Jump, Play, Set, Stop, Tempo
from engine.models.tone import ToneStreamer
from engine.worker.orders import AT_ONCE, Began, Order, OrderRefused, Took
from engine.worker.worker import Pacing, StepError, Worker
from tests.unit.engine.faulty import Constant, FailsAt

RATE = 48000


def worker_of(streamer: Any, *, fill: int = 4800, rate: int = RATE, **more: Any) -> Worker:
    return Worker(
        streamer, Ring(1 << 18), session_rate=rate, conductor=Conductor(rate), pacing=Pacing(fill=fill), **more
    )


def playing(streamer: Any, **more: Any) -> Worker:
    worker = worker_of(streamer, **more)
    worker.receive(Order(1, AT_ONCE, Play()))
    return worker


def run(worker: Worker, turns: int = 100) -> None:
    for _ in range(turns):
        if not worker.advance():
            return


def test_it_is_silent_until_played() -> None:
    worker = worker_of(Constant())
    assert not worker.advance()
    assert worker.ring.written == 0


def test_it_keeps_the_ring_filled_and_no_more() -> None:
    worker = playing(Constant())
    run(worker)
    assert 4800 <= worker.ring.written < 4800 + 960
    worker.ring.set_read(1000)
    run(worker)
    assert 5800 <= worker.ring.written < 5800 + 960


def test_controls_change_at_the_next_chunk() -> None:
    worker = playing(Constant())
    run(worker)
    edge = worker.ring.written
    worker.receive(Order(7, AT_ONCE, Set(("v", "level"), 0.25)))
    worker.ring.set_read(3000)
    run(worker)
    took = [r for r in worker.take_reports() if isinstance(r, Took)]
    assert [(t.number, t.sample) for t in took] == [(7, edge)]
    assert (worker.ring.read(edge - 100, 100) == 0.5).all()
    assert (worker.ring.read(edge, 100) == 0.25).all()


def test_an_order_with_a_sample_waits_for_the_first_chunk_at_or_after_it() -> None:
    worker = playing(Constant())
    worker.receive(Order(7, 2000.0, Set(("v", "level"), 0.25)))
    run(worker)
    (took,) = [r for r in worker.take_reports() if isinstance(r, Took)]
    assert (took.sample, took.chunk) == (2880, 3)
    assert (worker.ring.read(2880 - 10, 10) == 0.5).all()
    assert (worker.ring.read(2880, 10) == 0.25).all()


def test_a_bad_order_is_refused_and_changes_nothing() -> None:
    worker = playing(Constant())
    worker.receive(Order(7, AT_ONCE, Set(("v", "volume"), 1.0)))
    run(worker)
    assert any(isinstance(r, OrderRefused) and r.number == 7 for r in worker.take_reports())
    assert (worker.ring.read(100, 100) == 0.5).all()


def test_gain_and_mute_glide() -> None:
    worker = playing(Constant())
    run(worker)
    edge = worker.ring.written
    worker.receive(Order(1, AT_ONCE, Set(("v", "mute"), True)))
    worker.ring.set_read(edge - 100)
    run(worker)
    sound = worker.ring.read(edge - 10, 960)[0]
    assert sound[:10].tolist() == [0.5] * 10
    assert (np.diff(sound) <= 0).all()
    assert np.abs(np.diff(sound)).max() < 0.5 * np.pi / 480
    assert (sound[500:] == 0).all()


def test_latency_of_the_streamer_is_made_up_for() -> None:
    plain, late = playing(Constant()), playing(Constant(latency=480))
    run(plain)
    run(late)
    ahead = 480 / (60 * RATE / (120 * 480))
    for (sample, tick), (late_sample, late_tick) in zip(plain.state.spans, late.state.spans, strict=True):
        assert sample == late_sample
        assert late_tick == pytest.approx(tick + ahead)


def test_tempo_is_heard_at_its_sample_whatever_the_chunk() -> None:
    worker = playing(Constant(), fill=48000)
    worker.receive(Order(1, 10000.0, Tempo(bpm=60.0)))
    run(worker)
    ticks = [tick for _, tick in worker.state.spans]
    assert ticks[10] == pytest.approx(9600 / 50)
    assert ticks[11] == pytest.approx(10000 / 50 + 560 / 100)


def test_a_late_worker_goes_on_ahead_of_the_reader() -> None:
    worker = playing(Constant())
    run(worker)
    worker.take_reports()
    worker.ring.set_read(20000)
    run(worker)
    (began,) = [r for r in worker.take_reports() if isinstance(r, Began)]
    assert began.at == 20000
    assert worker.ring.start == 20000
    assert worker.state.spans[began.chunk][1] == pytest.approx(20000 / 50), "musical time is of where it is heard"


def test_stop_keeps_the_state_and_play_goes_on_from_it() -> None:
    worker = playing(ToneStreamer())
    run(worker)
    worker.receive(Order(2, AT_ONCE, Stop()))
    run(worker)
    chunk = worker.chunk
    worker.ring.set_read(90000)
    run(worker)
    assert worker.chunk == chunk
    worker.ring.set_read(94000)
    worker.receive(Order(3, 96000.0, Play()))
    worker.advance()
    assert worker.ring.start == 96000
    assert worker.chunk == chunk + 1


def test_a_stop_at_a_sample_is_made_up_to_there() -> None:
    worker = playing(Constant(), fill=2000)
    worker.receive(Order(2, 10000.0, Stop()))
    for read in range(0, 20000, 500):
        worker.ring.set_read(read)
        run(worker)
    assert 10000 <= worker.ring.written <= 10960


def test_snapshot_goes_on_bit_for_bit() -> None:
    import pickle

    worker = playing(ToneStreamer(), fill=90000)
    run(worker, 30)
    saved = worker.ring.load()
    assert saved is not None
    chunk, state = saved
    again = worker_of(ToneStreamer(), fill=90000, chunk=chunk, state=pickle.loads(state))
    again.begin_at(chunk * 1920)
    for _ in range(3):
        again.make_chunk()
    first = (chunk * 1920) + 10
    assert np.array_equal(again.ring.read(first, 3000), worker.ring.read(first, 3000))


@pytest.mark.parametrize("how", ["nan", "inf", "shape"])
def test_what_is_not_sound_never_reaches_the_ring(how: str) -> None:
    FailsAt.steps = 0
    worker = playing(FailsAt((3,), how))
    with pytest.raises(StepError):
        run(worker)
    assert worker.ring.written == 2 * 1920
    assert np.isfinite(worker.ring.read(0, 2 * 1920)).all()


@pytest.mark.parametrize(("model", "session"), [(48000, 44100), (44100, 48000), (22050, 96000), (48000, 48000)])
def test_sample_m_of_the_model_sounds_at_its_place(model: int, session: int) -> None:
    """The click of beat 1 is where the conductor says, at any pair of rates."""
    streamer = ToneStreamer(sample_rate=model, frames=4, hop=256)
    worker = worker_of(streamer, rate=session, fill=3 * session)
    worker.receive(Order(1, AT_ONCE, Set(("v", "click"), 1.0)))
    worker.begin_at(777)
    run(worker, 1000)
    sound = worker.ring.read(0, 2 * session)[0]
    chordless = worker_of(streamer, rate=session, fill=3 * session)
    chordless.receive(Order(1, AT_ONCE, Set(("v", "click"), 0.0)))
    chordless.begin_at(777)
    run(chordless, 1000)
    click = np.abs(sound - chordless.ring.read(0, 2 * session)[0])
    for beat in (1, 2, 3):
        at = beat * session // 2
        onset = at - 200 + int(np.argmax(click[at - 200 : at + 2000] > 0.02))
        assert abs(onset - at) <= session // 4000, f"beat {beat}: {onset - at} samples off"


def test_a_jump_goes_elsewhere_without_a_new_state() -> None:
    worker = playing(ToneStreamer())
    run(worker)
    levels = worker.state.levels.copy()
    worker.receive(Order(2, AT_ONCE, Jump(seed=11)))
    worker._obey_due()
    assert np.array_equal(worker.state.levels, levels)
    assert worker.state.drone == ToneStreamer().begin(11).drone
    plain = playing(Constant())
    run(plain)
    plain.receive(Order(2, AT_ONCE, Jump(seed=11)))
    plain._obey_due()
    assert plain.state.steps == 0, "a streamer that cannot jump begins anew"
