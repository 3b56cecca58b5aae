"""A time in words is one tick, whoever asks."""

import pytest

from engine.errors import ControlError
from engine.messages.session import BAR, BEAT, NOW, When


@pytest.mark.parametrize(
    ("when", "here", "bar_ticks", "tick"),
    [
        (BEAT, 0.0, 1920, 480.0),
        (BEAT, 479.9, 1920, 480.0),
        (BEAT, 480.0, 1920, 960.0),
        (BEAT, 500.0, 1440, 960.0),
        (BAR, 500.0, 1920, 1920.0),
        (BAR, 1920.0, 1920, 3840.0),
        (BAR, 1500.0, 1440, 2880.0),
        (BAR, -0.5, 1920, 0.0),
        (When("at", 3), 500.0, 1440, 4320.0),
        (When("at", 0), 500.0, 1920, 0.0),
        (NOW, 500.0, 1920, None),
        (When("sample", 7), 500.0, 1920, None),
    ],
)
def test_a_time_in_words_is_a_tick(when: When, here: float, bar_ticks: int, tick: float | None) -> None:
    assert when.tick(here, bar_ticks) == tick


def test_a_time_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ControlError, match="time is now, beat, bar, at or sample, got 'later'"):
        When("later").tick(0.0, 1920)
