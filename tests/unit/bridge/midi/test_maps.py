"""Controllers reach controls, over a range that is checked when the map is made."""

import pytest

from bridge.midi.maps import map_of, maps_of
from bridge.midi.ports import MidiCommands
from bridge.settings import Settings, SettingsError
from engine.controls import Control, Live
from engine.errors import ControlError
from engine.messages.session import Keys, Set

GAIN = Control(("musika", "gain"), float, Live(-60.0, 6.0, "level", "dB"), 0.0)
SEED = Control(("musika", "seed"), int, Live(0, 1000, "seed"), 0)
NAME = Control(("band", "targets"), str, Live(0, 64, "roles"), "")
CONTROLS = {"/musika/gain": GAIN, "/musika/seed": SEED, "/band/targets": NAME}


def sent(texts: list[str], *messages: tuple[int, ...]) -> list[Keys | Set]:
    posted: list[Keys | Set] = []
    player = MidiCommands(posted.append, maps=maps_of(texts, CONTROLS.get))
    for message in messages:
        player.receive(message, 1.0)
    return posted


@pytest.mark.parametrize(
    ("text", "value", "wanted"),
    [
        ("cc1=/musika/gain", 0, -60.0),
        ("cc1=/musika/gain", 127, 6.0),
        ("cc1=/musika/gain[-30..0]", 127, 0.0),
        ("cc1 = /musika/gain [-30..0]", 64, -15.0),
        ("cc1=/musika/gain[0..-30]", 127, -30.0),
        ("cc1=/musika/seed[10..20]", 64, 15),
    ],
)
def test_a_controller_moves_its_control_over_its_range(text: str, value: int, wanted: float) -> None:
    (command,) = sent([text], (0xB0, 1, value))
    assert isinstance(command, Set)
    assert command.value == pytest.approx(wanted)


def test_a_map_with_a_channel_takes_that_channel_alone() -> None:
    assert sent(["cc1.3=/musika/gain"], (0xB0, 1, 5), (0xB2, 1, 127)) == [Set(("musika", "gain"), 6.0)]
    assert len(sent(["cc1=/musika/gain"], (0xB0, 1, 5), (0xB2, 1, 127))) == 2


def test_several_maps_may_share_a_controller() -> None:
    paths = [
        command.path
        for command in sent(["cc1=/musika/gain", "cc1=/musika/seed"], (0xB0, 1, 9))
        if isinstance(command, Set)
    ]
    assert paths == [("musika", "gain"), ("musika", "seed")]


@pytest.mark.parametrize(
    "text",
    ["", "cc1", "cc128=/musika/gain", "cc1.0=/musika/gain", "cc1.17=/musika/gain", "note1=/musika/gain",
     "cc1=musika/gain", "cc1=/musika/gain[0]", "cc1=/musika/gain[a..b]"],
)  # fmt: skip
def test_a_map_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ControlError, match=r"got the map .* wanted .* write for example"):
        map_of(text)
    with pytest.raises(SettingsError, match="write for example"):
        Settings(maps=(text,))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cc1=/musika/loudness", "wanted the address of a control"),
        ("cc1=/musika/gain[-30..7]", "wanted one within -60..6"),
        ("cc1=/band/targets", "wanted a number or a choice"),
    ],
)
def test_a_map_that_cannot_work_is_refused_when_it_is_made(text: str, wanted: str) -> None:
    with pytest.raises(ControlError, match=wanted):
        maps_of([text], CONTROLS.get)


def test_the_number_of_maps_is_bounded() -> None:
    with pytest.raises(ControlError, match="at most 128"):
        maps_of(["cc1=/musika/gain"] * 129, CONTROLS.get)
