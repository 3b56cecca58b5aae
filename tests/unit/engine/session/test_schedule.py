"""From words to samples, as late as possible."""

from collections.abc import Iterator

import pytest

from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import (
    BAR,
    BEAT,
    NOW,
    Applied,
    Beats,
    ClearChord,
    ClearProgression,
    ClearWaiting,
    Failed,
    Load,
    Panic,
    Progression,
    SetChord,
    Tempo,
    Unload,
    When,
)
from engine.session.schedule import MOST_WAITING, Scheduled, Scheduler, Target, target_of
from engine.session.session import Session, VoiceSpec
from tests.unit.engine.faulty import open_faulty
from tests.unit.engine.session.test_session import answer, events_of

BEAT_SAMPLES = 24000  # at 48 kHz and 120 bpm


@pytest.mark.parametrize(
    ("when", "after", "sample"),
    [
        (BEAT, 0.0, BEAT_SAMPLES),
        (BEAT, BEAT_SAMPLES - 2.0, BEAT_SAMPLES),
        (BEAT, BEAT_SAMPLES - 0.5, 2 * BEAT_SAMPLES),  # less than a sample away has passed
        (BEAT, BEAT_SAMPLES + 0.0, 2 * BEAT_SAMPLES),
        (BAR, 1000.0, 4 * BEAT_SAMPLES),
        (When("at", 2), 1000.0, 8 * BEAT_SAMPLES),
        (When("sample", 12345), 1000.0, 12345),
        (When("sample", 12), 1000.0, 1000),
    ],
)
def test_words_become_samples(when: When, after: float, sample: float) -> None:
    conductor = Conductor(48000)
    assert target_of(when, conductor, after).near(conductor, after) == pytest.approx(sample)


def test_now_is_as_soon_as_can_be() -> None:
    conductor = Conductor(48000)
    target = target_of(NOW, conductor, 500.0)
    assert target.at_once
    assert target.near(conductor, 700.0) == 700.0


def test_a_line_moves_with_the_tempo() -> None:
    conductor = Conductor(48000)
    target = target_of(BAR, conductor, 0.0)
    conductor.set_tempo(60.0, 2.0 * BEAT_SAMPLES)
    assert target.near(conductor, 2.0 * BEAT_SAMPLES) == pytest.approx(6 * BEAT_SAMPLES)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ControlError, match="later"):
        target_of(When("later"), Conductor(48000), 0.0)


def test_the_agenda_gives_out_what_is_near_once_and_in_order() -> None:
    agenda, conductor = Scheduler(), Conductor(48000)
    for number, sample in ((1, 900.0), (2, 300.0), (3, 5000.0), (4, 300.0)):
        agenda.add(Scheduled(number, Panic(), Target(None, sample), 0.0))
    near = agenda.take_near(conductor, 0.0, 1000.0)
    assert [(due.number, sample) for due, sample in near] == [(2, 300.0), (4, 300.0), (1, 900.0)]
    assert agenda.take_near(conductor, 0.0, 1000.0) == []
    assert [due.number for due, _ in agenda.take_near(conductor, 4500.0, 5500.0)] == [3]


