"""What each address means."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from bridge.osc.space import AddressSpace, Query, Refused, Routed, address_of, is_own
from bridge.osc.wire import Character, Code
from engine.audio.input import InputControls
from engine.controls import Live, Value, parameters
from engine.errors import ControlError
from engine.messages.session import (
    BAR,
    BEAT,
    NOW,
    READABLE,
    SESSION_COMMANDS,
    VOICE_COMMANDS,
    Beats,
    ClearChord,
    ClearProgression,
    Continue,
    Jump,
    Keep,
    Keys,
    Load,
    Panic,
    Play,
    Progression,
    Record,
    Set,
    SetChord,
    Stop,
    Tempo,
    When,
)
from engine.models.musika.streamer import MusikaControls
from engine.models.tone import ToneControls


@dataclass(frozen=True, kw_only=True, slots=True)
class Worded:
    """Controls with a text, which no model has yet."""

    mode: Annotated[str, Live(0, 8, "which", choices=("bar", "free"))] = "free"


@pytest.fixture(scope="module")
def space() -> AddressSpace:
    return AddressSpace({"musika": MusikaControls(), "tone": ToneControls(), "words": Worded()})


def one(space: AddressSpace, address: str, *args: object) -> Routed | Query | Refused:
    routed = space.route(address, args)
    assert len(routed) == 1
    return routed[0]


def test_a_control_is_set_by_its_address(space: AddressSpace) -> None:
    want = Routed("/musika/style/seed", Set(("musika", "style", "seed"), 42), NOW)
    assert one(space, "/musika/style/seed", 42) == want
    assert one(space, "/musika/style/seed", 42.0) == want  # Pure Data sends nothing else


def test_a_control_without_a_value_is_a_question(space: AddressSpace) -> None:
    assert one(space, "/musika/style/seed") == Query("/musika/style/seed", ("musika", "style", "seed"))


@pytest.mark.parametrize(
    ("words", "when"),
    [((), NOW), (("now",), NOW), (("beat",), BEAT), (("bar",), BAR), (("at", 16), When("at", 16))],
)
def test_everything_may_say_when(space: AddressSpace, words: tuple[object, ...], when: When) -> None:
    assert one(space, "/tone/gain", -6, *words) == Routed("/tone/gain", Set(("tone", "gain"), -6.0), when)
    assert one(space, "/tone/play", *words) == Routed("/tone/play", Play(voice="tone"), when)
    assert one(space, "/tone/play", 1, *words) == Routed("/tone/play", Play(voice="tone"), when)
    assert one(space, "/transport/tempo", 90, *words) == Routed("/transport/tempo", Tempo(bpm=90.0), when)
    assert one(space, "/harmony/chord", "Am7", *words) == Routed("/harmony/chord", SetChord(name="Am7"), when)
    want = Routed("/tone/load", Load(voice="tone", bundle="musika", seed=3), when)
    assert one(space, "/tone/load", "musika", 3, *words) == want


@pytest.mark.parametrize("words", [("at",), ("at", "x"), ("at", -1), ("at", 1, 2), ("soon",), ("bar", 3), ("at", 1e9)])
def test_a_time_that_makes_no_sense_is_refused(space: AddressSpace, words: tuple[object, ...]) -> None:
    assert isinstance(one(space, "/tone/gain", -6, *words), Refused)
    assert isinstance(one(space, "/tone/play", *words), Refused)


def test_words_of_a_text_may_come_one_by_one(space: AddressSpace) -> None:
    want = Routed("/harmony/progression", Progression(chords="Am F C G"), BAR)
    assert one(space, "/harmony/progression", "Am", "F", "C", "G", "bar") == want
    assert one(space, "/harmony/progression", "Am F C G", "bar") == want


def test_a_text_control_may_take_a_word_that_also_means_a_time(space: AddressSpace) -> None:
    assert one(space, "/words/mode", "bar") == Routed("/words/mode", Set(("words", "mode"), "bar"), NOW)
    assert one(space, "/words/mode", "free", "bar") == Routed("/words/mode", Set(("words", "mode"), "free"), BAR)


def test_what_has_a_safe_default_may_be_left_out(space: AddressSpace) -> None:
    assert one(space, "/record/keep") == Routed("/record/keep", Keep(), NOW)
    assert one(space, "/record/start", "bar") == Routed("/record/start", Record(), BAR)
    assert one(space, "/record/keep") == Routed("/record/keep", Keep(), NOW)
    assert isinstance(one(space, "/tone/jump"), Refused)
    assert isinstance(one(space, "/tone/load"), Refused)


@pytest.mark.parametrize("pressed", [(), (1,), (1.0,), (127,), (True,), (None,)])
def test_a_pressed_button_acts(space: AddressSpace, pressed: tuple[object, ...]) -> None:
    assert space.route("/panic", pressed) == [Routed("/panic", Panic(), NOW)]


@pytest.mark.parametrize("released", [0, 0.0, False])
def test_a_released_button_does_nothing(space: AddressSpace, released: object) -> None:
    assert space.route("/panic", (released,)) == []
    assert space.route("/tone/stop", (released, "bar")) == []


@pytest.mark.parametrize("args", [("x",), (1, 2), (b"1",), ((1,),), (float("nan"),)])
def test_what_is_no_button_is_refused(space: AddressSpace, args: tuple[object, ...]) -> None:
    assert isinstance(one(space, "/panic", *args), Refused)


@pytest.mark.parametrize(
    ("address", "args", "wanted"),
    [
        ("/musika/style/seed", (-1,), "0..2147483647"),
        ("/musika/gain", (7.0,), "-60..6 dB"),
        ("/musika/gain", (float("inf"),), "-60..6 dB"),
        ("/musika/gain", (None,), "-60..6 dB"),
        ("/musika/gain", ((1.0,),), "-60..6 dB"),
        ("/musika/gain", (b"\0",), "-60..6 dB"),
        ("/musika/gain", (1.0, 2.0), "one value"),
        ("/musika/hold", ("perhaps",), "0 or 1"),
        ("/words/mode", ("both",), "one of bar, free"),
        ("/harmony/chord", ("x" * 33,), "at most 32 characters"),
        ("/transport/tempo", (1e9,), "20..400 bpm"),
        ("/transport/tempo", ("fast", "faster"), "bpm"),
        ("/harmony/progression", ("Am", b"F"), "chords"),
        ("/musika/gian", (1.0,), "one of play, stop"),
        ("/nobody/gain", (1.0,), "one of transport"),
        ("/*/nothing", (1.0,), "a pattern that matches an address"),
        ("/[", (1.0,), "a pattern with closed brackets"),
        ("gain", (1.0,), "begins with /"),
        ("", (), "begins with /"),
    ],
)
def test_a_refusal_says_what_is_wanted(
    space: AddressSpace, address: str, args: tuple[object, ...], wanted: str
) -> None:
    refused = one(space, address, *args)
    assert isinstance(refused, Refused)
    assert wanted in refused.wanted
    assert refused.got
    assert refused.remedy


def test_loading_into_a_new_name_makes_a_voice(space: AddressSpace) -> None:
    made = one(space, "/drone/load", "tone", 7, "bar")
    assert isinstance(made, Routed)
    assert (made.command, made.when) == (Load(voice="drone", bundle="tone", seed=7), BAR)
    assert isinstance(one(space, "/drone/load"), Refused)


@pytest.mark.parametrize("name", ["ping", "event", "record", "a b", "x#", "", "\u00e9", "y" * 33])
def test_a_voice_that_may_not_be_called_so_is_not_made(space: AddressSpace, name: str) -> None:
    assert isinstance(one(space, f"/{name}/load", "tone"), Refused)


def test_a_refusal_is_short_whatever_came(space: AddressSpace) -> None:
    for address in ("/" + "x" * 60_000, "/" * 60_000, "/*" * 30_000, "/tone/gain"):
        refused = one(space, address, "y" * 60_000, *range(1000))
        assert isinstance(refused, Refused)
        assert max(map(len, (refused.address, refused.got, refused.remedy))) <= 100


def test_a_pattern_reaches_all_it_hits(space: AddressSpace) -> None:
    routed = space.route("/{musika,tone}/gain", (-3,))
    assert routed == [
        Routed("/musika/gain", Set(("musika", "gain"), -3.0), NOW),
        Routed("/tone/gain", Set(("tone", "gain"), -3.0), NOW),
    ]
    assert [each.address for each in space.route("/*/play", ())] == ["/musika/play", "/tone/play", "/words/play"]
    assert space.route("/*/gain", (-3,)) == space.route("/*/gain", (-3,))  # remembered, and still the same


def usable(kind: type, live: Live) -> Value:
    """A value that will be taken."""
    if live.choices:
        return live.choices[0]
    return "C" if kind is str else live.low


def test_every_command_has_an_address_that_leads_to_it(space: AddressSpace) -> None:
    for name, kind in SESSION_COMMANDS.items():
        values = [usable(type_, live) for _, type_, live in parameters(kind)]
        routed = one(space, f"/{name}", *values)
        assert isinstance(routed, Routed)
        assert type(routed.command) is kind
        assert address_of(routed.command) == f"/{name}"
    for name, kind in VOICE_COMMANDS.items():
        values = [usable(type_, live) for _, type_, live in parameters(kind)]
        routed = one(space, f"/tone/{name}", *values)
        assert isinstance(routed, Routed)
        assert type(routed.command) is kind
        assert address_of(routed.command) == f"/tone/{name}"


def test_a_foot_switch_asks_with_a_number_for_what_may_be_told_in_words(space: AddressSpace) -> None:
    assert one(space, "/tone/continue", 1) == Routed("/tone/continue", Continue(voice="tone"), NOW)
    assert one(space, "/tone/continue", 1.0, "bar") == Routed("/tone/continue", Continue(voice="tone"), BAR)
    assert space.route("/tone/continue", (0,)) == []
    routed = one(space, "/tone/continue", "input", 0, 4, "slow piano", "bar")
    assert routed == Routed(
        "/tone/continue", Continue(voice="tone", source="input", seconds=0.0, bars=4, text="slow piano"), BAR
    )
    assert isinstance(one(space, "/tone/choose", 2), Routed)
    assert isinstance(one(space, "/tone/choose"), Refused)


def test_commands_have_the_address_that_asks_for_them() -> None:
    assert address_of(Set(("a", "b", "c"), 1)) == "/a/b/c"
    assert address_of(Stop(voice="tone")) == "/tone/stop"
    assert address_of(Jump(voice="musika-live", seed=1)) == "/musika-live/jump"
    assert address_of(Keys((60,))) == "/keys"


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "*", "a#", "é", "harmony", "transport", "panic", "error", "status", "input"]
)
def test_a_voice_may_not_have_every_name(name: str) -> None:
    with pytest.raises(ControlError):
        AddressSpace({name: ToneControls()})


def test_the_inputs_controls_are_there_where_something_is_listened_to(space: AddressSpace) -> None:
    (refused,) = space.route("/input/gain", (-6,))
    assert isinstance(refused, Refused)
    heard = AddressSpace({"tone": ToneControls()}, live_input=InputControls())
    assert heard.route("/input/gain", (-6, "bar")) == [Routed("/input/gain", Set(("input", "gain"), -6.0), BAR)]
    assert heard.route("/input/monitor", ()) == [Query("/input/monitor", ("input", "monitor"))]
    (too_loud,) = heard.route("/input/gain", (99,))
    assert isinstance(too_loud, Refused)


def test_what_the_server_sends_is_known_as_its_own() -> None:
    own = ["/error", "/applied", "/changed", "/pong", "/event/cover", "/status/state", "/telemetry/voice", "/errors/x"]
    assert all(map(is_own, own))
    assert not any(map(is_own, ["/errors", "/status", "/telemetry", "/tone/gain", "/ping", "/errand"]))


def test_the_tree_tells_type_range_unit_and_value(space: AddressSpace) -> None:
    tree = space.as_oscquery(lambda path: -3.5 if path == ("musika", "gain") else None)
    gain = tree["CONTENTS"]["musika"]["CONTENTS"]["gain"]
    assert gain == {
        "FULL_PATH": "/musika/gain",
        "ACCESS": 3,
        "DESCRIPTION": "output level",
        "TYPE": "f",
        "RANGE": [{"MIN": -60.0, "MAX": 6.0}],
        "UNIT": ["dB"],
        "VALUE": [-3.5],
        "CLIPMODE": "none",
    }
    assert tree["CONTENTS"]["words"]["CONTENTS"]["mode"]["RANGE"] == [{"VALS": ["bar", "free"]}]
    assert tree["CONTENTS"]["tone"]["CONTENTS"]["load"]["TYPE"] == "si"
    assert tree["CONTENTS"]["panic"]["TYPE"] == "I"
    assert tree["CONTENTS"]["tone"]["CONTENTS"]["mute"]["TYPE"] == "T"


def test_an_address_of_one_setting_without_a_value_is_a_question(space: AddressSpace) -> None:
    for name, command in SESSION_COMMANDS.items():
        if command in READABLE:
            assert one(space, f"/{name}") == Query(f"/{name}", tuple(name.split("/")))
    assert one(space, "/harmony/chord/clear") == Routed("/harmony/chord/clear", ClearChord(), NOW)
    assert one(space, "/harmony/progression/clear", "bar") == Routed(
        "/harmony/progression/clear", ClearProgression(), BAR
    )
    assert isinstance(one(space, "/harmony/chord", "bar"), Refused), "a time is no chord"


def test_settings_of_the_session_are_readable_in_the_tree(space: AddressSpace) -> None:
    tree = space.as_oscquery(lambda path: "/".join(path))
    chord = tree["CONTENTS"]["harmony"]["CONTENTS"]["chord"]
    assert (chord["ACCESS"], chord["VALUE"]) == (3, ["harmony/chord"])
    assert chord["CONTENTS"]["clear"]["ACCESS"] == 2
    tempo = tree["CONTENTS"]["transport"]["CONTENTS"]["tempo"]
    assert (tempo["ACCESS"], tempo["VALUE"]) == (3, ["transport/tempo"])


@pytest.mark.parametrize(
    ("address", "args"),
    [("/transport/beats", (6.5,)), ("/transport/locate", (0.25,)), ("/record/keep", (3.5,)), ("/musika/jump", (1.2,))],
)
def test_a_command_refuses_a_fraction_of_a_whole_number(space: AddressSpace, address: str, args: tuple[float]) -> None:
    refused = one(space, address, *args)
    assert isinstance(refused, Refused)
    assert refused.got == str(args[0])
    assert "a whole number" in refused.wanted


def test_a_whole_number_may_be_a_float(space: AddressSpace) -> None:
    assert one(space, "/transport/beats", 6.0) == Routed("/transport/beats", Beats(count=6), NOW)
    assert isinstance(one(space, "/musika/play", "at", 4.5), Refused)


def test_a_time_a_colour_or_a_character_is_no_number(space: AddressSpace) -> None:
    for value in (Code(1), Character("1")):
        for address in ("/musika/gain", "/musika/style/seed", "/transport/tempo", "/musika/mute", "/panic"):
            assert isinstance(one(space, address, value), Refused), (address, value)
    assert one(space, "/harmony/chord", Character("A")) == Routed("/harmony/chord", SetChord(name="A"), NOW)


def test_a_command_keeps_what_was_sent_for_a_later_refusal(space: AddressSpace) -> None:
    routed = one(space, "/musika/continue", "input", 0, 2, "bar")
    assert isinstance(routed, Routed)
    assert routed.got == "input 0 2 bar"
