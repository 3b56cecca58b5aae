"""The three doors, in one process and without time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.limiter import CEILING_DB
from engine.errors import ControlError, ShapeError
from engine.messages.session import (
    BAR,
    NOW,
    Applied,
    Beats,
    Changed,
    Command,
    Cover,
    Event,
    Failed,
    Jump,
    Keep,
    Keys,
    Load,
    Locate,
    Panic,
    Play,
    Progression,
    Record,
    Recorded,
    RecordStop,
    Set,
    SetChord,
    Stop,
    Swapped,
    Telemetry,
    Tempo,
    Thawed,
    Unload,
    VoiceDown,
    VoiceUp,
    When,
)
from engine.session.session import Session, VoiceSpec
from engine.worker.process import LocalWorker
from tests.unit.engine.faulty import FailsAt, open_faulty

RATE = 48000
BAR_SAMPLES = 96000


@pytest.fixture
def session() -> Iterator[Session]:
    with session_of(VoiceSpec(name="a", bundle="constant"), VoiceSpec(name="b", bundle="tone", playing=False)) as made:
        yield made


def session_of(*voices: VoiceSpec, **more: Any) -> Session:
    return Session(RATE, voices=voices, opener=open_faulty, in_process=True, **more)


def events_of(session: Session, kind: type[Any]) -> list[Any]:
    return [event for event in session.poll() if isinstance(event, kind)]


def answer(session: Session, command: Command, when: When = NOW, wait: int = 2 * BAR_SAMPLES) -> Event:
    """Post a command and read until it is answered."""
    number = session.post(command, when)
    for _ in range(0, wait, 480):
        session.read(480)
        for event in session.poll():
            if isinstance(event, Applied | Failed) and event.number == number:
                return event
    raise AssertionError(f"{command} was never answered")


def test_it_sounds_from_the_first_sample_with_a_fade(session: Session) -> None:
    out = session.read(4000)
    assert out.shape == (2, 4000)
    assert out.dtype == np.float32
    assert (np.diff(out[0]) >= -1e-6).all()
    assert out[0, 0] < 0.01
    assert (out[:, 960:] == 0.5).all()


def test_read_into_fills_what_it_is_given(session: Session) -> None:
    out = np.zeros((2, 700), np.float32)
    session.read_into(out)
    assert out[0, -1] > 0.3
    with pytest.raises(ShapeError):
        session.read_into(np.zeros((700, 2), np.float32))


def test_set_is_heard_exactly_from_the_sample_that_is_told(session: Session) -> None:
    session.read(10000)
    session.poll()
    number = session.post(Set(("a", "level"), 0.25))
    first = session.position
    out = session.read(10000)
    events = session.poll()
    (applied,) = [event for event in events if isinstance(event, Applied)]
    assert (applied.number, applied.voice) == (number, "a")
    assert (out[:, : applied.sample - first] == 0.5).all()
    assert (out[:, applied.sample - first :] == 0.25).all()
    assert [event for event in events if isinstance(event, Changed)] == [Changed(path=("a", "level"), value=0.25)]
    assert session.controls()["a"].level == 0.25
    assert 0 < applied.latency_ms <= 200


def test_the_output_latency_is_part_of_what_is_told() -> None:
    def latency_ms(port_ms: float) -> float:
        with session_of(VoiceSpec(name="a", bundle="constant"), output_latency_ms=port_ms) as made:
            made.read(10000)
            event = answer(made, Set(("a", "level"), 0.1))
            assert isinstance(event, Applied)
            return event.latency_ms

    assert latency_ms(25.0) == pytest.approx(latency_ms(0.0) + 25.0)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Set(("a", "level"), 7.0), "0..1"),
        (Set(("a", "volume"), 0.5), "level"),
        (Set(("nobody", "gain"), 0.0), "a, b"),
        (Set((), 0.0), "no voice"),
        (Play(voice="nobody"), "nobody"),
        (SetChord(name="H9"), "H9"),
        (Progression(chords="Am | | F"), "bar"),
        (Record(), "folder"),
        (RecordStop(), "nothing is being recorded"),
        (Keep(), "bar"),
        (Load(voice="", bundle="tone"), "no voice"),
    ],
)
def test_what_cannot_be_done_is_answered_and_changes_nothing(session: Session, command: Command, says: str) -> None:
    session.read(5000)
    event = answer(session, command)
    assert isinstance(event, Failed)
    assert says in event.reason
    assert (session.read(1000) == 0.5).all()


def test_a_time_that_does_not_exist_is_refused(session: Session) -> None:
    event = answer(session, Set(("a", "level"), 0.1), When("tomorrow"))
    assert isinstance(event, Failed)


def test_every_command_is_answered_exactly_once(session: Session) -> None:
    commands = [
        Set(("a", "level"), 0.1), Set(("b", "octave"), 1), Play(voice="a"), Play(voice="b"), Stop(voice="b"),
        Jump(voice="a", seed=4), Load(voice="b", bundle="tone", seed=2), Tempo(bpm=90.0), Beats(count=3), Locate(bar=5),
        SetChord(name="Am"), Progression(chords="Am F"), Keys((60, 64, 67)), Keys(()), Unload(voice="b"), Panic(),
    ]  # fmt: skip
    numbers = [session.post(command) for command in commands]
    answers: list[int] = []
    for _ in range(50):
        session.read(4800)
        answers += [event.number for event in session.poll() if isinstance(event, Applied | Failed)]
    assert sorted(answers) == sorted(numbers)


def test_at_the_bar_is_at_the_bar(session: Session) -> None:
    session.read(5000)
    event = answer(session, Set(("a", "level"), 0.25), BAR)
    assert isinstance(event, Applied)
    assert BAR_SAMPLES <= event.sample < BAR_SAMPLES + 960, "the first chunk edge at or after the bar line"


def test_stop_and_play_at_the_bar_are_on_the_sample() -> None:
    with session_of(VoiceSpec(name="a", bundle="constant"), keep_s=0.0) as made:
        made.read(5000)
        made.post(Stop(voice="a"), BAR)
        made.post(Play(voice="a"), When("at", 2))
        out = np.concatenate([np.zeros((2, 5000), np.float32), made.read(3 * BAR_SAMPLES)], axis=1)
    level = np.abs(out[0])
    assert (level[5000:BAR_SAMPLES] == 0.5).all()
    assert (level[BAR_SAMPLES + 720 : 2 * BAR_SAMPLES] == 0).all()
    assert level[2 * BAR_SAMPLES] > 0
    assert (level[2 * BAR_SAMPLES + 960 : 3 * BAR_SAMPLES] == 0.5).all()
    assert np.abs(np.diff(level[5000:])).max() < 0.01


def test_a_change_for_the_bar_moves_with_the_tempo(session: Session) -> None:
    session.read(5000)
    session.post(Set(("a", "level"), 0.25), BAR)
    tempo = answer(session, Tempo(bpm=240.0))
    assert isinstance(tempo, Applied)
    conductor = session.conductor()
    line = conductor.sample_of(1920.0, 0.0)
    assert line < BAR_SAMPLES * 0.7
    out = session.read(BAR_SAMPLES)
    change = int(np.argmax(out[0] == 0.25)) + session.position - BAR_SAMPLES
    assert line <= change < line + 960


def test_conductor_commands_hold_for_all_voices_from_one_sample() -> None:
    with session_of(*(VoiceSpec(name=name, bundle="constant") for name in "abc")) as made:
        made.read(7000)
        event = answer(made, Tempo(bpm=60.0))
        made.read(48000)
        states = [made.players()[name]._worker.state for name in "abc"]  # type: ignore[attr-defined]
        assert isinstance(event, Applied)
        conductor = made.conductor()
        assert conductor.stretches[-1].sample == event.sample
        for state in states:
            for sample, tick in state.spans[20:]:
                assert tick == pytest.approx(conductor.tick_at(sample))


def test_later_conductor_commands_never_undo_earlier_ones(session: Session) -> None:
    session.read(1000)
    session.post(Locate(bar=7))
    session.post(Tempo(bpm=77.0))
    session.post(Beats(count=3))
    session.read(20000)
    conductor = session.conductor()
    assert conductor.tempo_at(session.position) == 77.0
    assert conductor.bar_at(session.position)[0] == 7
    assert conductor.bar_ticks_at(session.position) == 3 * 480


def test_panic_is_silent_within_its_fade_and_lasts(session: Session) -> None:
    session.read(10000)
    session.post(Panic())
    out = session.read(48000)
    assert (out[:, 480:] == 0).all()
    assert np.abs(np.diff(out)).max() < 0.01
    assert not any(status.playing for status in session.voices())
    assert isinstance(answer(session, Play(voice="a")), Applied)
    session.read(2000)
    assert (session.read(100) == 0.5).all()


def test_a_late_voice_is_covered_and_comes_back_while_others_play_on() -> None:
    with session_of(VoiceSpec(name="a", bundle="tone"), VoiceSpec(name="b", bundle="constant")) as made:
        made.read(3 * BAR_SAMPLES // 2)
        made.poll()
        player: Any = made.players()["a"]
        player.stalled = True
        covered = made.read(BAR_SAMPLES)
        assert float(np.abs(covered - 0.5).reshape(2, -1, 480).max(axis=2).min()) > 0.01, "the voice went silent"
        player.stalled = False
        made.read(4800)
        events = made.poll()
        (cover,) = [event for event in events if isinstance(event, Cover)]
        (thaw,) = [event for event in events if isinstance(event, Thawed)]
        assert (cover.voice, thaw.voice) == ("a", "a")
        assert thaw.samples == thaw.sample - cover.sample
        assert made.read(100).shape == (2, 100)
        telemetry = [event for event in events if isinstance(event, Telemetry)][-1]
        assert (telemetry.underruns, telemetry.voices[0].late, telemetry.voices[1].late) == (1, 1, 0)


@pytest.mark.parametrize("how", ["raise", "nan", "inf", "shape"])
def test_a_voice_that_fails_is_started_again_from_its_state(how: str) -> None:
    FailsAt.steps = 0
    with session_of(VoiceSpec(name="a", bundle=f"{how}:60")) as made:
        made.read(RATE)
        made.poll()
        out = made.read(3 * RATE)
        events = made.poll()
        assert [event.voice for event in events if isinstance(event, VoiceDown)] == ["a"]
        assert [event.restarted for event in events if isinstance(event, VoiceUp)] == [True]
        assert np.isfinite(out).all()
        quiet = np.abs(out).max(axis=0).reshape(-1, 480).max(axis=1)
        assert quiet.min() > 0.01, "a failure was heard as silence"


def test_controls_and_conductor_outlive_a_failure() -> None:
    with session_of(VoiceSpec(name="a", bundle="constant")) as made:
        made.read(5000)
        made.post(Set(("a", "level"), 0.125))
        made.post(Tempo(bpm=99.0))
        made.read(48000)
        player: Any = made.players()["a"]
        player.kill()
        made.post(Set(("a", "gain"), -6.0))
        made.read(48000)
        assert made.controls()["a"].level == 0.125
        assert made.controls()["a"].gain == -6.0
        assert made.read(10)[0, 0] == pytest.approx(0.125 * 10 ** (-6 / 20))
        again: Any = made.players()["a"]
        assert again is not player
        assert again._worker.conductor == made.conductor()


def test_a_voice_that_fails_for_ever_is_given_up_and_others_play_on() -> None:
    FailsAt.steps = 0
    bundle = "raise:3-2000"
    with session_of(VoiceSpec(name="a", bundle=bundle), VoiceSpec(name="b", bundle="constant")) as made:
        downs = []
        for _ in range(30):
            made.read(RATE)
            downs += [event.reason for event in made.poll() if isinstance(event, VoiceDown)]
        assert len(downs) == 7
        assert "given up" in downs[-1]
        assert (made.read(1000) == 0.5).all()
        event = answer(made, Play(voice="a"))
        assert isinstance(event, Failed)
        assert "load" in event.reason
        assert isinstance(answer(made, Load(voice="a", bundle="tone")), Applied)
        made.read(4800)
        assert not (made.read(1000) == 0.5).all()


def test_a_bundle_that_is_missing_at_the_start_is_told() -> None:
    with session_of(VoiceSpec(name="a", bundle="nothing"), VoiceSpec(name="b", bundle="constant")) as made:
        made.read(5000)
        (failed,) = events_of(made, Failed)
        assert failed.command == Load(voice="a", bundle="nothing", seed=0)
        assert (made.read(100) == 0.5).all()


def test_load_changes_over_at_the_bar_without_a_gap() -> None:
    with session_of(VoiceSpec(name="a", bundle="constant")) as made:
        made.read(10000)
        made.post(Set(("a", "gain"), -6.0))
        made.read(10000)
        made.poll()
        event = answer(made, Load(voice="a", bundle="constant two"), BAR)
        assert isinstance(event, Applied)
        assert event.sample == BAR_SAMPLES
        made.read(RATE)
        assert made.voices()[0].bundle == "constant two"
        assert made.controls()["a"].gain == -6.0, "values go over to the new bundle"


def test_load_never_dips_and_tells_when() -> None:
    with session_of(VoiceSpec(name="a", bundle="constant")) as made:
        out = [made.read(10000)]
        made.post(Load(voice="a", bundle="constant two"), BAR)
        out.append(made.read(BAR_SAMPLES))
        (swapped,) = events_of(made, Swapped)
    assert swapped == Swapped(voice="a", bundle="constant two", sample=BAR_SAMPLES)
    sound = np.concatenate(out, axis=1)[:, 960:]
    assert sound.min() >= 0.5, "equal power: never below either voice"
    assert (sound[:, : BAR_SAMPLES - 960] == 0.5).all()


def test_a_bundle_that_cannot_be_loaded_leaves_the_old_one_playing(session: Session) -> None:
    session.read(10000)
    event = answer(session, Load(voice="a", bundle="nothing"))
    assert isinstance(event, Failed)
    assert "plays on" in event.reason
    assert (session.read(20000) == 0.5).all()
    assert session.voices()[0].bundle == "constant"


def test_a_bundle_that_loads_past_the_bar_changes_over_at_the_next(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready comes late, as from a process that takes its time."""
    session.read(BAR_SAMPLES - 9600)
    held: list[Any] = []
    reports = LocalWorker.reports
    monkeypatch.setattr(
        LocalWorker, "reports", lambda self: (held.append(self), [])[1] if not self.stalled else reports(self)
    )
    number = session.post(Load(voice="a", bundle="constant two"), BAR)
    session.read(20000)
    monkeypatch.undo()
    session.read(BAR_SAMPLES)
    (applied,) = [event for event in session.poll() if isinstance(event, Applied) and event.number == number]
    assert held
    assert applied.sample == 2 * BAR_SAMPLES


