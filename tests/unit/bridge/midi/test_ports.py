"""Finding a MIDI input by name, and what becomes of what is played, without a device."""

from collections.abc import Iterator, Sequence

import pytest

from bridge.audio.port import PortError
from bridge.midi import sources
from bridge.midi.driver import MidiOpened, MidiTwins
from bridge.midi.notes import SENSING_S
from bridge.midi.ports import MidiCommands, MidiInput
from bridge.midi.sources import MidiSource, NoMidiError, choose_again, choose_source, still_there, twins_of
from engine.messages.session import Keys, Set
from tests.realtime.midi import until
from tests.unit.bridge.midi.children import FakeChild

FOUND = [
    MidiSource("ALSA", "Midi Through:Midi Through Port-0 14:0"),
    MidiSource("ALSA", "Keystation 49:Keystation 49 MIDI 1 20:0"),
    MidiSource("Jack", "a2j:Keystation"),
    MidiSource("ALSA", "Launchpad 24:1"),
]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (None, 1),
        ("keystation", 1),
        ("jack: a2j", 2),
        ("LAUNCHPAD", 3),
        ("Launchpad 28:1", None),
        ("through", 0),
        ("Keystation 49:Keystation 49 MIDI 1", 1),
    ],
)
def test_input_is_found_by_part_of_its_name(name: str | None, index: int | None) -> None:
    if index is None:
        with pytest.raises(PortError, match="Launchpad 24:1"):
            choose_source(FOUND, name)
    else:
        assert choose_source(FOUND, name) is FOUND[index]


def test_pass_through_alone_is_no_keyboard() -> None:
    with pytest.raises(NoMidiError, match="virtual"):
        choose_source(FOUND[:1], None)


OWN = [
    MidiSource("ALSA", "Ripieno band:out 130:0"),
    MidiSource("Jack", "Ripieno band:out"),
    MidiSource("Jack", "Ripieno band-01:out"),
    MidiSource("Jack", "a2j:Ripieno band [130] (capture): out"),
    MidiSource("Jack", "Midi-Bridge:Ripieno band:out"),
    MidiSource("ALSA", "Ripieno:keys 131:0"),
]


@pytest.mark.parametrize("own", OWN)
def test_a_port_of_our_own_is_never_the_first_nor_meant_by_part_of_a_name(own: MidiSource) -> None:
    assert choose_source([own, FOUND[3]], None) is FOUND[3]
    with pytest.raises(NoMidiError, match="connect a keyboard"):
        choose_source([own], None)
    for part in ("out", "keys", "band"):
        with pytest.raises(PortError, match="no MIDI input is called"):
            choose_source([own], part)
    assert choose_source([own, FOUND[3]], "ripieno") is own


TWINS = [MidiSource("ALSA", f"Keystation:Keystation MIDI 1 {client}:0") for client in (20, 24, 28)]


def test_of_two_keyboards_of_one_name_the_loss_of_the_one_in_use_is_seen() -> None:
    names = [twin.name for twin in TWINS[:2]]
    assert still_there(TWINS[0], names, names)
    assert still_there(TWINS[0], names[:1], names)
    assert not still_there(TWINS[0], names[1:], names)
    same = MidiSource("Core MIDI", "Keystation")
    assert not still_there(same, ["Keystation"], ["Keystation", "Keystation"])
    moved = MidiSource("Windows MM", "MPK mini 1")
    assert still_there(moved, ["MPK mini 0"], ["Launchpad 0", "MPK mini 1"])
    assert not still_there(moved, ["MPK mini 0"], ["MPK mini 0", "MPK mini 1"])


def test_a_lost_keyboard_is_opened_again_and_its_twin_is_not() -> None:
    one, twin, new = TWINS
    twins = twins_of(one, [one.name, twin.name, FOUND[3].name])
    assert twins == (twin.name,)
    with pytest.raises(PortError, match="connect it again"):
        choose_again([twin, FOUND[3]], one, twins)
    assert choose_again([twin, one], one, twins) is one
    assert choose_again([twin, new], one, twins) is new


def test_stem_leaves_out_what_changes_from_day_to_day() -> None:
    assert FOUND[3].stem == "Launchpad"
    assert MidiSource("Windows MM", "MPK mini 2").stem == "MPK mini"
    assert MidiSource("Jack", "system:midi_capture_1").stem == "system:midi_capture_1"


def test_machine_without_midi_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(api: int) -> list[str]:
        raise PortError("not there")

    monkeypatch.setattr(sources, "names", absent)
    for look in (sources.midi_sources, lambda: sources.api_of(None)):
        with pytest.raises(NoMidiError, match="no MIDI system") as raised:
            look()
        assert "\n" not in str(raised.value)


