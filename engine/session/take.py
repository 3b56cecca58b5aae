"""The log of a performance: every player, every order with its chunk, every turn of a lane; one JSON value a line.

From it `engine.session.replay` makes the same sound again. Each line is flushed as it is written, so a take survives
whatever ends the session.
"""

import contextlib
import importlib.metadata
import json
import math
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from engine.audio.mixer import LaneChange
from engine.conductor import Conductor, Stretch
from engine.errors import EngineError, TakeError
from engine.messages import session as messages
from engine.messages.session import Command
from engine.music.harmony import Chord
from engine.worker.orders import Began, Order, Took
from engine.worker.process import Setup

__all__ = ["PlayerLog", "Take", "TakeWriter", "machine", "new_take", "read_take"]

FORMAT: Final = 1
_STEP: Final = 48_000
_RATES: Final = range(1_000, 1_000_000)
_WRONG: Final = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, EngineError)
_LOGGED: Final = (
    "Set", "Jump", "Tempo", "Beats", "Locate", "SetChord", "Progression", "Keys", "Continue", "Rewind", "Branch",
    "Choose", "Commit", "ClearChord", "ClearProgression",
)  # fmt: skip
_WRITTEN: Final[Mapping[str, str]] = {"SetChord": "Chord", "Commit": "Land"}
"""Commands whose name in a take is another one than in the code: the format does not change with the code."""
_COMMANDS: Final[Mapping[str, type]] = {_WRITTEN.get(name, name): getattr(messages, name) for name in _LOGGED}


class TakeWriter:
    """Writes a take, or nothing if `path` is None. Threads: the session's housekeeping.

    A disk that is full ends the log (`failed` says why), never the music.
    """

    def __init__(self, path: Path | None, header: Mapping[str, Any]) -> None:
        self.path, self.failed = path, ""
        self._file: IO[str] | None = None
        self._step = self._next = int(header.get("sample_rate", _STEP))
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("x", encoding="utf-8")
            except OSError as error:
                self.failed = f"{path}: {error.strerror}"
        self._line({"take": FORMAT, **header})

    def player(self, number: int, voice: str, setup: Setup, resumed: int | None) -> None:
        """A player begins; `resumed` is the player whose state it continues."""
        resume = None if setup.resume is None or resumed is None else [resumed, setup.resume[0]]
        self._line(
            {
                "player": number,
                "voice": voice,
                "bundle": setup.bundle,
                "seed": setup.seed,
                "controls": [["/".join(path), value] for path, value in setup.controls],
                "options": dict(setup.options),
                "resume": resume,
                "conductor": _conductor_out(setup.conductor),
            }
        )

    def ready(self, player: int, identity: str) -> None:
        """A player's bundle is open; `identity` of its weights."""
        self._line({"ready": player, "identity": identity})

    def took(self, player: int, took: Took) -> None:
        """A player obeyed an order."""
        order = took.order
        name = _WRITTEN.get(type(order.command).__name__, type(order.command).__name__)
        if name in _COMMANDS:
            row = {"number": order.number, "sample": order.sample, "command": {name: asdict(order.command)}}
            self._line({"took": player, "chunk": took.chunk, **row})

    def began(self, player: int, began: Began) -> None:
        """A run of a player's sound begins."""
        self._line({"began": player, "chunk": began.chunk, "at": began.at})

    def turn(self, voice: str, turn: LaneChange) -> None:
        """A voice's lane changed what it plays."""
        self._line({"turn": voice, **asdict(turn)})

    def guest(self, name: str, sample: int) -> None:
        """A sound that is mixed in beside the voices is kept in a file from a sample on."""
        self._line({"guest": name, "sample": sample})

    def note(self, **facts: Any) -> None:
        """Something for people; a replay passes over it."""
        self._line({"note": facts})

    def reached(self, sample: int) -> None:
        """The session has come to a sample; kept once a second, so that a take without an end is replayed to there."""
        if sample >= self._next:
            self._next = sample + self._step
            self._line({"end": sample})

    def close(self, sample: int) -> None:
        """The session ends at a sample."""
        self._line({"end": sample})
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, row: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            self.failed = f"{self.path}: {error.strerror}"
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                file.close()


def machine() -> dict[str, str]:
    """What made a take: sound is bit for bit the same only where all of this is."""
    try:
        version = importlib.metadata.version("ripieno")
    except importlib.metadata.PackageNotFoundError:
        version = "source"
    return {"engine": version, "machine": platform.platform(), "processor": platform.machine(), "numpy": np.__version__}


def new_take(folder: Path) -> Path:
    """A path in `folder`, named by date and time, that is not taken yet."""
    stem, number = time.strftime("take-%Y%m%d-%H%M%S"), 1
    path = folder / f"{stem}.jsonl"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.jsonl"
    return path


@dataclass(slots=True)
class PlayerLog:
    """The commands of one player.

    Args:
        script: (chunk, what) in order; what is an order, or the position at which a run begins.
        resume: (player, chunk) whose state it went on from.
    """

    number: int
    voice: str
    bundle: str
    seed: int
    controls: tuple[tuple[tuple[str, ...], Any], ...]
    options: Mapping[str, Any]
    resume: tuple[int, int] | None
    conductor: Conductor
    identity: str = ""
    script: list[tuple[int, Order | int]] = field(default_factory=list)


