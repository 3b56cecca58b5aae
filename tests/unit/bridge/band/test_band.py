"""The band as a whole: every note ends exactly once, commands are typed and answered, roles keep to their channels."""

from dataclasses import dataclass
from typing import Any

import pytest

from bridge.band.clock import MidiTime, OwnTime
from bridge.midi.output_commands import (
    AllNotesOff,
    AllSoundOff,
    Book,
    OutputCommand,
    Raw,
    Release,
    SetPulse,
    StartClock,
    StopClock,
    Strike,
    Withdraw,
)
from bridge.settings import SettingsError
from engine.band.controls import BandControls
from engine.messages.session import BandLoad, BandStart, BandStop, Locate, Panic, Set, Stop, Tempo
from engine.music.audio import Audio
from engine.music.score import ROLES, Note
from engine.protocols.accompanist import BAR_TICKS, CHANNELS, PROGRAMS
from tests.unit.bridge.band.live import BAR_S, Rig

BASS, DRUM, LEAD, PIANO = (CHANNELS[role] for role in ("bass", "drum", "lead", "piano"))


def kinds(commands: list[OutputCommand]) -> list[type]:
    return [type(command) for command in commands]


def programs(rig: Rig) -> dict[int, int]:
    return {message[0] & 0x0F: message[1] for _, message in rig.output.wire if message[0] & 0xF0 == 0xC0}


# start and time


def test_musical_time_begins_when_the_process_is_ready() -> None:
    rig = Rig(loaded=False).play(1.0)
    assert (rig.band.state, rig.band.accompanist.pulse, rig.output.ons) == ("loading", None, [])
    rig.process.load()
    rig.bars(2)
    assert rig.band.state == "playing"
    assert [plan.bar for plan in rig.view.plans] == [0, 1, 2]
    assert rig.band.name == "pattern"
    assert "pattern is ready after 0.50 s" in rig.view.lines
    rig.close()


def test_a_process_that_cannot_load_ends_the_band_with_its_reason() -> None:
    rig = Rig(loaded=False)
    rig.process.fail(-1, "no bundle 'x'")
    with pytest.raises(SettingsError, match="no bundle 'x'"):
        rig.play(0.1)


def test_the_process_is_stopped_if_the_ports_cannot_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Rig] = []

    def refuse(self: Rig, *args: object) -> Any:
        made.append(self)
        raise SettingsError("no port")

    monkeypatch.setattr(Rig, "_ports", refuse)
    with pytest.raises(SettingsError, match="no port"):
        Rig()
    assert made[0].process.stopped == 1


def test_a_count_in_is_a_bar_of_four_clicks_with_the_first_accented() -> None:
    rig = Rig(OwnTime(120.0, count_in=True)).play(0.3 + BAR_S - 0.01)
    clicks = [message for _, message in rig.output.wire if message[0] == 0x90 | DRUM and message[1] == 37]
    assert [message[2] for message in clicks] == [110, 80, 80, 80]
    rig.close()


def test_a_start_sends_programs_then_the_clock_from_the_present_tick() -> None:
    rig = Rig(send_clock=True).play(0.02)
    sent = kinds(rig.output.commands)
    assert sent == [AllNotesOff, StopClock, AllNotesOff, SetPulse, Raw, StartClock]
    assert rig.output.setup.clock
    rig.play(1.0)
    wire = [message for _, message in rig.output.wire]
    assert wire.count(b"\xfa") == 1
    assert wire.count(b"\xf8") == 35
    rig.close()


def test_programs_can_be_left_out() -> None:
    rig = Rig(programs=False).play(0.02)
    assert rig.output.setup.raw == ()
    rig.play(3.0)
    assert not [message for _, message in rig.output.wire if message[0] & 0xF0 == 0xC0]
    rig.close()


def test_a_lost_midi_clock_stops_the_band_and_says_so() -> None:
    rig = Rig(MidiTime()).play(0.02)
    rig.key(0xFA)
    for _ in range(96):
        rig.key(0xF8)
        rig.play(0.02)
    assert rig.band.state == "playing"
    rig.play(6.0)
    assert rig.band.state == "resting"
    assert any("clock is lost" in line for line in rig.view.lines)
    assert rig.output.held() == {}
    rig.close()