def test_systems_that_are_there_are_listed_without_those_that_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import rtmidi

    def names(api: int) -> list[str]:
        if api != rtmidi.get_compiled_api()[-1]:
            raise PortError("not there")
        return ["keys"]

    monkeypatch.setattr(sources, "names", names)
    assert [source.name for source in sources.midi_sources()] == ["keys"]


def test_a_chord_is_posted_once_it_is_whole_and_not_again_while_it_is_let_go() -> None:
    posted: list[Keys | Set] = []
    player, at_s = MidiCommands(posted.append), 1.0
    for kind, gap_s in ((0x90, 0.004), (0x80, 0.015)):
        for pitch in (60, 64, 67):
            player.receive((kind, pitch, 100), at_s)
            at_s += gap_s
            player.check_timeout(at_s)
        at_s += 0.5
        player.check_timeout(at_s)
    assert posted == [Keys((60, 64, 67)), Keys(())]


def test_what_is_played_is_posted_and_let_go_at_loss() -> None:
    posted: list[Keys | Set] = []
    player = MidiCommands(posted.append)
    player.receive((0x90, 60, 100), 1.0)
    player.receive((0x90, 64, 100), 1.1)
    player.check_timeout(1.2)
    player.release_all()
    player.release_all()
    assert posted == [Keys((60,)), Keys((60, 64)), Keys(())]


def test_silence_of_a_sensing_sender_is_noticed_by_looking() -> None:
    posted: list[Keys | Set] = []
    player = MidiCommands(posted.append)
    player.receive((0xFE,), 1.0)
    player.receive((0x90, 60, 100), 1.0)
    player.check_timeout(1.0 + SENSING_S / 2)
    assert posted == [Keys((60,))]
    player.check_timeout(1.1 + SENSING_S)
    assert posted == [Keys((60,)), Keys(())]


class Listening:
    """A listener that keeps what it is given; the first message is too much for it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.released = 0

    def receive(self, message: Sequence[int], at_s: float) -> None:
        self.received.append(bytes(message))
        if len(self.received) == 1:
            raise ValueError("too much")

    def check_timeout(self, now_s: float) -> None:
        return None

    def release_all(self) -> None:
        self.released += 1


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[MidiInput, Listening]]:
    monkeypatch.setattr("bridge.midi.ports.ChildProcess", FakeChild)
    monkeypatch.setattr("bridge.midi.ports._AGAIN_S", 0.01)
    monkeypatch.setattr(FakeChild, "made", [])
    monkeypatch.setattr(FakeChild, "first", [MidiOpened(FOUND[1])])
    listener = Listening()
    made = MidiInput("keystation", listener)
    yield made, listener
    made.stop()


def test_an_unplugged_keyboard_releases_its_keys_and_the_same_one_is_opened_again(
    listening: tuple[MidiInput, Listening],
) -> None:
    made, listener = listening
    FakeChild.made[0].other.send(MidiTwins(("Keystation 49:Keystation 49 MIDI 1 24:0",)))
    FakeChild.made[0].other.send((1.0, b"\x90\x3c\x64"))
    assert until(lambda: listener.received, 5.0)
    assert listener.released == 0
    FakeChild.made[0].die()
    assert until(lambda: len(FakeChild.made) == 2, 5.0)
    assert (listener.released, made.stats.losses, FakeChild.made[0].closed) == (1, 1, 1)
    assert FakeChild.made[1].args[:2] == ("Keystation 49:Keystation 49 MIDI 1", True)
    assert FakeChild.made[1].args[3] == (FOUND[1], ("Keystation 49:Keystation 49 MIDI 1 24:0",))
    FakeChild.made[1].die()  # lost again while it is waited for: the keys are up already
    assert until(lambda: len(FakeChild.made) == 3, 5.0)
    assert listener.released == 1
    FakeChild.made[2].other.send(MidiOpened(FOUND[1]))
    FakeChild.made[2].other.send((2.0, b"\x90\x40\x64"))
    assert until(lambda: len(listener.received) == 2, 5.0)
    assert [line.split(": ", 1)[1] for line in made.poll()] == [
        "Keystation 49:Keystation 49 MIDI 1 20:0: ValueError: too much",
        "Keystation 49:Keystation 49 MIDI 1 20:0 is lost: its keys are released; waiting for it",
        "Keystation 49:Keystation 49 MIDI 1 20:0 is back",
    ]


def test_a_stopped_input_releases_its_keys(listening: tuple[MidiInput, Listening]) -> None:
    made, listener = listening
    made.stop()
    assert listener.released == 1
