"""An output whose processes the test plays: a lost sender is replaced by one that knows what sounds."""

import time
from collections.abc import Iterator

import pytest

from bridge.audio.port import PortError
from bridge.midi.driver import MidiOpened, MidiRefusal
from bridge.midi.out import MidiOutput, NoOutput
from bridge.midi.output_commands import AllNotesOff, Book, Raw, SetPulse, Strike
from bridge.midi.sender import SenderSetup, Sent, sender_main, watch_main
from bridge.midi.sources import MidiSource, NoMidiError
from engine.band.ledger import Booking
from engine.music.pulse import Pulse
from tests.realtime.midi import until
from tests.unit.bridge.midi.children import FakeChild

SINK = MidiSource("ALSA", "Synth 20:0")


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[MidiOutput]:
    monkeypatch.setattr("bridge.midi.out.ChildProcess", FakeChild)
    monkeypatch.setattr("bridge.midi.out._AGAIN_S", 0.01)
    monkeypatch.setattr("bridge.midi.out._LOOK_S", 0.01)
    monkeypatch.setattr(FakeChild, "made", [])
    monkeypatch.setattr(FakeChild, "first", [MidiOpened(SINK)])
    made = MidiOutput("synth", SenderSetup(channels=(0, 1)))
    yield made
    made.stop()


def senders() -> list[FakeChild]:
    return [child for child in FakeChild.made if child.main is sender_main]


def test_commands_reach_the_sender(output: MidiOutput) -> None:
    commands = [SetPulse(None), Strike(-1, 0, 60, 80), AllNotesOff()]
    assert all(output.send(command) for command in commands)
    assert senders()[0].taken() == commands
    assert output.name == "ALSA: Synth 20:0"


def test_a_restarted_sender_knows_what_the_lost_one_left_sounding(output: MidiOutput) -> None:
    pulse = Pulse(time.perf_counter(), 0.0, 120.0)
    output.send(SetPulse(pulse))
    output.send(Raw((b"\xc1\x20",)))
    output.send(Book((Booking(1, 0, 1e6, 1, 40), Booking(2, 1e6, 2e6, 1, 45))))
    output.send(Strike(-1, 0, 60, 80))
    senders()[0].die()
    assert until(lambda: len(senders()) == 2, 5.0)
    assert (senders()[0].killed, senders()[0].closed) == (1, 1)
    name, patient, setup = senders()[1].args
    assert (name, patient) == ("Synth", True)
    assert setup == SenderSetup(channels=(0, 1), owed=((0, 60), (1, 40)), raw=(b"\xc1\x20",))
    assert output.poll() == ["MIDI output ALSA: Synth 20:0: its process has ended; waiting for it"]
    assert not output.send(AllNotesOff())  # dropped: the port is not there yet
    senders()[1].other.send(MidiOpened(SINK))
    assert until(lambda: output.send(AllNotesOff()), 5.0)
    assert senders()[1].taken()[0] == SetPulse(pulse)
    assert output.poll() == ["ALSA: Synth 20:0 is back"]
    assert output.stats.losses == 1


def test_a_stop_while_the_port_is_lost_leaves_the_note_offs_owed(output: MidiOutput) -> None:
    output.send(Strike(-1, 0, 60, 80))
    senders()[0].die()
    assert until(lambda: not output.send(AllNotesOff()), 5.0)
    assert until(lambda: len(senders()) == 2, 5.0)
    senders()[1].die()
    assert until(lambda: len(senders()) == 3, 5.0)
    assert senders()[2].args[2].owed == ((0, 60),)


def test_the_end_of_the_watcher_is_a_loss_of_the_port(output: MidiOutput) -> None:
    (watcher,) = (child for child in FakeChild.made if child.main is watch_main)
    watcher.die()
    assert until(lambda: len(senders()) == 2, 5.0)
    assert "its port has gone" in output.poll()[0]


def test_counts_of_a_lost_sender_are_kept(output: MidiOutput) -> None:
    senders()[0].other.send(Sent(5, 4, 1, 0, 0, 1, 7, (0.001, 0.002)))
    assert until(lambda: output.stats.ons == 5, 5.0)
    assert output.lateness() == [0.001, 0.002]
    senders()[0].die()
    assert until(lambda: len(senders()) == 2, 5.0)
    senders()[1].other.send(MidiOpened(SINK))
    senders()[1].other.send(Sent(2, 3, 0, 0, 0, 0, 0, ()))
    assert until(lambda: output.stats.ons == 7, 5.0)
    assert (output.stats.offs, output.stats.stale, output.stats.sounding) == (7, 1, 0)


@pytest.mark.parametrize(("nothing", "kind"), [(True, NoMidiError), (False, PortError)])
def test_a_refusal_is_an_error_with_its_reason(
    nothing: bool, kind: type[PortError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.midi.out.ChildProcess", FakeChild)
    monkeypatch.setattr(FakeChild, "made", [])
    monkeypatch.setattr(FakeChild, "first", [MidiRefusal("no such output", nothing)])
    with pytest.raises(kind, match="no such output"):
        MidiOutput("synth")
    assert FakeChild.made[0].closed == 1


def test_no_output_drops_everything() -> None:
    output = NoOutput()
    assert not output.send(AllNotesOff())
    assert (output.poll(), output.lateness(), output.stats.ons) == ([], [], 0)
    output.stop()
