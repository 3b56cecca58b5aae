"""All messages between bridge and engine: frozen commands go in, frozen events come out.

A command's fields are annotated like controls, so its address and its checks come from the same declaration.
The first line of a command's docstring is its description on the OSC page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from engine.controls import Live, Value
from engine.errors import ControlError
from engine.messages.band import BandCounts, BandLoad, BandNote, BandPlan, BandStart, BandStop
from engine.messages.continuation import Branch, Choose, Commit, Continue, Prepared, Rewind
from engine.messages.infill import CancelInfill, FilledNote, FillNote, ForgetNotes, Infill, InfillDone, InfillProgress
from engine.music.units import TEMPO_BPM, TICKS_PER_BEAT

__all__ = [
    "BAR", "BEAT", "NOW", "READABLE", "SESSION_COMMANDS", "VOICE_COMMANDS", "Applied", "BandCounts", "BandLoad",
    "BandNote", "BandPlan", "BandStart", "BandStop", "Beats", "Branch", "CancelInfill", "Changed", "Choose",
    "ClearChord", "ClearProgression", "ClearWaiting", "Command", "Commit", "Continue", "Cover", "Event", "Failed",
    "FillNote", "FilledNote", "ForgetNotes", "Infill", "InfillDone",
    "InfillProgress", "Jump", "Keep", "Keys", "Load", "Locate", "Panic", "Play", "Prepared", "Progression", "Record",
    "RecordStop", "Recorded", "Rewind", "Set", "SetChord", "Stop", "Swapped", "Telemetry", "Tempo", "Thawed",
    "Unload", "VoiceDown", "VoiceTelemetry", "VoiceUp", "When",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class When:
    """The time at which a command takes effect.

    Args:
        kind: ``now``, ``beat`` (the next), ``bar`` (the next), ``at`` (first beat of bar `value`) or ``sample``
            (sample `value` of the session; an OSC timetag becomes this).
    """

    kind: str = "now"
    value: int = 0

    def tick(self, here: float, bar_ticks: int) -> float | None:
        """The tick that is meant, `here` being the latest tick that has passed; None for now, and for a sample.

        Args:
            bar_ticks: length of a bar.
        Raises:
            ControlError: a kind of time that does not exist.
        """
        match self.kind:
            case "now" | "sample":
                return None
            case "beat":
                return (here // TICKS_PER_BEAT + 1.0) * TICKS_PER_BEAT
            case "bar":
                return (here // bar_ticks + 1.0) * bar_ticks
            case "at":
                return float(self.value * bar_ticks)
            case kind:
                raise ControlError(f"time is now, beat, bar, at or sample, got {kind!r}")


NOW: Final = When()
BEAT: Final = When("beat")
BAR: Final = When("bar")


@dataclass(frozen=True, slots=True)
class Set:
    """Set one control of one voice; `path` starts with the voice's name."""

    path: tuple[str, ...]
    value: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Play:
    """Start a voice (with a short fade in)."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Stop a voice (with a short fade out); its state is kept, and play resumes from it."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jump:
    """Jump to another random state of the model; the sound is not interrupted."""

    voice: str = ""
    seed: Annotated[int, Live(0, 2**31 - 1, "same seed, same music")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Load a bundle in the background and crossfade to it at the given time; an unused NAME makes a new voice."""

    voice: str = ""
    bundle: Annotated[str, Live(0, 256, "bundle name, as ripieno bundles lists it")] = ""
    seed: Annotated[int, Live(0, 2**31 - 1, "seed of the new voice: same seed, same music")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Unload:
    """Remove a voice and free its memory."""

    voice: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panic:
    """Silence everything at once (10 ms fade) until voices and band are started again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempo:
    """Set the tempo of the transport."""

    bpm: Annotated[float, Live(*TEMPO_BPM, "quarter notes per minute", "bpm")] = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Beats:
    """Set the number of quarter notes in a bar."""

    count: Annotated[int, Live(1, 16, "quarter notes per bar")] = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Locate:
    """Move the transport to the start of a bar."""

    bar: Annotated[int, Live(0, 100_000, "bar number, counted from 0")] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SetChord:
    """Set the present chord, such as Am7 or F/A; an empty text returns to the progression."""

    name: Annotated[str, Live(0, 32, "chord, such as Am7 or F/A; empty: follow the progression")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progression:
    """Set the chord progression, one chord per bar, repeated: ``Am F C G``; for several per bar: ``Am F | C G``."""

    chords: Annotated[str, Live(0, 1024, "chords, one per bar, such as Am F C G; or Am F | C G | Dm")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearChord:
    """Clear the present chord: the progression is followed again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearProgression:
    """Clear the progression: chords come only from `/harmony/chord` and from keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClearWaiting:
    """Drop all commands that wait for their beat, bar or time; each is answered at `/error`."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The set of keys held on a MIDI keyboard has changed; empty: all released (the last chord stays)."""

    pitches: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Record the mix to a WAV or FLAC file in the session folder, and the live input, if any, to a second file."""

    name: Annotated[str, Live(0, 128, "file name ending in .wav or .flac; empty: date and time")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordStop:
    """Stop recording."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Save the last bars, already played, as a WAV file, with the commands that made them in a file beside it."""

    bars: Annotated[int, Live(1, 64, "bars to save")] = 4


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
    | ClearChord
    | ClearProgression
    | ClearWaiting
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
    "harmony/chord/clear": ClearChord,
    "harmony/progression/clear": ClearProgression,
    "waiting/clear": ClearWaiting,
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

READABLE: Final = frozenset({Tempo, Beats, SetChord, Progression})
"""Commands of one value whose address without it asks for the present one, as the address of a control does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """A command has taken effect.

    Args:
        number: as returned by `Session.post`.
        command: the command itself.
        voice: the voice it applies to; empty for the session.
        sample: sample of the session from which it is audible.
        latency_ms: from `post` to the moment that sample reaches the output.
    """

    number: int
    command: Command
    voice: str
    sample: int
    latency_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A command could not be carried out; `reason` says got, wanted and remedy. Nothing has changed."""

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
    """A voice is late: its last bar (or second) is repeated from `sample` on."""

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
    """A voice is loaded and ready after `seconds`; `restarted` if its process had died or hung."""

    voice: str
    bundle: str
    seconds: float
    restarted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceDown:
    """A voice's process has died or hung (`reason`); it is being restarted with its last state."""

    voice: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Swapped:
    """A voice crossfaded to another bundle at `sample`."""

    voice: str
    bundle: str
    sample: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """A sound file is complete: its path and length in samples."""

    path: str
    samples: int


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceTelemetry:
    """One voice, now.

    Args:
        level_db: peak of the last interval.
        fill_ms: sound ready in its ring.
        realtime: seconds of sound made per second of computation.
        late: chunks that came late so far.
        cpu: share of one core, 0..1.
        prepared_s, continue_ms: of the latest continuation played: time to prepare it, and time from the command to
            its first sample at the output; 0 before the first.
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
        bar, beat, tempo_bpm, chord: at the sample being read; bars and beats count from 0.
        level_db: peak of the mix in the last interval.
        underruns: reads so far that a voice did not fill in time (counted here, not by the sound card).
        latency_ms: the greatest latency of the commands applied in the last interval; 0 if none.
        input_db: peak of the live input in the last interval; -120 for silence or no input.
        limiter_db: by how much the limiter turned the mix down at most in the last interval; 0 if it did not.
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
    limiter_db: float = 0.0
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
