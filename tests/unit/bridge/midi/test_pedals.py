"""A foot switch asks once each time it goes down, and what is no pedal reaches the keys behind it."""

from collections.abc import Sequence

import pytest

from bridge.midi.pedals import Asked, PedalBoard, pedals_of, press
from bridge.osc.space import AddressSpace
from bridge.settings import Settings, SettingsError
from engine.errors import ControlError
from engine.messages.session import BAR, Continue
from engine.models.tone import ToneControls


class Behind:
    """A listener that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, ...]] = []
        self.looks, self.gone = 0, 0

    def receive(self, message: Sequence[int], at_s: float) -> None:
        self.messages.append(tuple(message))

    def check_timeout(self, now_s: float) -> None:
        self.looks += 1

    def release_all(self) -> None:
        self.gone += 1


def board(*texts: str) -> tuple[PedalBoard, list[Asked], Behind]:
    asked: list[Asked] = []
    behind = Behind()
    return PedalBoard(pedals_of(texts), asked.append, behind), asked, behind


def test_a_pedal_asks_when_it_goes_down_on_any_channel() -> None:
    made, asked, behind = board("cc64=/musicgen/continue bar", 'note36 = /m/continue input 0 4 "slow piano"')
    for value in (0, 30, 64, 100, 127, 20, 90):
        made.receive((0xB3, 64, value), 0.0)
    assert asked == [Asked("/musicgen/continue", ("bar",))] * 2
    made.receive((0x99, 36, 80), 0.0)
    made.receive((0x99, 36, 0), 0.0)
    made.receive((0x89, 36, 64), 0.0)
    assert asked[2:] == [Asked("/m/continue", ("input", 0, 4, "slow piano"))]
    assert not behind.messages


def test_a_program_change_asks_each_time() -> None:
    made, asked, _ = board("program5=/musicgen/choose 2")
    for _ in range(2):
        made.receive((0xC0, 5), 0.0)
    made.receive((0xC0, 6), 0.0)
    assert asked == [Asked("/musicgen/choose", (2,))] * 2


def test_everything_else_is_passed_on() -> None:
    made, asked, behind = board("cc64=/panic")
    messages = [(0x90, 64, 100), (0xB0, 65, 127), (0xF8,), (), (0xB0, 64), (0xC0, 64)]
    for message in messages:
        made.receive(message, 0.0)
    made.check_timeout(1.0)
    made.release_all()
    assert behind.messages == messages
    assert (behind.looks, behind.gone) == (1, 1)
    assert not asked


def test_a_pedal_that_was_down_when_the_port_went_asks_again() -> None:
    made, asked, _ = board("cc1=/panic")
    made.receive((0xB0, 1, 127), 0.0)
    made.release_all()
    made.receive((0xB0, 1, 127), 0.0)
    assert len(asked) == 2


@pytest.mark.parametrize("text", ["", "cc64", "cc64=continue", "cc128=/panic", "pedal 1=/panic", 'cc1=/a "open'])
def test_what_is_no_pedal_is_refused(text: str) -> None:
    with pytest.raises(ControlError, match="such as"):
        pedals_of([text])


def test_what_a_pedal_asks_for_is_posted_or_said() -> None:
    space, posted, said = AddressSpace({"m": ToneControls()}), [], []

    def post(command: object, when: object) -> None:
        if isinstance(command, Continue) and command.bars:
            raise ControlError("not so")
        posted.append((command, when))

    for asked in (
        Asked("/m/continue", ("bar",)), Asked("/m/continue", ("", 0, 4)), Asked("/m/gain", ("loud",)), Asked("/m/what"),
    ):  # fmt: skip
        press(asked, space, post, said.append)
    assert posted == [(Continue(voice="m"), BAR)]
    assert len(said) == 3
    assert said[0] == "pedal: not so"


def test_settings_refuse_a_pedal_that_is_none() -> None:
    assert Settings(pedals=("cc64=/panic",)).pedals == ("cc64=/panic",)
    with pytest.raises(SettingsError, match="such as"):
        Settings(pedals=("cc64",))
