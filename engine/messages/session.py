"""All that bridge and engine say to each other: frozen commands in, frozen events out.

A command's fields are annotated like controls, so its address and its checks come from the same declaration.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from engine.controls import Live, Value
from engine.messages.band import BandCounts, BandLoad, BandNote, BandPlan, BandStart, BandStop
from engine.messages.continuation import Branch, Choose, Commit, Continue, Prepared, Rewind
from engine.messages.infill import (
    CancelInfill,
    FilledNote,
    FillNote,
    ForgetNotes,
    Infill,
    InfillDone,
    InfillProgress,
)

__all__ = [
    "BAR",
    "BEAT",
    "NOW",
    "SESSION_COMMANDS",
    "VOICE_COMMANDS",
    "Applied",
    "BandCounts",
    "BandLoad",
    "BandNote",
    "BandPlan",
    "BandStart",
    "BandStop",
    "Beats",
    "Branch",
    "CancelInfill",
    "Changed",
    "Choose",
    "Command",
    "Commit",
    "Continue",
    "Cover",
    "Event",
    "Failed",
    "FillNote",
    "FilledNote",
    "ForgetNotes",
    "Infill",
    "InfillDone",
    "InfillProgress",
    "Jump",
    "Keep",
    "Keys",
    "Load",
    "Locate",
    "Panic",
    "Play",
    "Prepared",
    "Progression",
    "Record",
    "RecordStop",
    "Recorded",
    "Rewind",
    "Set",
    "SetChord",
    "Stop",
    "Swapped",
    "Telemetry",
    "Tempo",
    "Thawed",
    "Unload",
    "VoiceDown",
    "VoiceTelemetry",
    "VoiceUp",
    "When",
]


@dataclass(frozen=True, slots=True)
class When:
    """When a command is to take effect.

    Args:
        kind: ``now``, ``beat`` (next), ``bar`` (next), ``at`` (first beat of bar `value`) or ``sample`` (the session's
            sample `value`, which is what a timetag becomes).
    """

    kind: str = "now"
    value: int = 0


NOW: Final = When()
BEAT: Final = When("beat")
BAR: Final = When("bar")


@dataclass(frozen=True, slots=True)
class Set:
    """Give one control of one voice a value; `path` starts with the voice's name."""

    path: tuple[str, ...]
    value: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """Start a voice (ramped)."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Stop a voice (ramped); its state stays, so play goes on from there."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jump:
    """Go to another place in the model's latent space."""

    voice: str = ""
    seed: Annotated[int, Live(0, 2**31 - 1, "where to: same seed, same place")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Load a bundle beside the one that plays, and change over to it at the given time."""

    voice: str = ""
    bundle: Annotated[str, Live(0, 256, "name of the bundle")] = ""
    seed: Annotated[int, Live(0, 2**31 - 1, "seed of the new voice")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Unload:
    """End a voice and give its memory back."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panic:
    """Everything silent at once (ramped over 10 ms), until each voice is played again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempo:
    """Tempo of the transport."""

    bpm: Annotated[float, Live(20.0, 400.0, "quarter notes a minute", "bpm")] = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Beats:
    """Quarter notes in a bar."""

    count: Annotated[int, Live(1, 16, "quarter notes in a bar")] = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Locate:
    """Set the transport to the start of a bar."""

    bar: Annotated[int, Live(0, 100_000, "bar, the first is 0")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SetChord:
    """The chord that sounds, such as Am7 or F/A; an empty text gives harmony back to the progression."""

    name: Annotated[str, Live(0, 32, "chord, such as Am7 or F/A")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progression:
    """Chords, one a bar, repeated: ``Am F C G`` (bars with several chords are set off by ``|``)."""

    chords: Annotated[str, Live(0, 1024, "chords, one a bar, such as: Am F C G")] = ""


@dataclass(frozen=True, slots=True)
class Keys:
    """The set of keys held on a MIDI keyboard has changed; empty: all let go (the last chord goes on)."""

    pitches: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Record what sounds into a WAV or FLAC file of the session folder, and a live input into another beside it."""

    name: Annotated[str, Live(0, 128, "file name ending in .wav or .flac; empty: named by date and time")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordStop:
    """End the recording."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Keep the last bars, already played, as a WAV file with the commands that made them."""

    bars: Annotated[int, Live(1, 64, "bars to keep")] = 4


Command = (
    Set
    | Play
    | Stop
    | Jump
    | Load
    | Unload
    | Continue
    | Rewind
    | Branch
    | Choose
    | Commit
    | Panic
    | Tempo
    | Beats
    | Locate
    | SetChord
    | Progression
    | Keys
    | Record
    | RecordStop
    | Keep
    | Infill
    | FillNote
    | ForgetNotes
    | CancelInfill
    | BandStart
    | BandStop
    | BandLoad
)

VOICE_COMMANDS: Final[Mapping[str, type]] = {
    "play": Play,
    "stop": Stop,
    "jump": Jump,
    "load": Load,
    "unload": Unload,
    "continue": Continue,
    "branch": Branch,
    "choose": Choose,
    "rewind": Rewind,
}
"""Commands of one voice, by the last part of their address: ``/musika/play``."""

SESSION_COMMANDS: Final[Mapping[str, type]] = {
    "transport/tempo": Tempo,
    "transport/beats": Beats,
    "transport/locate": Locate,
    "harmony/chord": SetChord,
    "harmony/progression": Progression,
    "record/start": Record,
    "record/stop": RecordStop,
    "record/keep": Keep,
    "getmusic/infill": Infill,
    "getmusic/note": FillNote,
    "getmusic/forget": ForgetNotes,
    "getmusic/cancel": CancelInfill,
    "band/start": BandStart,
    "band/stop": BandStop,
    "band/load": BandLoad,
    "panic": Panic,
}
"""Commands of the whole session, by address below the root."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """A command has taken effect.

    Args:
        number: what `Session.post` gave for it.
        command: the command itself.
        voice: the voice that took it; empty for the session.
        sample: the session's sample from which it is heard.
        latency_ms: from `post` to the moment that sample is at the output.
    """

    number: int
    command: Command
    voice: str
    sample: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A command could not be obeyed; `reason` says got, wanted and remedy. Nothing has changed."""

    number: int
    command: Command
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A control has a new value."""

    path: tuple[str, ...]
    value: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """A voice is late: its last bar (or second) sounds again from `sample` on."""

    voice: str
    sample: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Thawed:
    """A late voice has caught up at `sample`, after `samples` of cover."""

    voice: str
    sample: int
    samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceUp:
    """A voice is loaded and ready, `seconds` after it was asked for; `restarted` if it had died or hung."""

    voice: str
    bundle: str
    seconds: float
    restarted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceDown:
    """A voice has died or hung (`reason`); it is being started again with its last state."""

    voice: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Swapped:
    """A voice changed over to another bundle at `sample`."""

    voice: str
    bundle: str
    sample: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A sound file is finished: its path and length in samples."""

    path: str
    samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceTelemetry:
    """One voice, now.

    Args:
        level_db: peak of the last interval.
        fill_ms: sound ready in its ring.
        realtime: seconds of sound made per second of work.
        late: chunks that came late so far.
        cpu: share of one core, 0..1.
        prepared_s, continue_ms: of the latest future that was heard: how long it was in the making, and from asking for
            it to its first sample; 0 before.
    """

    voice: str
    bundle: str
    playing: bool
    level_db: float
    fill_ms: float
    realtime: float
    late: int
    cpu: float
    prepared_s: float = 0.0
    continue_ms: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Telemetry:
    """The session, ten times a second.

    Args:
        sample: samples read so far.
        bar, beat: of the sample being read; tempo there.
        level_db: peak of the mix in the last interval.
        underruns: reads that had to be covered so far (ours, not the sound card's).
        latency_ms: of the commands applied in the last interval, the greatest; 0 if none.
        input_db: peak of the live input in the last interval; -120 for silence or no input.
    """

    sample: int
    bar: int
    beat: float
    tempo_bpm: float
    chord: str
    level_db: float
    underruns: int
    latency_ms: float
    input_db: float = -120.0
    voices: tuple[VoiceTelemetry, ...] = ()


Event = (
    Applied
    | Failed
    | Changed
    | Cover
    | Thawed
    | VoiceUp
    | VoiceDown
    | Swapped
    | Recorded
    | Prepared
    | InfillProgress
    | InfillDone
    | FilledNote
    | BandPlan
    | BandNote
    | BandCounts
    | Telemetry
)
