"""Flags of the band: what they mean, and one sentence for what cannot be."""

import io
import json
from types import MappingProxyType

import pytest

from bridge.band.options import BandOptions, options_from, parser
from bridge.band.view import BandStatus, JsonView, LinesView, PictureView, strip
from bridge.midi.out import OutStats
from bridge.settings import SettingsError
from engine.band.actions import SOURCES, BandSettings, Dropped, Planned
from engine.music.harmony import parse_chord
from engine.music.score import Note

NOTES = MappingProxyType(
    {"bass": (Note(0, 40, 480), Note(960, 43, 120)), "drum": (Note(0, 36, 120), Note(480, 38, 480))}
)
PLANNED = Planned(3, "repeat", NOTES, (parse_chord("Am"),) * 4, 0.8)
COUNTS = dict.fromkeys((*SOURCES, "late", "failed"), 1)


def options(*flags: str) -> BandOptions:
    return options_from(parser().parse_args(flags))


def test_without_flags_the_pattern_band_plays_to_ports_of_our_own() -> None:
    made = options()
    assert (made.band, made.source, made.sink, made.follow, made.tempo) == (
        "pattern",
        "virtual",
        "virtual",
        False,
        120.0,
    )
    assert made.settings == BandSettings(warmup=1)


def test_flags_say_who_plays_what() -> None:
    made = options("--chords", "Am F", "--play", "piano", "--roles", "bass,drum", "--clock", "midi", "--seed", "4")
    assert made.follow
    assert made.settings.player == "piano"
    assert made.settings.targets == ("bass", "drum")
    assert made.settings.warmup == 0
    assert len(made.settings.progression) == 2
    assert "piano" not in options("--play", "piano").settings.targets


def test_roles_may_have_their_common_names() -> None:
    made = options(
        "--play", "melody", "--roles", "drums,strings,keys", "--density", "drums=0.5", "--register", "keys=72"
    )
    assert made.settings.player == "lead"
    assert made.settings.targets == ("drum", "piano", "string")
    assert (made.settings.density, made.settings.register) == ({"drum": 0.5}, {"piano": 72})
    with pytest.raises(SettingsError, match="lead"):
        options("--play", "melody", "--roles", "vocals")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--chords", "Am H"), "'H'"),
        (("--roles", "kazoo"), "kazoo"),
        (("--roles", "lead"), "lead"),
        (("--tempo", "1000"), "20..400"),
        (("--dynamics", "2"), "0..1"),
        (("--seed", "-1"), "seed"),
        (("--split", "200"), "split"),
        (("--input-ms", "-3"), "input-ms"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(flags: tuple[str, ...], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as raised:
        options(*flags)
    assert "\n" not in str(raised.value)


def test_strip_shows_onsets_and_what_is_held() -> None:
    assert strip(NOTES["bass"]) == "█▬▬▬····█·······"
    assert strip(NOTES["drum"], drums=True) == "█···█···········"
    assert strip((Note(1800, 60, 9000),)) == "···············█"
    assert strip(()) == "·" * 16


def standing() -> BandStatus:
    return BandStatus(7.0, 2400.0, 120.0, (NOTES, "made"), (NOTES, "repeat"), COUNTS, OutStats(ons=7), (0.001, 0.002))


def test_json_lines_carry_the_plan(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonView() as view:
        view.say("hello")
        view.show_plan(PLANNED)
        view.show_plan(Dropped(4, "late"))
        view.show_status(standing())
        view.show_status(standing())
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["event"] for row in rows] == ["say", "planned", "dropped", "standing"]
    assert rows[1]["tracks"]["bass"][0] == [0, 40, 480, 90]
    assert rows[1]["chords"] == ["Am"] * 4
    assert (rows[3]["at_s"], rows[3]["tick"]) == (7.0, 2400.0)
    assert rows[3]["late_ms"] == [1.0, 2.0]
    assert rows[3]["out"]["ons"] == 7


def test_json_lines_go_where_the_reader_is(capsys: pytest.CaptureFixture[str]) -> None:
    reader = io.StringIO()
    with JsonView(reader) as view:
        view.say("hello")
    assert reader.getvalue() == '{"event": "say", "line": "hello"}\n'
    assert not capsys.readouterr().out


def test_lines_name_the_bar_its_chord_and_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    with LinesView() as view:
        view.show_plan(PLANNED)
        view.show_plan(Dropped(4, "late"))
    out = capsys.readouterr().out
    assert "bar 3 [repeat] Am: bass 2, drum 2; 800 ms ahead" in out
    assert "bar 4: an answer was dropped (late)" in out


def test_picture_shows_this_bar_and_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    view = PictureView(BandSettings())
    console = Console(width=100)
    console.print(view._draw())
    view.show_plan(PLANNED)
    view.show_status(standing())
    console.print(view._draw())
    out = capsys.readouterr().out
    assert "waiting for the clock" in out
    assert "[repeat]" in out
    assert out.count("█▬▬▬····█·······") == 2
    assert "4 fallbacks" in out