@dataclass(slots=True)
class Take:
    """A read take: its header, its players by number, each voice's turns, and the session's length in samples.

    `folder` is where it lies, and with it the sound that was gone on with. `guests` are files of sound that was mixed
    in beside the voices, and the samples at which they begin.
    """

    header: Mapping[str, Any]
    players: dict[int, PlayerLog]
    turns: dict[str, list[LaneChange]]
    end: int
    folder: Path | None = None
    guests: list[tuple[str, int]] = field(default_factory=list)

    @property
    def sample_rate(self) -> int:
        return int(self.header["sample_rate"])

    @property
    def voices(self) -> list[str]:
        """Names of all voices in the order of the mix."""
        return list(self.turns)


def read_take(path: str | Path) -> Take:
    """Read a take; one cut short by a crash ends at its last whole line.

    Raises:
        TakeError: the file is not a take, or of another format, or damaged before its last line.
        OSError: it cannot be read.
    """
    rows = list(_rows(Path(path)))
    if not rows or not _is_header(rows[0]):
        raise TakeError(f"{path}: is no take of format {FORMAT}; give the .jsonl file of a session")
    take = Take(rows[0], {}, {name: [] for name in rows[0].get("voices", [])}, 0, Path(path).parent)
    for row in rows[1:]:
        try:
            _add(take, row)
        except _WRONG as error:
            raise TakeError(f"{path}: has a line that cannot be understood ({error!r}): {str(row)[:120]}") from None
    return take


def _is_header(row: Mapping[str, Any]) -> bool:
    """Whether a first line is that of a take that can be read here."""
    voices, window = row.get("voices", []), row.get("window") or [0, 0]
    return (
        row.get("take") == FORMAT
        and isinstance(row.get("sample_rate"), int)
        and row["sample_rate"] in _RATES
        and isinstance(voices, list)
        and all(isinstance(name, str) for name in voices)
        and isinstance(window, list)
        and len(window) == 2
        and all(isinstance(sample, int) for sample in window)
        and 0 <= window[0] <= window[1]
        and _is_ceiling(row.get("ceiling_db"))
    )


def _is_ceiling(value: object) -> bool:
    """Whether the mix can be limited to a value in dB; None: it was not limited."""
    return value is None or (isinstance(value, int | float) and -60.0 <= value <= 0.0)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise TakeError(f"{path}: is no text; give the .jsonl file of a session") from None
    for index, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            if index == len(lines) - 1:
                return
            raise TakeError(f"{path}: line {index + 1} is damaged") from None
        if not isinstance(row, dict):
            raise TakeError(f"{path}: line {index + 1} is not a JSON object")
        yield row


def _add(take: Take, row: Mapping[str, Any]) -> None:
    if "turn" in row:
        facts = {item.name: row[item.name] for item in fields(LaneChange)}
        take.turns.setdefault(row["turn"], []).append(LaneChange(**facts))
        take.end = max(take.end, int(row["sample"]))
    elif "player" in row:
        number, resume = int(row["player"]), row["resume"]
        if not isinstance(row["bundle"], str) or not isinstance(row["voice"], str):
            raise TypeError("names are texts")
        if resume is not None and int(resume[0]) not in take.players:
            raise ValueError("a player continues one that was before it")
        take.players[number] = PlayerLog(
            number=number,
            voice=row["voice"],
            bundle=row["bundle"],
            seed=row["seed"],
            controls=tuple((tuple(path.split("/")), value) for path, value in row["controls"]),
            options=row["options"],
            resume=None if resume is None else (int(resume[0]), int(resume[1])),
            conductor=_conductor_in(row["conductor"], take.sample_rate),
        )
        take.turns.setdefault(row["voice"], [])
    elif "ready" in row:
        take.players[row["ready"]].identity = str(row["identity"])
    elif "took" in row:
        order = Order(int(row["number"]), float(row["sample"]), _command_in(row["command"]))
        take.players[row["took"]].script.append((int(row["chunk"]), order))
    elif "began" in row:
        take.players[row["began"]].script.append((int(row["chunk"]), int(row["at"])))
    elif "guest" in row:
        take.guests.append((str(row["guest"]), max(0, int(row["sample"]))))
    elif "end" in row:
        take.end = max(0, int(row["end"]))


def _command_in(value: Mapping[str, Any]) -> Command:
    ((name, facts),) = value.items()
    facts = {key: tuple(item) if isinstance(item, list) else item for key, item in facts.items()}
    command: Command = _COMMANDS[name](**facts)
    return command


def _chord_out(chord: Chord | None) -> list[Any] | None:
    return None if chord is None else [chord.root, chord.quality, chord.bass]


def _chord_in(value: list[Any] | None) -> Chord | None:
    return None if value is None else Chord(*value)


def _conductor_out(conductor: Conductor) -> dict[str, Any]:
    return {
        "beats": conductor.beats_per_bar,
        "stretches": [[s.sample, s.tick, s.tempo_bpm, s.beats] for s in conductor.stretches],
        "chords": [[sample, _chord_out(chord)] for sample, chord in conductor.chords],
        "progressions": [
            [sample if math.isfinite(sample) else None, [[_chord_out(c) for c in bar] for bar in bars], first]
            for sample, bars, first in conductor.progressions
        ],
    }


def _conductor_in(value: Mapping[str, Any], sample_rate: int) -> Conductor:
    return Conductor(
        sample_rate,
        stretches=[Stretch(*row) for row in value["stretches"]],
        beats_per_bar=value["beats"],
        chords=[(sample, _chord_in(chord)) for sample, chord in value["chords"]],
        progressions=[
            (-math.inf if sample is None else sample, tuple(tuple(Chord(*c) for c in bar) for bar in bars), first)
            for sample, bars, first in value["progressions"]
        ],
    )