def test_a_stop_just_before_a_change_over_leaves_silence_and_the_new_bundle(session: Session) -> None:
    session.read(5000)
    number = session.post(Load(voice="a", bundle="constant two"), BAR)
    session.read(BAR_SAMPLES - 5000 - 4800)
    session.post(Stop(voice="a"))
    out = session.read(20000)
    assert (out[:, 1000:] == 0).all()
    answers = [event for event in session.poll() if isinstance(event, Applied | Failed)]
    assert number in [event.number for event in answers if isinstance(event, Applied)]
    assert session.voices()[0].bundle == "constant two"
    assert isinstance(answer(session, Play(voice="a")), Applied)
    session.read(2000)
    assert (session.read(100) == 0.5).all()


def test_panic_outlasts_a_load_that_was_under_way(session: Session) -> None:
    session.read(5000)
    session.post(Load(voice="a", bundle="constant two"), BAR)
    session.read(1000)
    session.post(Panic())
    out = session.read(2 * BAR_SAMPLES)
    assert (out[:, 1000:] == 0).all()


def test_a_second_load_replaces_the_first(session: Session) -> None:
    session.read(1000)
    first = session.post(Load(voice="a", bundle="tone"), BAR)
    assert isinstance(answer(session, Load(voice="a", bundle="constant three"), BAR), Applied)
    session.read(4800)
    assert session.voices()[0].bundle == "constant three"
    assert first != 0


