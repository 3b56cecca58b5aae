"""The range of tempo, its ends included."""

from engine.music.units import TEMPO_BPM, is_tempo


def test_a_tempo_is_within_its_range() -> None:
    low, high = TEMPO_BPM
    assert (low, high) == (20.0, 400.0)  # what files, takes and players were promised
    assert is_tempo(low)
    assert is_tempo(high)
    assert not is_tempo(low - 0.01)
    assert not is_tempo(high + 0.01)
    assert not is_tempo(float("nan"))
