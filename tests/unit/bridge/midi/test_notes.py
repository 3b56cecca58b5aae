"""Bytes of MIDI messages to the keys held and to control values."""

from typing import Annotated

import mido
import pytest

from bridge.midi.notes import DRUMS, SENSING_S, HeldKeys, Knobs
from engine.controls import Control, Live
from engine.messages.session import Keys, Set

ON, OFF, CC, SENSING, RESET = 0x90, 0x80, 0xB0, 0xFE, 0xFF


def test_keys_are_told_rising_and_only_when_they_change() -> None:
    keys = HeldKeys()
    assert keys.feed((ON, 64, 100)) == Keys((64,))
    assert keys.feed((ON, 60, 1)) == Keys((60, 64))
    assert keys.feed((ON, 60, 90)) is None
    assert keys.feed((OFF, 61, 0)) is None
    assert keys.feed((OFF, 64, 64)) == Keys((60,))
    assert keys.feed((OFF, 60, 0)) == Keys(())


def test_note_on_without_velocity_is_note_off() -> None:
    keys = HeldKeys()
    keys.feed((ON, 60, 100))
    assert keys.feed((ON, 60, 0)) == Keys(())


def test_messages_of_mido_are_taken() -> None:
    keys = HeldKeys()
    assert keys.feed(mido.Message("note_on", note=60, velocity=3, channel=2).bytes()) == Keys((60,))
    assert keys.feed(mido.Message("note_off", note=60, channel=2).bytes()) == Keys(())


def test_key_held_on_two_channels_stays_until_both_let_go() -> None:
    keys = HeldKeys()
    keys.feed((ON, 60, 1))
    assert keys.feed((ON | 1, 60, 1)) is None
    assert keys.feed((OFF, 60, 0)) is None
    assert keys.feed((OFF | 1, 60, 0)) == Keys(())


def test_pads_are_no_pitches() -> None:
    keys = HeldKeys()
    assert keys.feed((ON | DRUMS, 36, 100)) is None
    assert HeldKeys(ignored=()).feed((ON | DRUMS, 36, 100)) == Keys((36,))


def test_pedal_holds_what_fingers_let_go() -> None:
    keys = HeldKeys()
    keys.feed((CC, 64, 127))
    keys.feed((ON, 60, 1))
    assert keys.feed((OFF, 60, 0)) is None
    assert keys.feed((ON, 67, 1)) == Keys((60, 67))
    assert keys.feed((CC, 64, 10)) == Keys((67,))
    assert keys.feed((OFF, 67, 0)) == Keys(())


def test_pedal_of_one_channel_leaves_another_alone() -> None:
    keys = HeldKeys()
    keys.feed((CC | 3, 64, 127))
    keys.feed((ON, 60, 1))
    assert keys.feed((OFF, 60, 0)) == Keys(())


def test_key_struck_again_under_the_pedal_is_under_the_finger() -> None:
    keys = HeldKeys()
    for message in ((CC, 64, 127), (ON, 60, 1), (OFF, 60, 0), (ON, 60, 1)):
        keys.feed(message)
    assert keys.feed((CC, 64, 0)) is None
    assert keys.pitches == (60,)


def test_sostenuto_holds_the_keys_that_were_down_and_no_others() -> None:
    keys = HeldKeys()
    for message in ((ON, 60, 1), (CC, 66, 127), (ON, 64, 1), (OFF, 60, 0)):
        keys.feed(message)
    keys.feed((CC, 66, 127))  # sent again: catches no more
    assert keys.feed((OFF, 64, 0)) == Keys((60,))
    assert keys.feed((CC, 66, 0)) == Keys(())


def test_hold_2_holds_like_the_sustain_pedal_and_beside_it() -> None:
    keys = HeldKeys()
    for message in ((CC, 64, 127), (CC, 69, 127), (ON, 60, 1), (OFF, 60, 0)):
        keys.feed(message)
    assert keys.feed((CC, 64, 0)) is None
    assert keys.feed((CC, 69, 0)) == Keys(())


ZONE = ((CC, 101, 0), (CC, 100, 6), (CC, 6, 15))


@pytest.mark.parametrize("setup", [ZONE, ()], ids=["set up", "shown by its notes"])
@pytest.mark.parametrize("number", [64, 66, 69])
def test_pedal_on_the_manager_channel_of_mpe_holds_all_members(setup: tuple[tuple[int, ...]], number: int) -> None:
    keys = HeldKeys()
    for message in (*setup, (ON | 1, 60, 1), (ON | 2, 64, 1), (CC, number, 127), (OFF | 1, 60, 0), (OFF | 2, 64, 0)):
        keys.feed(message)
    assert keys.pitches == (60, 64)
    assert keys.feed((CC, number, 0)) == Keys(())


@pytest.mark.parametrize("setup", [ZONE, ()], ids=["set up", "shown by its notes"])
@pytest.mark.parametrize("number", [120, 123])
def test_all_notes_off_on_the_manager_channel_releases_all_members(setup: tuple[tuple[int, ...]], number: int) -> None:
    keys = HeldKeys()
    for message in (*setup, (ON | 1, 60, 1), (ON | 2, 64, 1)):
        keys.feed(message)
    assert keys.feed((CC, number, 0)) == Keys(())