def test_a_load_for_a_new_name_makes_a_voice(session: Session) -> None:
    session.read(1000)
    event = answer(session, Load(voice="c", bundle="constant"))
    assert isinstance(event, Applied)
    session.read(2000)
    assert [status.name for status in session.voices()] == ["a", "b", "c"]
    assert np.allclose(session.read(100), 10 ** (CEILING_DB / 20)), "three voices of 1 together, limited"


def test_unload_ends_a_voice_and_load_brings_it_back(session: Session) -> None:
    session.read(5000)
    assert isinstance(answer(session, Unload(voice="a")), Applied)
    assert (session.read(2000)[:, 1000:] == 0).all()
    assert not session.voices()[0].loaded
    assert isinstance(answer(session, Set(("a", "level"), 0.1)), Failed)
    assert isinstance(answer(session, Load(voice="a", bundle="constant")), Applied)
    assert isinstance(answer(session, Play(voice="a")), Applied)
    session.read(2000)
    assert (session.read(100) > 0).all()


def test_telemetry_comes_ten_times_a_second(session: Session) -> None:
    session.poll()
    session.read(RATE)
    telemetry = events_of(session, Telemetry)
    assert 9 <= len(telemetry) <= 11
    last = telemetry[-1]
    assert last.tempo_bpm == 120.0
    assert last.level_db == pytest.approx(-6.0, abs=0.1)
    assert last.voices[0].fill_ms >= 30


