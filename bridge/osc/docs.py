"""The address space as documentation: OSCQuery JSON for programs, Markdown for people.

``python -m bridge.osc.space > docs/OSC.md`` writes the reference page (``make docs``).

Source: the OSCQuery proposal (Vidvox), for the names and kinds of the JSON attributes.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from bridge.osc.table import BUILT_IN, Method, accepted
from engine.audio.input import INPUT, InputControls
from engine.controls import Live, Value

__all__ = ["as_markdown", "as_oscquery", "main"]

_TAGS: Final[Mapping[type, str]] = {int: "i", float: "f", str: "s", bool: "T"}
_SERVER_TYPES: Final[Mapping[str, str]] = {"PORT": "i", "RATE_HZ": "f"}
_READ, _WRITE = 1, 2


def as_oscquery(methods: Mapping[str, Method], values: Callable[[tuple[str, ...]], Value | None]) -> dict[str, Any]:
    """The whole tree as OSCQuery JSON; `values` gives the present value of a control's path, None if unknown."""
    root: dict[str, Any] = {"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {}}
    for method in methods.values():
        _node(root, method.path).update(_leaf(method, values))
    for address, (takes, does) in BUILT_IN.items():
        kind = _SERVER_TYPES.get(takes.split(" ")[0], "I")
        _node(root, address[1:].split("/")).update(ACCESS=_WRITE, DESCRIPTION=does, TYPE=kind)
    return root


def _node(root: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The node of a path, created with its parents where they are missing."""
    node = root
    for depth, part in enumerate(path, 1):
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(part, {"FULL_PATH": "/" + "/".join(path[:depth]), "ACCESS": 0})
    return node


def _leaf(method: Method, values: Callable[[tuple[str, ...]], Value | None]) -> dict[str, Any]:
    leaf: dict[str, Any] = {
        "ACCESS": _WRITE,
        "DESCRIPTION": method.meaning,
        "TYPE": "".join(_TAGS[kind] for _, kind, _ in method.parameters) or "I",
    }
    if method.parameters:
        leaf["RANGE"] = [_range(kind, live) for _, kind, live in method.parameters]
    if any(live.unit for _, _, live in method.parameters):
        leaf["UNIT"] = [live.unit or None for _, _, live in method.parameters]
    if method.readable:
        value = values(method.path)
        leaf |= {"ACCESS": _READ | _WRITE, "VALUE": [value], "CLIPMODE": "none"}
    return leaf


def _range(kind: type, live: Live) -> dict[str, Any]:
    if live.choices:
        return {"VALS": list(live.choices)}
    return {} if kind in (str, bool) else {"MIN": kind(live.low), "MAX": kind(live.high)}


def as_markdown(
    voices: Sequence[str], methods: Mapping[str, Method], more: Sequence[tuple[str, Mapping[str, Method]]] = ()
) -> str:
    """Tables of every address: commands of the session and of a voice, controls, the server's own, and its messages.

    Args:
        more: (title, methods) of further voices whose names are in `voices` already.
    """
    rows = list(methods.values())
    session = [(m, m.address) for m in rows if m.kind == "session"]
    first = voices[0] if voices else ""
    commands = [(m, f"/VOICE/{m.path[1]}") for m in rows if m.kind == "voice" and m.path[0] == first]
    lines = [_HEAD, *_commands(session)]
    if commands:
        lines += [
            "## Commands of a voice",
            "",
            "VOICE is the voice's name, such as `musika`.",
            "",
            *_commands(commands),
        ]
    for owner in ("band", INPUT):
        if any(m.kind == "control" and m.path[0] == owner for m in rows):
            lines += _controls(owner, methods)
    for voice in voices:
        lines += _controls(voice, methods)
    lines += [line for title, others in more for line in _controls(title, others)]
    lines += ["## The server itself", "", *_TABLE]
    lines += [f"| `{address}` | {takes or 'none'} | {does} |" for address, (takes, does) in BUILT_IN.items()]
    return "\n".join([*lines, "", _TAIL])


_TABLE: Final = ("| address | arguments | what it does |", "|---|---|---|")
_ARGUMENTS: Final = ("| command | argument | type | values | default | meaning |", "|---|---|---|---|---|---|")
_CONTROLS: Final = ("| address | type | values | default | meaning |", "|---|---|---|---|---|")


def _commands(rows: Sequence[tuple[Method, str]]) -> list[str]:
    """A table of commands, then one of their arguments."""
    lines = [*_TABLE, *(_row(method, address) for method, address in rows), ""]
    lines += ["The arguments, in the order in which they are sent:", "", *_ARGUMENTS]
    return [*lines, *(line for method, address in rows for line in _argument_rows(method, address)), ""]


def _controls(title: str, methods: Mapping[str, Method]) -> list[str]:
    """The table of one voice's controls; the title begins with the voice's name."""
    voice = title.split(",")[0]
    rows = [m for m in methods.values() if m.kind == "control" and m.path[0] == voice]
    return [f"## Controls of {title}", "", *_CONTROLS, *map(_control_row, rows), ""]


def _row(method: Method, address: str) -> str:
    names = (
        name if at < method.required else f"[{name}]" for at, (name, _, _) in enumerate(method.parameters)
    )  # a name in brackets may be left out
    return f"| `{address}` | {' '.join(names) or 'none'} | {_cell(method.meaning)} |"


def _argument_rows(method: Method, address: str) -> list[str]:
    defaults = {field.name: field.default for field in fields(method.command)} if method.command else {}
    return [
        f"| `{address}` | {name} | {kind.__name__} | {accepted(live, kind)} | "
        f"{'required' if at < method.required else _shown(defaults[name])} | {_cell(live.meaning)} |"
        for at, (name, kind, live) in enumerate(method.parameters)
    ]


def _cell(text: str) -> str:
    """A text as the cell of a table, in which a bar would end it."""
    return text.replace("|", "\\|")


def _shown(value: object) -> str:
    """A default; a switch as the 0 or 1 that is sent for it."""
    number = int(value) if isinstance(value, bool) else value
    return f"{number:g}" if isinstance(number, float) else str(number)


def _control_row(method: Method) -> str:
    _, kind, live = method.parameters[0]
    shown = _shown(method.default)
    return f"| `{method.address}` | {kind.__name__} | {accepted(live, kind)} | {shown} | {_cell(method.meaning)} |"


_HEAD: Final = """\
# OSC addresses

Generated from the code by `make docs` (`python -m bridge.osc.space > docs/OSC.md`); do not edit.

Send to port 9000 (UDP, or TCP on the same port). Replies and events go to the port you send from, and to port 9001.

- **Numbers** may be sent as int or float, whichever your program has; a switch takes 0 or 1. A control that takes whole
  numbers rounds; a command refuses a fraction.
- **To read a control**, send its address without a value: `/musika/gain` is answered by `/musika/gain -3.0`. So are
  `/transport/tempo`, `/transport/beats`, `/harmony/chord` (empty: the progression is followed) and
  `/harmony/progression`; `/harmony/chord/clear` and `/harmony/progression/clear` clear them.
- **Time**: after the values you may send `now`, `beat` (the next beat), `bar` (the next bar line), or `at` and a bar
  number: `/musika/style/seed 42 bar`, `/harmony/chord Am7 beat`, `/musika/play at 16`. The default is `now`.
- **Bars** are counted from 0, as the first bar of the transport is bar 0; beats within a bar also from 0.
  Only infill counts the bars of a MIDI file from 1, as notation programs do.
- **Text of several words** may be sent as one string or as several: `/harmony/progression Am F C G bar`.
- **Optional arguments**, in [brackets], are left out from the end: to give the third, give the first two as well.
- **Buttons**: a command without required arguments acts on a press (no argument, or any number except 0) and ignores
  the release (0).
- **A further voice** is made by loading a bundle under a name that no voice has yet: `/drone/load tone`, then
  `/drone/gain -6`. `/voices` lists the names.
- **To continue what you just played**, send `/musicgen/continue`: the prompt is the last 6 s of the live input, or of
  the mix if there is no input. `/musicgen/continue input 0 4 "slow piano" bar` continues the last 4 bars of the input,
  starting at the next bar line. It needs a voice that can continue: `ripieno live --bundle musicgen-live`.
- **Patterns** reach several addresses: `/*/gain -6`, `/{musika,tone}/mute 1`. A `*` stays within one part of the
  address. Mind that `/*/stop` includes `/record/stop`, and `/*/gain` includes `/input/gain`.
- **OSC bundles** with a time tag up to 10 s ahead take effect at that time, to the sample.
- **Fast changes**: of several values for one control within 2 ms, the last one is applied.

## Commands of the session
"""

_TAIL: Final = """\
## Messages from the server

All values are ints, floats and strings, so that Pure Data can read every message. `number` identifies a command: all
messages about one command carry the same number. `sample` counts the samples of the session from its start.

| address | values | when |
|---|---|---|
| `/applied` | address, number, voice, sample, latency_ms | a command took effect: audible from `sample` on |
| `/changed` | address, value | a control has a new value, whoever changed it |
| `/error` | address, got, wanted, remedy | your message was refused; at most 20 of these per second |
| `/event/cover` | voice, sample | a voice is late: its last bar is repeated until it catches up |
| `/event/thawed` | voice, sample, samples | the late voice has caught up, after `samples` of repeated sound |
| `/event/voice_up` | voice, bundle, seconds, restarted | a voice is loaded and ready |
| `/event/voice_down` | voice, reason | a voice's process has died and is being restarted |
| `/event/swapped` | voice, bundle, sample | a voice has crossfaded to another bundle |
| `/event/recorded` | path, samples | a sound file is complete |
| `/event/prepared` | number, voice, seconds, prompt_s | a continuation is ready: `seconds` of computation, \
`prompt_s` seconds of prompt |
| `/event/infill_progress` | number, done, total | progress of an infill, in network passes |
| `/event/infill_done` | number, variation, path, notes | a variation is written; its `notes` new notes follow |
| `/event/filled_note` | number, variation, track, start, pitch, length, velocity | a new note of an infill, in ticks |
| `/event/band_plan` | bar, source, chords, notes, ahead_ms | plan of the band for a bar; its `notes` notes follow |
| `/event/band_note` | bar, role, start, pitch, length, velocity | one of these notes, in ticks from the bar line |
| `/event/band_counts` | made, fallbacks, late, failed, ons, offs, stale, sounding | once per bar: counts of the band |
| `/telemetry/session` | sample, bar, beat, tempo_bpm, chord, level_db, underruns, latency_ms, input_db, limiter_db | \
after `/telemetry RATE_HZ` |
| `/telemetry/voice` | voice, bundle, playing, level_db, fill_ms, realtime, late, cpu, \
prepared_s, continue_ms | with it, one message per voice |
"""


def main() -> int:
    """Print OSC.md for one voice of each family, under the names that `ripieno live` gives them."""
    from bridge.osc.table import methods_of
    from engine.band.controls import BandControls
    from engine.models.families import FAMILIES

    voices: dict[str, object] = {}
    more = []
    for row in (row for row in FAMILIES.values() if row.streams):
        if row.voice_name in voices:
            title = f"{row.voice_name}, playing {row.about}"
            more.append((title, methods_of({row.voice_name: row.controls(None)})))
        else:
            voices[row.voice_name] = row.controls(None)
    page = as_markdown(tuple(voices), methods_of(voices, BandControls(), InputControls()), more)
    sys.stdout.write(page)
    return 0
