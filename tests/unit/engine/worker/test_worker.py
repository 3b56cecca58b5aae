"""One voice's turn."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.ring import Ring
from engine.conductor import Conductor
from engine.messages.session import Branch, Commit, Continue, Jump, Play, Rewind, Set, Stop, Tempo
from engine.models.tone import ToneStreamer
from engine.music.files import sha256_of
from engine.worker.orders import AT_ONCE, Began, Made, Order, OrderRefused, Took
from engine.worker.sources import OpenedSources, open_sources
from engine.worker.worker import Pacing, StepError, Worker
from tests.unit.engine.faulty import Constant, Continuing, FailsAt

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


def prompts(folder: Path) -> Path:
    for name, value in (("one", 0.25), ("two", 0.5)):
        soundfile.write(folder / f"{name}.wav", np.full((RATE // 2, 1), value, np.float32), RATE, subtype="FLOAT")
    return folder


def continuing(folder: Path, *, clock: Callable[[], float] | None = None) -> tuple[Worker, Continuing]:
    streamer = Continuing()
    pacing = Pacing(fill=4800, clock=clock)
    worker = Worker(streamer, Ring(1 << 18), session_rate=RATE, conductor=Conductor(RATE), pacing=pacing, folder=folder)
    worker.receive(Order(1, AT_ONCE, Play()))
    return worker, streamer


def reports_of(worker: Worker, ready: Callable[[list[Any]], bool]) -> list[Any]:
    """Turns, each with a reader that comes after, until all that was reported is enough."""
    reports: list[Any] = []
    for _ in range(5000):
        worker.advance()
        worker.ring.set_read(max(0, worker.ring.written - 4000))
        reports += worker.take_reports()
        if ready(reports):
            return reports
        time.sleep(0.001)
    raise AssertionError(f"it never came: {reports}")


def test_a_file_is_opened_beside_the_sound_and_its_hash_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of a disk that does not answer holds up neither the sound nor other orders."""
    may_open, opened_by = threading.Event(), list[int]()

    def slow(folder: Path, command: Continue) -> OpenedSources:
        opened_by.append(threading.get_ident())
        assert may_open.wait(60.0)
        return open_sources(folder, command)

    monkeypatch.setattr("engine.worker.worker.open_sources", slow)
    worker, streamer = continuing(prompts(tmp_path), clock=time.perf_counter)
    worker.receive(Order(5, AT_ONCE, Continue(voice="v", source="one.wav", melody="two.wav")))
    worker.receive(Order(6, AT_ONCE, Set(("v", "octave"), 1)))
    reports = reports_of(worker, lambda seen: worker.chunk > 20)
    assert [r.number for r in reports if isinstance(r, Took)] == [6]
    may_open.set()
    reports = reports_of(worker, lambda seen: any(isinstance(r, Made) for r in seen))
    (took,) = [r for r in reports if isinstance(r, Took)]
    command = took.order.command
    assert isinstance(command, Continue)
    assert command.file_hash == sha256_of(tmp_path / "one.wav")
    assert command.melody_hash == sha256_of(tmp_path / "two.wav")
    assert took.chunk >= 20
    assert len(opened_by) == 1
    assert threading.get_ident() not in opened_by
    ((prompt, melody),) = [(given.prompt, given.melody) for given in streamer.given]
    assert prompt is not None
    assert melody is not None
    assert (float(prompt.audio[0, 0]), float(melody.audio[0, 0])) == (0.25, 0.5)


def test_a_file_that_is_known_is_opened_with_what_is_made_of_it(tmp_path: Path) -> None:
    """As in a replay, where what was never heard is never read."""
    worker, streamer = continuing(prompts(tmp_path))
    known = Continue(voice="v", source="one.wav", file_hash=sha256_of(tmp_path / "one.wav"))
    worker.obey(Order(5, AT_ONCE, known))
    worker.obey(Order(6, AT_ONCE, replace(known, source="gone.wav")))
    assert next(r.order.command for r in worker.take_reports() if isinstance(r, Took)) == known
    assert not streamer.given
    worker.obey(Order(7, AT_ONCE, replace(known, file_hash="0" * 64)))
    worker.obey(Order(8, AT_ONCE, Commit(voice="v", number=7)))
    assert "has changed" in next(r.reason for r in worker.take_reports() if isinstance(r, OrderRefused))
    worker.obey(Order(9, AT_ONCE, known))
    worker.obey(Order(10, AT_ONCE, Commit(voice="v", number=9)))
    assert len(streamer.given) == 1


