"""What the next sender is given if the present one is lost."""

import pytest

from bridge.midi.memory import OutputMemory
from bridge.midi.output_commands import AllNotesOff, AllSoundOff, Book, OutputCommand, Raw, Release, SetPulse, Strike
from bridge.midi.sender import SenderSetup
from engine.band.ledger import Booking
from engine.music.pulse import Pulse

PULSE = Pulse(10.0, 0.0, 125.0)  # a tick a millisecond


def memory(*commands: OutputCommand, delivered: bool = True) -> OutputMemory:
    made = OutputMemory(SenderSetup(channels=(1,), raw=(b"\xc1\x20",)))
    for command in (SetPulse(PULSE), *commands):
        made.remember(command, delivered=delivered)
    return made


def owed(made: OutputMemory, now_s: float) -> list[tuple[int, int]]:
    return list(made.setup(now_s).owed)


def test_a_booked_note_is_owed_from_its_start_until_its_end_was_surely_sent() -> None:
    made = memory(Book((Booking(1, 1000, 2000, 1, 40), Booking(2, 9000, 9100, 9, 36))))
    assert owed(made, 10.9) == []
    assert owed(made, 11.5) == [(1, 40)]
    assert owed(made, 15.9) == [(1, 40)]  # it may have been lost before its end, and only now be noticed
    assert owed(made, 16.1) == []
    assert owed(made, 19.05) == [(9, 36)]


def test_a_struck_key_is_owed_until_its_release() -> None:
    made = memory(Strike(-1, 0, 60, 80), Strike(-2, 0, 64, 80))
    assert owed(made, 99.0) == [(0, 60), (0, 64)]
    made.remember(Release(-1, 0, 60), delivered=True)
    assert owed(made, 99.0) == [(0, 64)]


@pytest.mark.parametrize("end", [AllNotesOff(), AllSoundOff()])
def test_after_all_notes_off_nothing_is_owed(end: OutputCommand) -> None:
    made = memory(Book((Booking(1, 0, 9000, 1, 40),)), Strike(-1, 0, 60, 80), end)
    assert owed(made, 11.0) == []


@pytest.mark.parametrize("end", [AllNotesOff(), AllSoundOff(), Release(-1, 0, 60)])
def test_what_is_sent_to_a_lost_port_ends_no_note(end: OutputCommand) -> None:
    made = memory(Book((Booking(1, 0, 9000, 1, 40),)), Strike(-1, 0, 60, 80))
    made.remember(end, delivered=False)
    assert owed(made, 11.0) == [(0, 60), (1, 40)]


def test_while_musical_time_stands_still_every_booked_note_may_have_sounded() -> None:
    made = memory(Book((Booking(1, 1000, 2000, 1, 40),)))
    made.remember(SetPulse(None), delivered=False)
    assert made.pulse is None
    assert owed(made, 10.0) == [(1, 40)]


def test_programs_are_sent_again_and_the_rest_of_the_setup_stays() -> None:
    setup = memory(Raw((b"\xc1\x21",)), Raw((b"\xc2\x19",))).setup(10.0)
    assert setup == SenderSetup(channels=(1,), raw=(b"\xc1\x20", b"\xc1\x21", b"\xc2\x19"))
