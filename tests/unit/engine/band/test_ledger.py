"""What leaves the ledger, case by case; the rule as a whole is in tests/fuzz."""

import pytest

from engine.band.ledger import MOST_BOOKED, SHORTEST_S, STALE_S, Booking, DueMessage, Ledger
from engine.music.pulse import Pulse

PULSE = Pulse(10.0, 0.0, 125.0)  # a tick a millisecond


def sent(dues: list[DueMessage]) -> list[str]:
    return [due.message.hex() for due in dues]


def test_note_leaves_at_its_tick_and_ends_at_its_end() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 100, 300, 2, 60, 90)])
    assert ledger.next_s(PULSE) == pytest.approx(10.1)
    assert ledger.due(10.09, PULSE) == []
    assert ledger.due(10.1, PULSE) == [DueMessage(pytest.approx(10.1), bytes((0x92, 60, 90)))]
    assert ledger.next_s(PULSE) == pytest.approx(10.3)
    assert sent(ledger.due(10.31, PULSE)) == ["823c00"]


def test_same_key_again_is_let_go_first() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 500, 0, 60), Booking(2, 200, 900, 0, 60)])
    ledger.due(10.0, PULSE)
    assert sent(ledger.due(10.2, PULSE)) == ["803c00", "903c5a"]
    assert ledger.due(10.6, PULSE) == []  # the first one's end is not the second's
    assert sent(ledger.due(10.9, PULSE)) == ["803c00"]


def test_ends_come_before_beginnings_of_the_same_time() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 100, 200, 0, 62), Booking(2, 0, 100, 0, 60)])
    ledger.due(10.0, PULSE)
    assert sent(ledger.due(10.1, PULSE)) == ["803c00", "903e5a"]


def test_late_note_is_not_played_but_late_ends_are() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 100, 0, 60), Booking(2, 100, 200, 0, 64)])
    ledger.due(10.0, PULSE)
    assert sent(ledger.due(10.1 + STALE_S + 0.01, PULSE)) == ["803c00"]
    assert ledger.counts.stale == 1


def test_short_note_sounds_ten_milliseconds_and_twice_the_same_is_one() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 1, 0, 60), Booking(2, 3, 4, 0, 60)])
    ledger.due(10.0, PULSE)
    assert ledger.due(10.005, PULSE) == []
    assert sent(ledger.due(10.0 + SHORTEST_S, PULSE)) == ["803c00"]
    assert (ledger.counts.ons, ledger.counts.merged) == (1, 1)


def test_tempo_change_moves_what_is_booked_and_what_sounds() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 1000, 0, 60), Booking(2, 1000, 1100, 0, 62)])
    ledger.due(10.0, PULSE)
    slow = PULSE.at_tempo(62.5, 10.5)
    assert ledger.next_s(slow) == pytest.approx(11.5)
    assert sent(ledger.due(11.5, slow)) == ["803c00", "903e5a"]


def test_withdrawn_notes_do_not_begin_and_what_sounds_ends_as_booked() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 500, 1, 60), Booking(2, 100, 200, 1, 62), Booking(3, 100, 200, 5, 64)])
    ledger.due(10.0, PULSE)
    ledger.withdraw(100, [1])
    assert sent(ledger.due(10.1, PULSE)) == ["95405a"]
    assert sent(ledger.due(10.6, PULSE)) == ["854000", "813c00"]
    ledger.book([Booking(4, 700, 800, 1, 60), Booking(5, 700, 800, 5, 64)])
    ledger.withdraw(600)
    assert ledger.booked == 0


def test_all_notes_off_ends_what_sounds_and_cancels_what_is_booked() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 500, 1, 60), Booking(2, 0, 500, 5, 60), Booking(3, 100, 200, 1, 62)])
    ledger.due(10.0, PULSE)
    assert sent(ledger.all_notes_off(10.05)) == ["813c00", "853c00"]
    assert (ledger.booked, ledger.sounding) == (0, frozenset())
    assert ledger.due(20.0, PULSE) == []


def test_end_silences_notes_first_then_channels() -> None:
    ledger = Ledger()
    ledger.use_channels((9,))
    ledger.book([Booking(1, 0, 500, 1, 60)])
    ledger.due(10.0, PULSE)
    assert sent(ledger.finish(10.1)) == ["813c00", "b14000", "b17b00", "b94000", "b97b00"]
    assert sent(ledger.finish(10.1, panic=True)) == ["b14000", "b17b00", "b17800", "b94000", "b97b00", "b97800"]


def test_what_a_lost_port_left_sounding_is_ended_when_it_is_back() -> None:
    ledger = Ledger()
    ledger.book([Booking(1, 0, 500, 1, 60), Booking(2, 100, 200, 1, 62)])
    ledger.due(10.0, PULSE)
    ledger.port_lost()
    assert ledger.due(10.1, PULSE) == []
    assert sent(ledger.port_back(11.0)) == ["813c00", "b14000", "b17b00"]
    assert ledger.finish(12.0) != []
    assert ledger.counts.ons == ledger.counts.offs == 1


def test_struck_key_ends_when_it_is_let_go_and_by_its_own_hand_only() -> None:
    ledger = Ledger()
    assert sent(ledger.strike(1, 0, 60, 80, 1.0)) == ["903c50"]
    assert sent(ledger.strike(2, 0, 60, 70, 2.0)) == ["803c00", "903c46"]
    assert ledger.release(1, 0, 60, 2.5) == []
    assert sent(ledger.release(2, 0, 60, 3.0)) == ["803c00"]


def test_flood_is_refused_and_counted() -> None:
    ledger = Ledger()
    ledger.book(Booking(n, n, n + 1, 0, 60) for n in range(MOST_BOOKED + 5))
    assert (ledger.booked, ledger.counts.refused) == (MOST_BOOKED, 5)


@pytest.mark.parametrize("wrong", [(16, 60, 90), (0, 128, 90), (0, 60, 128), (-1, 0, 0)])
def test_booking_that_no_wire_could_carry_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        Booking(1, 0, 1, *wrong)