@pytest.mark.parametrize("later", [Continue(voice="v", source="two.wav"), Rewind(voice="v")])
def test_an_earlier_continuation_whose_file_is_slow_does_not_take_the_place_of_a_later_one(
    later: Continue | Rewind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open = threading.Event()

    def slow(folder: Path, command: Continue) -> OpenedSources:
        assert command.source == "two.wav" or may_open.wait(60.0)
        return open_sources(folder, command)

    monkeypatch.setattr("engine.worker.worker.open_sources", slow)
    worker, _ = continuing(prompts(tmp_path), clock=time.perf_counter)
    worker.receive(Order(5, AT_ONCE, Continue(voice="v", source="one.wav")))
    worker.advance()
    worker.receive(Order(6, AT_ONCE, later))
    reports = reports_of(worker, lambda seen: any(isinstance(r, Made) for r in seen))
    may_open.set()
    reports += reports_of(worker, lambda seen: worker.chunk > 40)
    assert [r.number for r in reports if isinstance(r, Took | Made)] == [6, 6]


def test_whatever_a_file_brings_about_the_sound_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.worker.worker.open_sources", lambda folder, command: 1 // 0)
    worker, _ = continuing(tmp_path, clock=time.perf_counter)
    worker.receive(Order(5, AT_ONCE, Continue(voice="v", source="one.wav")))
    reports = reports_of(worker, lambda seen: any(isinstance(r, OrderRefused) for r in seen))
    (refused,) = [r for r in reports if isinstance(r, OrderRefused)]
    assert (refused.number, refused.reason[:17]) == (5, "ZeroDivisionError")
    assert worker.advance() or worker.playing


def test_a_voice_that_has_no_room_to_rehearse_with_warms_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    worker, _ = continuing(tmp_path)
    worker.warm()
    run(worker)
    assert worker.chunk


@pytest.mark.parametrize(("rate", "model_rate"), [(48000, 48000), (44100, 48000), (48000, 32000)])
@pytest.mark.parametrize("inside", [0, 1, 700, -1])
def test_a_continuation_is_heard_from_the_very_sample_it_was_asked_for(inside: int, rate: int, model_rate: int) -> None:
    streamer = Continuing(model_rate)
    worker = playing(streamer, rate=rate)
    run(worker)
    first, after = worker.edge(worker.chunk + 2), worker.edge(worker.chunk + 3)
    sample = first + inside if inside >= 0 else after - 1
    worker.receive(Order(7, float(sample), Branch(voice="v")))
    for _ in range(8):
        worker.ring.set_read(worker.ring.written - 3000)
        run(worker)
    ((_, at, moment),) = streamer.applied
    (took,) = [r for r in worker.take_reports() if isinstance(r, Took)]
    assert moment.sample == first
    assert took.sample == sample
    assert at == round((sample - first) * model_rate / rate)
    if rate == model_rate:
        assert moment.sample + at == sample


def test_what_is_asked_for_too_late_is_heard_from_the_next_chunk() -> None:
    streamer = Continuing()
    worker = playing(streamer)
    run(worker)
    edge = worker.edge(worker.chunk)
    worker.receive(Order(7, float(edge - 5), Branch(voice="v")))
    worker.ring.set_read(worker.ring.written - 3000)
    run(worker)
    ((_, at, moment),) = streamer.applied
    assert (moment.sample, at) == (edge, 0)
    assert [r.sample for r in worker.take_reports() if isinstance(r, Took)] == [edge]


@pytest.mark.parametrize(("rate", "lag"), [(RATE, 500), (44100, round(500 * 44100 / RATE))])
def test_a_change_is_announced_for_where_its_latency_puts_it(rate: int, lag: int) -> None:
    worker = playing(Constant(latency=500), rate=rate)
    run(worker)
    edge = worker.edge(worker.chunk)
    worker.receive(Order(7, AT_ONCE, Set(("v", "level"), 0.25)))
    worker.ring.set_read(3000)
    run(worker)
    assert [r.sample for r in worker.take_reports() if isinstance(r, Took)] == [edge + lag]
