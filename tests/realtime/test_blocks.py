"""Time that does not pass: the sound does not depend on how it is read, and time is kept whatever happens."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages.session import Cover, Load, Set, SetChord, Telemetry, Tempo
from engine.session.session import Session, VoiceSpec

VOICES = (VoiceSpec(name="a", seed=1), VoiceSpec(name="b", seed=2, controls={("octave",): -1}))


def read_in(blocks: list[int], samples: int, rate: int) -> np.ndarray:
    with Session(rate, voices=VOICES, in_process=True) as session:
        parts, at = [], 0
        while at < samples:
            size = min(blocks[len(parts) % len(blocks)], samples - at)
            parts.append(session.read(size))
            at += size
    return np.concatenate(parts, axis=1)


@settings(max_examples=12, deadline=None)
@given(blocks=st.lists(st.integers(1, 4096), min_size=1, max_size=20), rate=st.sampled_from([44100, 48000, 96000]))
def test_any_blocks_give_the_sound_of_one_big_read(blocks: list[int], rate: int) -> None:
    if sum(blocks) / len(blocks) < 50:
        blocks = [*blocks, 4096]  # thousands of tiny reads prove nothing more
    samples = rate // 2
    assert np.array_equal(read_in(blocks, samples, rate), read_in([samples], samples, rate))


@pytest.mark.parametrize("block", [1, 2, 63, 64, 127, 256, 441, 512, 1024, 4096])
def test_every_usual_block_size_gives_the_same_sound(block: int) -> None:
    samples = 3000 if block < 64 else 24000
    assert np.array_equal(read_in([block], samples, 48000), read_in([samples], samples, 48000))


def test_streamed_is_offline() -> None:
    """A voice in a session is what its streamer gives by hand, but for the fade at the start."""
    from engine.conductor import Conductor
    from engine.models.tone import ToneStreamer

    streamer = ToneStreamer()
    spec, state, conductor = streamer.spec, streamer.begin(1), Conductor(48000)
    conductor.set_tempo(120.0, 0.0)
    offline = np.concatenate(
        [
            streamer.step(state, streamer.controls(), conductor.span(k * spec.chunk, spec.frames, spec.hop, 48000))
            for k in range(25)
        ],
        axis=1,
    )
    with Session(48000, voices=(VoiceSpec(name="a", seed=1),), in_process=True) as session:
        live = session.read(offline.shape[1])
    assert np.array_equal(live[:, 960:], offline[:, 960:])


def clicks_of(sound: np.ndarray) -> np.ndarray:
    """Samples at which a click begins."""
    loud = np.flatnonzero(np.abs(sound[0]) > 0.05)
    return loud[np.diff(loud, prepend=-10000) > 4000]


def test_beats_fall_on_their_samples_through_tempo_changes() -> None:
    """Only the click sounds: its onsets are where the conductor says, within a millisecond, whatever the tempo does."""
    quiet = VoiceSpec(name="a", controls={("click",): 1.0})
    with Session(48000, voices=(quiet,), in_process=True) as session:
        session.post(SetChord(name="N"))
        parts = [session.read(24000)]
        for tempo in (93.0, 187.5, 60.0):
            session.post(Tempo(bpm=tempo))
            parts.append(session.read(2 * 48000))
        conductor = session.conductor()
    sound = np.concatenate(parts, axis=1)
    with Session(48000, voices=(VoiceSpec(name="a", controls={("click",): 0.0}),), in_process=True) as session:
        session.post(SetChord(name="N"))
        still = [session.read(24000)]
        for tempo in (93.0, 187.5, 60.0):
            session.post(Tempo(bpm=tempo))
            still.append(session.read(2 * 48000))
    found = clicks_of(sound - np.concatenate(still, axis=1))
    beats = [conductor.sample_of(480.0 * beat, 0.0) for beat in range(1, 60)]
    beats = [beat for beat in beats if 2000 < beat < sound.shape[1] - 2000]
    assert len(found) >= len(beats)
    for beat in beats:
        assert np.abs(found - beat).min() < 48, f"no click within a millisecond of sample {beat}"


def test_a_worker_that_stalls_now_and_then_never_shifts_time() -> None:
    """After any stalls the voice is where an undisturbed one is."""
    rng = np.random.default_rng(0)
    with Session(48000, voices=(VoiceSpec(name="a"),), in_process=True) as session:
        session.read(48000)
        covers = 0
        for _ in range(40):
            player: Any = session.players()["a"]
            player.stalled = bool(rng.random() < 0.3)
            session.read(int(rng.integers(500, 9000)))
            covers += sum(isinstance(event, Cover) for event in session.poll())
        player.stalled = False
        session.read(9600)
        worker: Any = player._worker
        assert covers >= 3
        heard_tick = worker.conductor.tick_at(worker.edge(worker.chunk))
        assert heard_tick == pytest.approx(session.conductor().tick_at(worker.edge(worker.chunk)))
        assert session.position <= worker.edge(worker.chunk) <= session.position + 9600


def test_normal_running_needs_no_cover() -> None:
    with Session(44100, voices=VOICES, in_process=True) as session:
        for turn in range(200):
            session.post(Set(("a", "gain"), -float(turn % 20)))
            if turn % 50 == 10:
                session.post(Load(voice="b", bundle="tone", seed=turn))
            session.read(1000)
        last = [event for event in session.poll() if isinstance(event, Telemetry)][-1]
        assert last.underruns == 0


def test_controls_are_heard_within_two_tenths_of_a_second() -> None:
    with Session(48000, voices=VOICES, in_process=True, output_latency_ms=25.0) as session:
        session.read(48000)
        latencies = []
        for turn in range(60):
            session.post(Set(("a", "gain"), -float(turn % 20)))
            session.read(700 + 13 * turn)
            latencies += [event.latency_ms for event in session.poll() if isinstance(event, Telemetry)]
        assert 0 < max(latencies) <= 200