# every note-on has exactly one note-off


def test_stop_ends_every_note_and_cancels_every_booked_one() -> None:
    rig = Rig().bars(2.4)
    assert rig.output.held()
    answers = rig.post(BandStop())
    rig.play(0.02)
    assert (answers, rig.output.held(), rig.band.state) == ([""], {}, "resting")
    count, books = len(rig.output.ons), len(rig.output.commands)
    rig.bars(2)
    assert len(rig.output.ons) == count
    rig.post(BandStart())
    rig.bars(3.5)
    booked = [c for c in rig.output.commands[books:] if isinstance(c, Book)]
    assert 0 < len(rig.output.ons) - count <= sum(len(book.notes) for book in booked)
    assert {plan.bar for plan in rig.view.plans[-4:]} == {0, 1, 2, 3}
    rig.close()


def test_locate_ends_every_note_and_plays_on_from_its_bar() -> None:
    rig = Rig().bars(2.4)
    assert rig.output.held()
    rig.post(Locate(bar=40))
    rig.play(0.015)
    assert rig.output.held() == {}
    rig.bars(2)
    assert [plan.bar for plan in rig.view.plans[-2:]] == [41, 42]
    rig.close()


def test_a_jump_of_tempo_moves_sounding_and_booked_notes_and_drops_none() -> None:
    rig = Rig().bars(2.4)
    before = len(rig.output.commands)
    for bpm in (60.0, 240.0, 20.0, 400.0, 120.0):
        assert rig.post(Tempo(bpm=bpm)) == []
        rig.play(0.35)
        assert rig.band.accompanist.pulse is not None
        assert rig.band.accompanist.pulse.tempo_bpm == bpm
    assert AllNotesOff not in kinds(rig.output.commands[before:])
    rig.bars(2)
    assert {plan.source for plan in rig.view.plans} == {"made"}
    pulse = rig.band.accompanist.pulse
    assert pulse is not None
    books = [command for command in rig.output.commands if isinstance(command, Book)]
    due = [note for book in books for note in book.notes if note.start <= pulse.tick_at(rig.now)]
    assert len(rig.output.ons) == len(due)
    rig.close()


def test_another_band_takes_over_between_bars_and_leaves_no_note() -> None:
    rig = Rig().bars(1.6)
    first, rig._loaded = rig.process, False
    answers = rig.post(BandLoad(name="other"))
    rig.bars(1)
    assert (rig.band.name, answers) == ("pattern", [])  # the first plays until the other is ready
    rig.process.load()
    rig.bars(2)
    assert (rig.band.name, answers, first.stopped) == ("other", [""], 1)
    assert rig.process.requests
    bars = [plan.bar for plan in rig.view.plans]
    assert bars == list(range(bars[-1] + 1))
    assert "other takes over" in rig.view.lines
    rig.close()
    assert rig.process.stopped == 1


def test_a_swap_waits_for_the_bar_that_is_expected() -> None:
    rig = Rig().bars(1.0)
    first = rig.process
    first.seconds = None
    rig.bars(0.92)
    assert rig.band.accompanist.awaiting_bar
    rig.post(BandLoad(name="other"))
    rig.play(0.05)
    assert rig.band.name == "pattern"
    first.fail(first.requests[-1].number, "died")
    rig.play(0.05)
    assert rig.band.name == "other"
    rig.close()


def test_a_band_loaded_before_the_first_is_ready_starts_musical_time() -> None:
    rig = Rig(loaded=False).play(0.1)
    rig.post(BandLoad(name="other"))
    rig.play(0.1)
    rig.process.load()
    rig.bars(1.5)
    assert (rig.band.name, rig.band.state) == ("other", "playing")
    assert rig.view.plans
    rig.close()


def test_a_band_that_cannot_load_is_refused_and_the_present_one_plays_on() -> None:
    rig = Rig().bars(1)
    rig._loaded = False
    one, two = rig.post(BandLoad(name="one")), rig.post(BandLoad(name="two"))
    rig.play(0.02)
    assert one == ["two was loaded instead"]
    rig.process.fail(-1, "no bundle 'two'")
    rig.bars(1)
    assert (two, rig.band.name) == (["no bundle 'two'"], "pattern")
    assert [process.stopped for process in rig.processes] == [0, 1, 1]
    rig.close()


