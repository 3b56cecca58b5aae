"""The swing of a score is measured, taken out and put in again."""

import pytest

from engine.music.score import Meter, Note, Score
from engine.music.swing import swing_of

WHOLE = Score(())


def _eighths(ratio: float, bars: int = 8) -> list[Note]:
    return [Note(tick + at, 60, 60) for tick in range(0, bars * 1920, 480) for at in (0, round(480 * ratio))]


@pytest.mark.parametrize("ratio", [0.55, 0.6, 2 / 3, 0.7])
def test_a_swing_is_measured_within_a_hundredth_of_a_beat(ratio: float) -> None:
    late = [Note(note.start + (number % 3) * 3, 60, 60) for number, note in enumerate(_eighths(ratio))]
    assert swing_of(WHOLE, late).ratio == pytest.approx(ratio, abs=0.01)
    assert not swing_of(WHOLE, late).sixteenths


@pytest.mark.parametrize("ratio", [0.5, 0.51, 0.75, 0.25])
def test_straight_and_dotted_music_does_not_swing(ratio: float) -> None:
    assert not swing_of(WHOLE, _eighths(ratio)).swings


def test_a_few_late_notes_and_other_meters_do_not_swing() -> None:
    assert not swing_of(WHOLE, _eighths(2 / 3, 1)).swings
    assert not swing_of(WHOLE, [*_eighths(2 / 3, 8), *_eighths(0.5, 16)]).swings
    assert not swing_of(Score((), meters=(Meter(0, 12, 8),)), _eighths(2 / 3)).swings


def test_swung_notes_are_straight_eighths_and_triplets_sixteenths_and_back() -> None:
    swing = swing_of(WHOLE, _eighths(2 / 3))
    for swung, straight in ((0, 0), (320, 240), (160, 120), (480, 480), (800, 720), (400, 360)):
        assert swing.straight(Note(swung, 60, 1000)).start == straight
        assert swing.swung(Note(straight, 60, 1000)).start == swung
    assert swing.swung(Note(240, 60, 240)) == Note(320, 60, 160)