def test_commands_that_wait_are_not_looked_at_until_one_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Housekeeping asks two hundred times a second."""
    agenda, conductor = Scheduler(), Conductor(48000)
    for number in range(4000):
        at = When("at", 4000 - number) if number % 2 else When("sample", 10_000_000 + number)
        agenda.add(Scheduled(number, Panic(), target_of(at, conductor, 0.0), 0.0))
    looked: list[Target] = []
    near = Target.near

    def counted(self: Target, conductor: Conductor, after: float) -> float:
        looked.append(self)
        return near(self, conductor, after)

    monkeypatch.setattr(Target, "near", counted)
    assert agenda.take_near(conductor, 0.0, 4800.0) == []
    assert len(looked) <= 2
    conductor.set_tempo(400.0, 0.0)
    bar = 4 * 60 * 48000 / 400
    taken = agenda.take_near(conductor, 0.0, 10.5 * bar)
    assert [due.number for due, _ in taken] == [3999, 3997, 3995, 3993, 3991]
    assert [sample for _, sample in taken] == pytest.approx([bar * (4000 - due.number) for due, _ in taken])


def test_a_jump_of_the_transport_makes_what_has_passed_due() -> None:
    agenda, conductor = Scheduler(), Conductor(48000)
    for number, bar in enumerate((5, 90, 2, 7)):
        agenda.add(Scheduled(number, Panic(), target_of(When("at", bar), conductor, 0.0), 0.0))
    conductor.locate(conductor.bar_ticks * 8.0, 1000.0)
    assert [due.number for due, _ in agenda.take_near(conductor, 1000.0, 1000.0)] == [0, 2, 3]
    assert len(agenda) == 1


def test_so_many_may_wait_and_no_more_but_what_is_for_now_is_always_taken() -> None:
    agenda, conductor = Scheduler(), Conductor(48000)
    later = target_of(When("at", 100), conductor, 0.0)
    for number in range(MOST_WAITING):
        agenda.add(Scheduled(number, Panic(), later, 0.0))
    with pytest.raises(ControlError, match="/waiting/clear"):
        agenda.add(Scheduled(MOST_WAITING, Panic(), later, 0.0))
    agenda.add(Scheduled(MOST_WAITING, Panic(), target_of(NOW, conductor, 0.0), 0.0))
    assert [due.number for due in agenda.clear()] == list(range(MOST_WAITING + 1))
    assert len(agenda) == 0


@pytest.fixture
def session() -> Iterator[Session]:
    voices = [VoiceSpec(name="a", bundle="constant")]
    with Session(48000, voices=voices, opener=open_faulty, in_process=True) as made:
        made.read(4800)
        yield made


def test_more_commands_than_may_wait_are_refused_in_words(session: Session) -> None:
    for _ in range(MOST_WAITING):
        session.post(Panic(), When("at", 50))
    assert events_of(session, Failed) == []
    refused = answer(session, Panic(), When("at", 50))
    assert isinstance(refused, Failed)
    assert "/waiting/clear" in refused.reason
    assert isinstance(answer(session, SetChord(name="Am")), Applied), "what is for now is taken"


def test_what_waits_can_be_dropped_and_each_is_answered(session: Session) -> None:
    numbers = [session.post(command, When("at", 50)) for command in (Panic(), Tempo(bpm=90.0))]
    numbers.append(session.post(Load(voice="a", bundle="constant two"), When("at", 50)))
    cleared = session.post(ClearWaiting())
    session.read(4800)
    events = session.poll()
    assert sorted(event.number for event in events if isinstance(event, Failed)) == numbers
    assert cleared in [event.number for event in events if isinstance(event, Applied)]
    session.read(4800)
    assert session.voices()[0].bundle == "constant"


def test_settings_are_read_back_as_they_were_sent(session: Session) -> None:
    for command in (Tempo(bpm=98.5), Beats(count=3), SetChord(name="Am7/G"), Progression(chords="Am F | C | G")):
        answer(session, command)
    read = session.conductor().settings()
    assert read == {
        "transport/tempo": 98.5,
        "transport/beats": 3,
        "harmony/chord": "Am7/G",
        "harmony/progression": "Am F | C | G",
    }
    answer(session, ClearChord())
    answer(session, ClearProgression())
    read = session.conductor().settings()
    assert (read["harmony/chord"], read["harmony/progression"]) == ("", "")


def test_names_are_free_again_and_a_session_keeps_no_voice_that_was_unloaded(session: Session) -> None:
    for number in range(20):
        assert isinstance(answer(session, Load(voice=f"v{number}", bundle="constant")), Applied)
        assert isinstance(answer(session, Unload(voice=f"v{number}")), Applied)
        session.read(48000)
    assert len(session.voices()) <= 2
    assert len(session._mixer.lanes) == len(session.voices())


def test_a_voice_that_is_unloaded_may_come_back_at_the_next_bar(session: Session) -> None:
    answer(session, Unload(voice="a"))
    session.read(48000)
    answer(session, Load(voice="b", bundle="constant"))
    assert isinstance(answer(session, Load(voice="a", bundle="constant"), BAR), Applied)
    assert [voice.name for voice in session.voices()] == ["b", "a"]
    assert session._mixer.lanes[0] is session._voices["a"].lane, "mixed in the order of a replay"
