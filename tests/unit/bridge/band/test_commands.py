"""JSON lines become typed commands; a line with anything else is refused as a whole, with what was wanted."""

import pytest

from bridge.band.commands import BandCommandQueue, QueuedCommand, parse_commands
from bridge.band.old_names import OldBandNames
from engine.errors import ControlError
from engine.messages.session import BandLoad, BandStart, BandStop, Locate, Panic, Set, Tempo


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ('{"tempo": 90}', (Tempo(bpm=90.0),)),
        ('{"locate": 8}', (Locate(bar=8),)),
        ('{"start": 1}', (BandStart(),)),
        ('{"stop": 1, "panic": 1}', (Panic(), BandStop())),
        ('{"load": "aaa"}', (BandLoad(name="aaa"),)),
        ('{"set": "density/bass", "value": 0.2}', (Set(("band", "density", "bass"), 0.2),)),
        (
            '  {"value": "drum", "set": "targets", "tempo": "90"}\n',
            (Set(("band", "targets"), "drum"), Tempo(bpm=90.0)),
        ),
    ],
)
def test_a_json_line_is_typed_commands_in_a_fixed_order(line: str, commands: tuple[object, ...]) -> None:
    assert parse_commands(line) == commands


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("hello", "got hello, wanted an object"),
        ("[1]", "wanted an object"),
        ("{}", "wanted an object"),
        ('{"dance": 1}', "unknown command 'dance', wanted an object with one or more of panic"),
        ('{"tempo": 90, "dance": 1}', "unknown command 'dance'"),
        ('{"value": 1}', "unknown command 'value'"),
        ('{"set": "steps"}', '"set" needs a "value"'),
        ('{"tempo": 1000}', "20..400"),
        ('{"tempo": "fast"}', "20..400"),
        ('{"locate": -1}', "0..100000"),
        ('{"load": 7}', "a text of at most 256"),
    ],
)
def test_what_is_no_command_is_refused_with_what_was_wanted(line: str, says: str) -> None:
    with pytest.raises(ControlError) as raised:
        parse_commands(line)
    assert says in str(raised.value)


def test_commands_wait_for_their_tick_and_keep_their_order() -> None:
    queue = BandCommandQueue()
    one, two, three = (QueuedCommand(BandStop(), tick) for tick in (480.0, None, 960.0))
    for queued in (one, two, three):
        queue.put(queued)
    assert queue.due(None) == [two]
    assert queue.due(479.9) == []
    assert queue.due(480.0) == [one]
    assert queue.due(5000.0) == [three]


def test_an_old_name_is_accepted_and_its_present_name_is_said_once() -> None:
    lines: list[str] = []
    names = OldBandNames(lines.append)
    assert [names.current(name, "--band {}") for name in ("usual", "usual", "house", "auto", "my-bundle")] == [
        "auto", "auto", "pattern", "auto", "my-bundle",
    ]  # fmt: skip
    assert lines == ["--band usual is now --band auto", "--band house is now --band pattern"]