def test_a_recording_is_what_was_read(tmp_path: Path) -> None:
    with session_of(VoiceSpec(name="a", bundle="tone"), folder=tmp_path) as made:
        made.read(20000)
        started = made.post(Record(name="take.wav"), BAR)
        out = made.read(2 * BAR_SAMPLES)
        made.post(RecordStop(), BAR)
        out = np.concatenate([out, made.read(2 * BAR_SAMPLES)], axis=1)
        for _ in range(200):
            done = events_of(made, Recorded)
            if done:
                break
            made.read(480)
    assert started > 0
    sound, _ = soundfile.read(done[0].path, dtype="float32", always_2d=True)
    first = BAR_SAMPLES - 20000
    assert np.array_equal(sound.T, out[:, first : first + 2 * BAR_SAMPLES])


def test_voices_need_different_names() -> None:
    with pytest.raises(ControlError, match="a, a"):
        session_of(VoiceSpec(name="a"), VoiceSpec(name="a"))


def test_closing_twice_is_harmless(session: Session) -> None:
    session.close()
    session.close()


def test_an_order_that_a_voice_died_with_is_answered_by_the_next() -> None:
    with session_of(VoiceSpec(name="a", bundle="constant")) as made:
        made.read(5000)
        number = made.post(Set(("a", "level"), 0.125), When("sample", 40000))
        player: Any = made.players()["a"]
        while not player._worker._inbox:  # until it has the order, which it has not obeyed yet
            made.read(480)
            assert made.position < 40000
        player.kill()
        made.read(48000)
        assert [event.number for event in events_of(made, Applied)] == [number]
        assert made.controls()["a"].level == 0.125


def test_a_host_that_does_not_poll_misses_the_oldest_events(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.session.session._EVENTS_KEPT", 5)
    for _ in range(20):
        session.post(Set(("nobody", "level"), 0.125))
        session.read(480)
    numbers = [event.number for event in session.poll() if isinstance(event, Failed)]
    assert numbers == list(range(21 - len(numbers), 21))
    assert 0 < len(numbers) <= 5