def test_drum_channel_is_a_member_like_others_where_a_zone_has_it() -> None:
    keys = HeldKeys()
    for message in ZONE:
        keys.feed(message)
    assert keys.feed((ON | DRUMS, 60, 1)) == Keys((60,))


def test_two_zones_keep_to_their_own_channels() -> None:
    keys = HeldKeys()
    upper = ((CC | 15, 101, 0), (CC | 15, 100, 6), (CC | 15, 6, 7))
    for message in (*ZONE, *upper, (ON | 1, 60, 1), (ON | 14, 72, 1), (CC | 15, 123, 0)):
        keys.feed(message)
    assert keys.pitches == (60,)


def test_pedal_can_be_left_out() -> None:
    keys = HeldKeys(sustain=False)
    keys.feed((CC, 64, 127))
    keys.feed((ON, 60, 1))
    assert keys.feed((OFF, 60, 0)) == Keys(())


@pytest.mark.parametrize("number", [120, 123, 124, 125, 126, 127])
def test_all_notes_off_lets_go_of_its_channel(number: int) -> None:
    keys = HeldKeys()
    for message in ((CC, 64, 127), (ON, 60, 1), (ON, 62, 1), (OFF, 62, 0), (ON | 1, 70, 1)):
        keys.feed(message)
    assert keys.feed((CC, number, 0)) == Keys((70,))


def test_reset_of_controllers_lifts_the_pedal() -> None:
    keys = HeldKeys()
    for message in ((CC, 64, 127), (ON, 60, 1), (OFF, 60, 0), (ON, 62, 1)):
        keys.feed(message)
    assert keys.feed((CC, 121, 0)) == Keys((62,))


def test_system_reset_lets_go_of_everything() -> None:
    keys = HeldKeys()
    keys.feed((ON, 60, 1))
    keys.feed((ON | 5, 61, 1))
    assert keys.feed((RESET,)) == Keys(())


def test_cable_that_falls_silent_lets_go() -> None:
    keys = HeldKeys()
    keys.feed((SENSING,), 10.0)
    keys.feed((ON, 60, 1), 10.1)
    keys.feed((SENSING,), 10.4)
    assert keys.expire(10.4 + SENSING_S) is None
    assert keys.expire(10.4 + SENSING_S + 0.01) == Keys(())
    assert keys.expire(99.0) is None


def test_sender_without_sensing_may_be_silent_for_ever() -> None:
    keys = HeldKeys()
    keys.feed((ON, 60, 1), 0.0)
    assert keys.expire(1e6) is None
    assert keys.pitches == (60,)


@pytest.mark.parametrize(
    "message", [(), (ON,), (ON, 60), (ON, 200, 1), (ON, 60, -1), (0xF0, 1, 2), (0xE0, 0, 64), (60, 60, 60)]
)
def test_what_is_not_about_keys_changes_nothing(message: tuple[int, ...]) -> None:
    keys = HeldKeys()
    keys.feed((ON, 48, 1))
    assert keys.feed(message) is None
    assert keys.pitches == (48,)


def test_release_is_told_once() -> None:
    keys = HeldKeys()
    keys.feed((ON, 60, 1))
    assert keys.release() == Keys(())
    assert keys.release() is None


def control(kind: type, live: Live) -> Control:
    return Control(("musika", "x"), kind, live, 0)


def test_knob_spreads_over_the_range_of_its_control() -> None:
    knobs = Knobs({7: control(float, Live(-60.0, 6.0, "level", "dB"))})
    assert knobs.feed((CC, 7, 0)) == Set(("musika", "x"), -60.0)
    assert knobs.feed((CC, 7, 64)) == Set(("musika", "x"), -27.0)
    assert knobs.feed((CC | 9, 7, 127)) == Set(("musika", "x"), 6.0)


def test_knob_gives_a_value_once() -> None:
    knobs = Knobs({7: control(int, Live(0, 3, "n"))})
    values = [said.value for position in range(128) if (said := knobs.feed((CC, 7, position))) is not None]
    assert values == [0, 1, 2, 3]
    assert all(type(value) is int for value in values)


def test_knob_turns_switches_and_choices() -> None:
    switch = Knobs({1: control(bool, Live(0, 1, "on"))})
    assert [switch.feed((CC, 1, v)) for v in (63, 64)] == [Set(("musika", "x"), False), Set(("musika", "x"), True)]
    choice = Knobs({1: control(str, Live(0, 8, "kind", choices=("a", "b", "c")))})
    said = [choice.feed((CC, 1, v)) for v in (0, 64, 127)]
    assert [s.value for s in said if s is not None] == ["a", "b", "c"]


@pytest.mark.parametrize("message", [(CC, 8, 1), (CC, 7), (ON, 7, 1), (CC, 7, 128), ()])
def test_other_messages_are_no_knobs(message: tuple[int, ...]) -> None:
    assert Knobs({7: control(float, Live(0.0, 1.0, "x"))}).feed(message) is None


def test_controls_for_knobs_come_from_declarations() -> None:
    from dataclasses import dataclass

    from engine.controls import walk

    @dataclass(frozen=True)
    class Some:
        gain: Annotated[float, Live(0.0, 2.0, "level")] = 1.0

    (gain,) = walk(Some(), ("voice",))
    assert Knobs({20: gain}).feed((CC, 20, 127)) == Set(("voice", "gain"), 2.0)