def test_a_lost_port_keeps_no_note_when_its_next_sender_takes_over() -> None:
    rig = Rig().bars(2.4)
    assert rig.output.held()
    rig.output.lose()
    rig.bars(0.5)
    rig.output.restart(rig.band.accompanist.pulse)
    assert rig.output.held() == {}
    rig.bars(2)
    rig.close()


def test_a_role_that_is_muted_starts_no_more_notes_and_its_sounding_ones_end() -> None:
    rig = Rig().bars(2.3)
    assert BASS in rig.output.channels()
    rig.post(Set(("band", "targets"), "drum,piano"))
    rig.play(0.011)
    count = len(rig.output.ons)
    assert Withdraw in kinds(rig.output.commands[-3:])
    rig.bars(2)
    assert {channel for _, channel, _ in rig.output.ons[count:]} <= {DRUM, PIANO}
    assert rig.process.requests[-1].targets == ("drum", "piano")
    assert {channel for channel, _ in rig.output.held()} <= {DRUM, PIANO}
    rig.close()


def test_a_role_that_joins_gets_its_program() -> None:
    rig = Rig(controls=BandControls(targets="drum")).bars(1.2)
    assert programs(rig) == {DRUM: PROGRAMS["drum"]}
    rig.post(Set(("band", "targets"), "drum,bass"))
    rig.bars(2)
    assert programs(rig) == {DRUM: PROGRAMS["drum"], BASS: PROGRAMS["bass"]}
    assert rig.output.channels() == {DRUM, BASS}
    rig.close()


def test_panic_silences_used_channels_and_the_band_plays_on_from_the_next_bar() -> None:
    rig = Rig(thru=True).bars(2.4)
    rig.key(0x90, 60, 100)
    rig.play(0.02)
    answers, before = rig.post(Panic()), len(rig.output.wire)
    rig.play(0.011)
    last = [message for _, message in rig.output.wire[before:]]
    for role in (*ROLES[1:], "lead"):
        for number in (64, 123, 120):
            assert bytes((0xB0 | CHANNELS[role], number, 0)) in last
    assert (answers, rig.output.held()) == ([""], {})
    rig.key(0x80, 60, 0)
    rig.bars(2)
    assert {plan.source for plan in rig.view.plans} == {"made"}
    assert AllSoundOff in kinds(rig.output.commands)
    assert Release not in kinds(rig.output.commands)  # the key's note has ended already
    rig.close()


def test_close_ends_notes_ports_and_processes_even_if_one_of_them_fails() -> None:
    rig = Rig().bars(2.4)
    rig.post(BandLoad(name="other"))
    rig._loaded = False
    rig.play(0.001)

    def fail() -> None:
        raise OSError("stuck")

    rig.processes[0].stop = fail  # type: ignore[method-assign]
    rig.close()
    assert rig.output.stopped == 1
    assert "while stopping: OSError: stuck" in rig.view.lines


# the player's keys


def captured_now(rig: Rig) -> tuple[Note, ...]:
    pulse = rig.band.accompanist.pulse
    return () if pulse is None else rig.band.accompanist.capture.notes(0, pulse.tick_at(rig.now))


def test_keys_pass_on_the_channel_of_the_players_role() -> None:
    rig = Rig(thru=True, controls=BandControls(player="piano")).play(0.02)
    rig.key(0x95, 60, 100)
    rig.play(0.02)
    assert rig.output.held() == {(PIANO, 60): 1}
    rig.key(0x95, 60, 0)
    rig.play(0.02)
    assert rig.output.held() == {}
    assert programs(rig)[PIANO] == PROGRAMS["piano"]
    rig.close()


