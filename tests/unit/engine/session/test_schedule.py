"""From words to samples, as late as possible."""

import pytest

from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import BAR, BEAT, NOW, Panic, When
from engine.session.schedule import Scheduled, Scheduler, Target, target_of

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
