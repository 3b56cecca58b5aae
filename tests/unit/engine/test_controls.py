"""Controls: declared once, checked at the border."""

import math
import struct
from dataclasses import dataclass
from typing import Annotated

import pytest

from engine.controls import Live, accept, describe, get_value, parameters, walk, with_value
from engine.errors import ControlError
from engine.messages.session import Tempo


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    seed: Annotated[int, Live(0, 100, "which style")] = 3
    colour: Annotated[str, Live(0, 8, "what colour", choices=("red", "blue"))] = "red"


@dataclass(frozen=True, kw_only=True, slots=True)
class Controls:
    style: Style = Style()
    gain: Annotated[float, Live(-60.0, 6.0, "level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "silence")] = False
    name: Annotated[str, Live(0, 5, "a name")] = ""
    secret: int = 0


def test_walk_lists_every_annotated_field_in_order() -> None:
    paths = ["/".join(control.path) for control in walk(Controls(), ("v",))]
    assert paths == ["v/style/seed", "v/style/colour", "v/gain", "v/mute", "v/name"]


def test_with_value_changes_one_and_leaves_the_original() -> None:
    old = Controls()
    new = with_value(old, ("style", "seed"), 9)
    assert (new.style.seed, old.style.seed, new.gain) == (9, 3, 0.0)
    assert get_value(new, ("style", "seed")) == 9


@pytest.mark.parametrize(
    ("path", "got", "want"),
    [
        (("style", "seed"), 7.4, 7),
        (("style", "seed"), "12", 12),
        (("gain",), 3, 3.0),
        (("gain",), "-6", -6.0),
        (("mute",), 1.0, True),
        (("mute",), "off", False),
        (("style", "colour"), "blue", "blue"),
        (("name",), "abcde", "abcde"),
    ],
)
def test_limited_senders_are_understood(path: tuple[str, ...], got: object, want: object) -> None:
    value = get_value(with_value(Controls(), path, got), path)
    assert value == want
    assert type(value) is type(want)


@pytest.mark.parametrize(
    ("path", "got", "says"),
    [
        (("style", "seed"), -1, "0..100"),
        (("style", "seed"), math.nan, "nan"),
        (("style", "seed"), None, "None"),
        (("gain",), 6.1, "-60..6 dB"),
        (("gain",), math.inf, "inf"),
        (("gain",), "loud", "loud"),
        (("style", "colour"), "green", "red, blue"),
        (("name",), "abcdef", "5 characters"),
        (("name",), 3, "text"),
        (("nothing",), 3, "style/seed"),
        (("style", "nothing"), 3, "no control"),
        (("gain", "more"), 3, "no control"),
        ((), 3, "no control"),
        (("secret",), 3, "no control"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words(path: tuple[str, ...], got: object, says: str) -> None:
    with pytest.raises(ControlError, match=says.replace(".", r"\.")):
        with_value(Controls(), path, got)


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(ControlError) as caught:
        accept(int, Live(0, 1, "x"), "y" * 1000)
    assert len(str(caught.value)) < 200


def test_a_commands_arguments_are_declared_alike() -> None:
    ((name, kind, live),) = parameters(Tempo)
    assert (name, kind, describe(live, kind)) == ("bpm", float, "20..400 bpm")


@pytest.mark.parametrize(("low", "high"), [(0.01, 3.9), (-0.7, 0.1), (20.0, 400.0), (0.05, 1e39)])
def test_a_bound_is_taken_as_a_32_bit_float_spells_it(low: float, high: float) -> None:
    """0.01 arrives over OSC as 0.0099999998, which is below 0.01."""
    live = Live(low, high, "share")
    for bound in (low, high):
        if abs(bound) < 1e38:
            arrived = struct.unpack(">f", struct.pack(">f", bound))[0]
            assert accept(float, live, arrived) == bound
    with pytest.raises(ControlError):
        accept(float, live, low - 1e-4)
    assert accept(float, live, low + 1e-4) == low + 1e-4
