"""The address space for others to read: OSCQuery JSON for programs, markdown for people.

``python -m bridge.osc.space > bridge/OSC.md`` writes the page that comes with the package.

Source: the OSCQuery proposal (Vidvox), for the names and kinds of the JSON attributes.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from bridge.osc.table import BUILT_IN, Method, accepted
from engine.audio.input import INPUT, InputControls
from engine.controls import Live, Value

__all__ = ["as_markdown", "as_oscquery", "main"]

_TAGS: Final[Mapping[type, str]] = {int: "i", float: "f", str: "s", bool: "T"}
_SERVER_TYPES: Final[Mapping[str, str]] = {"PORT": "i", "RATE_HZ": "f"}
_READ, _WRITE = 1, 2


def as_oscquery(methods: Mapping[str, Method], values: Callable[[tuple[str, ...]], Value | None]) -> dict[str, Any]:
    """The whole tree; `values` gives the present value of a control's path, None if unknown."""
    root: dict[str, Any] = {"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {}}
    for method in methods.values():
        _node(root, method.path).update(_leaf(method, values))
    for address, (takes, does) in BUILT_IN.items():
        kind = _SERVER_TYPES.get(takes.split(" ")[0], "I")
        _node(root, address[1:].split("/")).update(ACCESS=_WRITE, DESCRIPTION=does, TYPE=kind)
    return root


def _node(root: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """The node of a path, made with those above it where they are not there yet."""
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
    if method.kind == "control":
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
    """Tables of every address: the session's, each voice's, the server's own, and what it sends.

    Args:
        more: (title, methods) of voices that go by the same names as others.
    """
    rows = list(methods.values())
    session = [m for m in rows if m.kind == "session"]
    first = voices[0] if voices else ""
    commands = [m for m in rows if m.kind == "voice" and m.path[0] == first]
    lines = [_HEAD, *_TABLE, *(_row(m, m.address) for m in session), ""]
    if commands:
        lines += ["## Any voice", "", *_TABLE, *(_row(m, f"/VOICE/{m.path[1]}") for m in commands), ""]
    for owner in ("band", INPUT):
        if any(m.kind == "control" and m.path[0] == owner for m in rows):
            lines += _controls(owner, methods)
    for voice in voices:
        lines += _controls(voice, methods)
    lines += [line for title, others in more for line in _controls(title, others)]
    lines += ["## The server", "", "| address | arguments | what it does |", "|---|---|---|"]
    lines += [f"| `{address}` | {takes} | {does} |" for address, (takes, does) in BUILT_IN.items()]
    return "\n".join([*lines, "", _TAIL])


_TABLE: Final = ("| address | arguments | what it does |", "|---|---|---|")
_CONTROLS: Final = ("| address | type | values | default | meaning |", "|---|---|---|---|---|")


def _controls(title: str, methods: Mapping[str, Method]) -> list[str]:
    """The controls of one voice, which is what the title begins with."""
    voice = title.split(",")[0]
    rows = [m for m in methods.values() if m.kind == "control" and m.path[0] == voice]
    return [f"## Controls of {title}", "", *_CONTROLS, *map(_control_row, rows), ""]


def _row(method: Method, address: str) -> str:
    args = ", ".join(
        f"{name} ({accepted(live, kind)})" + ("" if at < method.required else ", may be left out")
        for at, (name, kind, live) in enumerate(method.parameters)
    )
    return f"| `{address}` | {args or 'none, or a number but 0'} | {method.meaning.replace('|', chr(92) + '|')} |"


def _control_row(method: Method) -> str:
    _, kind, live = method.parameters[0]
    default = int(method.default) if isinstance(method.default, bool) else method.default
    shown = f"{default:g}" if isinstance(default, float) else str(default)
    return f"| `{method.address}` | {kind.__name__} | {accepted(live, kind)} | {shown} | {method.meaning} |"


_HEAD: Final = """\
# OSC addresses

Made from the controls and commands by `python -m bridge.osc.space > bridge/OSC.md`; do not edit.

Send to port 9000 (UDP, or TCP on the same port). Answers and events come to the port you send from, and to 9001.

- **Values** may be sent as int or float, whichever your program has; a switch takes 0 or 1.
- **A control without a value is a question**: `/musika/gain` is answered by `/musika/gain -3.0`.
- **When**: values may be followed by `now`, `beat` (the next), `bar` (the next), or `at` and the number of a bar:
  `/musika/style/seed 42 bar`, `/harmony/chord Am7 beat`, `/musika/play at 16`. Without it: now.
- **Texts of several words** may be sent as one text or word by word: `/harmony/progression Am F C G bar`.
- **Buttons**: commands without arguments act on a press (no argument, or any number but 0) and ignore the release (0).
- **Another voice** is made by loading a bundle into a name that no voice has yet: `/drone/load tone`, then
  `/drone/gain -6`. `/voices` tells the names.
- **Going on**: `/musicgen/continue` goes on with the last 6 s of the input (or of the mix, where there is none), and
  acts on a foot switch; `/musicgen/continue input 0 4 "slow piano" bar` with the last 4 bars, from the next bar on.
- **Patterns** reach several addresses: `/*/gain -6`, `/{musika,tone}/mute 1`. `*` stays within one part (and
  `/*/stop` also ends a recording, which is `/record/stop`; `/*/gain` also turns a live input).
- **Bundles** with a time ahead (at most 10 s) take effect at that time, to the sample.
- **Fast changes**: of many values for one control within 2 ms the last is taken.

## The session
"""

_TAIL: Final = """\
## What the server sends

Only ints, floats and texts, so that Pure Data can read everything.

| address | values | when |
|---|---|---|
| `/applied` | address, number, voice, sample, latency_ms | what you sent is heard from `sample` on |
| `/changed` | address, value | a control has another value, whoever changed it |
| `/error` | address, got, wanted, remedy | what you sent could not be taken; at most 20 a second |
| `/event/cover` | voice, sample | a voice is late; its last bar sounds again |
| `/event/thawed` | voice, sample, samples | it has caught up |
| `/event/voice_up` | voice, bundle, seconds, restarted | it is ready to play |
| `/event/voice_down` | voice, reason | it has died and is being started again |
| `/event/swapped` | voice, bundle, sample | it plays another bundle |
| `/event/recorded` | path, samples | a sound file is finished |
| `/event/prepared` | number, voice, seconds, heard | ready to be heard, after so many seconds |
| `/event/infill_progress` | number, done, total | how far the fill asked for as `number` is |
| `/event/infill_done` | number, variation, path, notes | a variation of it is written; its new notes follow |
| `/event/filled_note` | number, variation, track, start, pitch, length, velocity | a note it made, in ticks |
| `/event/band_plan` | bar, source, chords, notes, ahead_ms | what the band will play in a bar; its notes follow |
| `/event/band_note` | bar, role, start, pitch, length, velocity | one of them, in ticks from the bar's line |
| `/event/band_counts` | made, fallbacks, late, failed, ons, offs, stale, sounding | with them: the band so far |
| `/telemetry/session` | sample, bar, beat, tempo_bpm, chord, level_db, underruns, latency_ms, input_db | if asked for |
| `/telemetry/voice` | voice, bundle, playing, level_db, fill_ms, realtime, late, cpu, \
prepared_s, continue_ms | with it, one a voice |
"""


def main() -> int:
    """Print OSC.md for the voices that there may be, by the names that `ripieno live` gives them."""
    from bridge.osc.table import methods_of
    from engine.band.controls import BandControls
    from engine.models.musicgen.streamer import WordedControls
    from engine.models.musika.streamer import MusikaControls
    from engine.models.musika_live.streamer import MusikaLiveControls
    from engine.models.tone import ToneControls

    published = "musika, playing a bundle of the published networks"
    page = as_markdown(
        ("musika", "musicgen", "tone"),
        methods_of(
            {"musika": MusikaLiveControls(), "musicgen": WordedControls(), "tone": ToneControls()},
            BandControls(),
            InputControls(),
        ),
        [(published, methods_of({"musika": MusikaControls()}))],
    )
    sys.stdout.write(page)
    return 0