def test_a_key_is_released_on_the_channel_on_which_it_was_struck() -> None:
    rig = Rig(thru=True).play(0.02)
    rig.key(0x90, 60, 100)
    rig.play(0.05)
    rig.post(Set(("band", "player"), "piano"))
    rig.play(0.05)
    rig.key(0x80, 60, 0)
    rig.play(0.05)
    strike, release = (
        next(command for command in rig.output.commands if isinstance(command, kind)) for kind in (Strike, Release)
    )
    assert (strike.channel, release.channel) == (LEAD, LEAD)
    assert rig.output.held() == {}
    rig.close()


def test_an_unplugged_keyboard_releases_its_keys() -> None:
    rig = Rig(thru=True).bars(1)
    rig.key(0x90, 60, 100)
    rig.key(0x90, 64, 100)
    rig.play(0.5)
    assert {(LEAD, 60), (LEAD, 64)} <= set(rig.output.held())
    rig.band.inbox.release_all()
    rig.play(0.02)
    assert not {(LEAD, 60), (LEAD, 64)} & set(rig.output.held())
    captured = captured_now(rig)
    rig.play(1.0)
    assert captured
    assert captured_now(rig) == captured  # no note grows any more
    rig.close()


def test_a_key_struck_again_without_a_release_is_one_note_after_the_other() -> None:
    rig = Rig(thru=True).play(0.02)
    for _ in range(3):
        rig.key(0x90, 60, 100)
        rig.play(0.1)
    rig.key(0x80, 60, 0)
    rig.play(0.1)
    assert len([1 for _, channel, pitch in rig.output.ons if (channel, pitch) == (LEAD, 60)]) == 3
    assert (LEAD, 60) not in rig.output.held()
    rig.close()


def test_without_thru_no_key_is_sent() -> None:
    rig = Rig().play(0.02)
    rig.key(0x90, 60, 100)
    rig.play(0.1)
    assert Strike not in kinds(rig.output.commands)
    rig.close()


@pytest.mark.parametrize("message", [(0x90,), (0x90, 60), (0x90, 200, 100), (0x90, 60, 300), (0xB0, 64, 127), ()])
def test_what_is_no_key_is_not_passed_on(message: tuple[int, ...]) -> None:
    rig = Rig(thru=True).play(0.02)
    rig.key(*message)
    rig.play(0.1)
    assert Strike not in kinds(rig.output.commands)
    rig.close()


def test_late_keys_are_taken_back_by_the_latency_of_the_input() -> None:
    rig = Rig(input_ms=250.0).bars(1.15)
    rig.key(0x90, 72, 90)
    rig.play(0.01)
    pulse = rig.band.accompanist.pulse
    assert pulse is not None
    (note,) = rig.band.accompanist.capture.notes(0, pulse.tick_at(rig.now))
    assert abs(note.start - pulse.tick_at(rig.now - 0.26)) <= 60


# channels and sound


def test_each_role_plays_on_its_own_channel() -> None:
    rig = Rig().bars(3)
    assert rig.output.channels() == {CHANNELS[role] for role in ROLES[1:]}
    for note in (note for command in rig.output.commands if isinstance(command, Book) for note in command.notes):
        assert note.channel != LEAD
    played = rig.view.plans[0].tracks
    line = rig.view.plans[0].bar * BAR_TICKS
    (book,) = [
        c for c in rig.output.commands if isinstance(c, Book) and c.notes[0].start // BAR_TICKS == line // BAR_TICKS
    ]
    for role, notes in played.items():
        assert sorted(n.pitch for n in notes) == sorted(n.pitch for n in book.notes if n.channel == CHANNELS[role])
    assert programs(rig) == {CHANNELS[role]: PROGRAMS[role] for role in ROLES[1:]}
    assert set(rig.output.setup.channels) == set(CHANNELS.values())
    rig.close()


class Heard:
    """A sound that keeps the commands it gets."""

    def __init__(self) -> None:
        self.commands: list[OutputCommand] = []

    def apply(self, command: OutputCommand) -> None:
        self.commands.append(command)

    def read(self, frames: int) -> Audio:
        raise AssertionError("its giver reads it")


def test_the_sound_gets_every_command_of_the_output() -> None:
    sound = Heard()
    rig = Rig(sound=sound).bars(2)
    assert sound.commands == rig.output.commands
    assert Book in kinds(sound.commands)
    rig.close()


# the process while it plays


def test_a_failed_bar_is_counted_and_replaced() -> None:
    rig = Rig().bars(2)
    rig.process.dead = True
    rig.bars(2)
    assert rig.band.accompanist.counts["failed"] > 0
    assert rig.view.plans[-1].source in ("reserve", "repeat")
    assert {news.why for news in rig.view.dropped} == {"no accompanist process"}
    rig.close()


def test_lines_of_the_ports_and_the_state_are_shown() -> None:
    rig = Rig()
    rig.output.lines.append("by hand is back")
    rig.bars(2.05)
    assert rig.view.lines[0] == "band: pattern; MIDI out: by hand"
    assert "by hand is back" in rig.view.lines
    status = rig.view.status
    assert status is not None
    assert status.tempo_bpm == 120.0
    assert status.tick == pytest.approx((rig.now - 100.3) / BAR_S * BAR_TICKS, abs=15)
    assert status.coming is not None
    assert status.fallbacks == 0
    rig.close()


# commands


def test_a_command_waits_for_its_tick() -> None:
    rig = Rig().play(0.3)
    answers = rig.post(Set(("band", "dynamics"), 0.25), tick=BAR_TICKS / 2)
    rig.bars(0.45)
    assert answers == []
    rig.bars(0.1)
    assert answers == [""]
    assert rig.band.controls.dynamics == 0.25


def test_a_command_with_a_tick_waits_while_musical_time_stands_still() -> None:
    rig = Rig().bars(1)
    rig.post(BandStop())
    rig.play(0.05)
    answers = rig.post(Set(("band", "dynamics"), 0.25), tick=0.0)
    rig.bars(1)
    assert answers == []


def test_controls_of_the_network_reach_the_process_and_the_one_that_loads() -> None:
    rig = Rig().bars(1)
    rig._loaded = False
    rig.post(BandLoad(name="other"))
    rig.post(Set(("band", "steps"), 5))
    rig.play(0.02)
    assert [getattr(process.controls, "steps", None) for process in rig.processes] == [5, 5]
    third = rig.post(BandLoad(name="third"))
    rig.play(0.02)
    assert getattr(rig.process.controls, "steps", None) == 5
    assert third == []


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("band", "steps"), 100_000, "takes"),
        (("band", "nothing"), 1, "no control nothing"),
        (("band", "targets"), "kazoo", "kazoo"),
        (("tone", "gain"), 0.0, "wanted one of the band"),
        ((), 0.0, "wanted one of the band"),
    ],
)
def test_a_control_that_cannot_be_set_changes_nothing_and_says_why(
    path: tuple[str, ...], value: object, says: str
) -> None:
    rig = Rig().play(0.1)
    before = rig.band.controls, rig.band.accompanist.settings
    answers = rig.post(Set(path, value))  # type: ignore[arg-type]
    rig.play(0.02)
    assert len(answers) == 1
    assert says in answers[0]
    assert (rig.band.controls, rig.band.accompanist.settings) == before


@dataclass(frozen=True)
class Dance:
    """No command at all."""


@pytest.mark.parametrize("unknown", [Dance(), Stop(voice="tone"), {"dance": 1}, "stop", None])
def test_an_unknown_command_is_refused_with_what_was_wanted(unknown: object) -> None:
    rig = Rig().play(0.1)
    sent = len(rig.output.commands)
    answers = rig.post(unknown)
    rig.play(0.02)
    assert len(answers) == 1
    assert f"got {type(unknown).__name__}" in answers[0]
    assert "BandStart" in answers[0]
    assert set(kinds(rig.output.commands[sent:])) <= {Book}


def test_a_refusal_that_nobody_waits_for_is_shown() -> None:
    rig = Rig().play(0.1)
    rig.band.post(Set(("band", "steps"), 100_000))
    rig.play(0.02)
    assert any(line.startswith("Set refused: ") and "100000" in line for line in rig.view.lines)


def test_run_steps_until_it_is_to_end() -> None:
    rig = Rig()
    calls = iter((False, False, False, True))
    rig.band.run(lambda: next(calls))
    assert rig.view.status is not None
    rig.close()
