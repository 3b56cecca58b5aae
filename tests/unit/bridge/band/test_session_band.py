"""The session band takes its commands and refuses others at once; what it does comes back as events."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.app import App
from bridge.band.band import Band
from bridge.band.events import BandEvents
from bridge.band.options import BandOptions
from bridge.band.session_band import SessionBand, concerns_band
from bridge.band.view import BandStatus
from bridge.midi.out import OutStats
from bridge.midi.output_commands import AllNotesOff, AllSoundOff, OutputCommand
from bridge.osc.space import AddressSpace, Routed
from bridge.settings import Settings
from engine.band.accompanist import Accompanist
from engine.band.actions import BandSettings, Dropped, Planned
from engine.band.controls import BandControls
from engine.errors import ControlError
from engine.messages.session import (
    BAR,
    NOW,
    Applied,
    BandCounts,
    BandLoad,
    BandNote,
    BandPlan,
    BandStart,
    BandStop,
    Changed,
    Event,
    Failed,
    Jump,
    Panic,
    Set,
    Tempo,
)
from engine.models.tone import ToneControls
from engine.music.audio import Audio
from engine.music.harmony import parse_progression
from engine.music.score import Note
from engine.session.session import Session
from tests.unit.bridge.band.live import SETTINGS, FakeProcess, Rig

RATE = 24_000
SPACE = AddressSpace({"tone": ToneControls()}, BandControls())


def test_controls_and_commands_of_the_band_have_addresses() -> None:
    wanted = Set(("band", "density", "bass"), 0.5)
    assert SPACE.route("/band/density/bass", (0.5,)) == [Routed("/band/density/bass", wanted, NOW)]
    assert SPACE.route("/band/start", ()) == [Routed("/band/start", BandStart(), NOW)]
    assert SPACE.route("/band/load", ("pattern",)) == [Routed("/band/load", BandLoad(name="pattern"), NOW)]
    assert SPACE.voices == ("tone",)


def test_no_voice_may_be_called_band() -> None:
    with pytest.raises(ControlError, match="/band is an address"):
        AddressSpace({"band": ToneControls()})


def test_what_concerns_the_band_is_told_from_what_concerns_voices() -> None:
    assert concerns_band(BandStart())
    assert concerns_band(Set(("band", "steps"), 4))
    assert not concerns_band(Set(("tone", "gain"), 0.0))
    assert not concerns_band(Panic())


def test_without_a_band_its_commands_are_refused_with_a_remedy() -> None:
    with pytest.raises(ControlError, match="--band"):
        App(Settings()).post(BandStart())


class HalfSound:
    """A sound of the band at half of full scale, and the commands it was given."""

    def __init__(self) -> None:
        self.commands: list[OutputCommand] = []

    def apply(self, command: OutputCommand) -> None:
        self.commands.append(command)

    def read(self, frames: int) -> Audio:
        return np.full((2, frames), 0.5, np.float32)


class Here(Rig):
    """A session band whose thread is this test, with ports and process by hand, in real time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.processes = list[FakeProcess]()
        self._loaded = True
        self.lines: list[str] = []
        options = BandOptions(settings=SETTINGS)
        self.session_band = SessionBand(
            options, session, lambda: 0.0, self.lines.append,
            make_band=lambda *parts: Band(*parts, ports=self._ports, process=self._process),
        )  # fmt: skip
        self.band = self.session_band.band

    @property
    def now(self) -> float:  # type: ignore[override]
        return time.perf_counter()

    def step(self) -> list[Event]:
        self.session.read(RATE // 10)
        self.band.step()
        return self.session_band.poll()


@pytest.fixture
def here() -> Iterator[Here]:
    with Session(RATE, in_process=True) as session:
        made = Here(session)
        made.step()
        yield made


def test_panic_silences_the_band_until_it_is_started(here: Here) -> None:
    assert here.band.state == "playing"
    here.output.commands.clear()
    here.session_band.panic()
    here.step()
    assert here.output.commands[0] == AllSoundOff()
    assert AllNotesOff() in here.output.commands
    assert here.band.state == "resting"
    here.session_band.post(BandStart(), NOW)
    here.step()
    assert here.band.state == "playing"


def test_a_command_is_answered_with_its_number_and_a_control_with_its_value(here: Here) -> None:
    number = here.session_band.post(Set(("band", "density", "bass"), 0.25), NOW)
    changed, applied = (event for event in here.step() if isinstance(event, Changed | Applied))
    assert changed == Changed(path=("band", "density", "bass"), value=0.25)
    assert isinstance(applied, Applied)
    assert (applied.number, applied.voice) == (number, "band")
    assert here.session_band.value(("density", "bass")) == 0.25
    assert here.session_band.value(("nothing",)) is None


def test_a_command_for_the_next_bar_waits_for_its_line(here: Here) -> None:
    here.session_band.post(BandStop(), BAR)
    assert not [event for event in here.step() if isinstance(event, Applied)]
    assert here.band.state == "playing"


def test_a_band_that_cannot_load_fails_with_its_number(here: Here) -> None:
    here._loaded = False
    number = here.session_band.post(BandLoad(name="house"), NOW)
    here.step()
    assert here.process.name == "pattern"
    assert here.lines[-1] == "/band/load house is now /band/load pattern"
    here.process.fail(-1, "no memory")
    (failed,) = (event for event in here.step() if isinstance(event, Failed))
    assert (failed.number, failed.reason) == (number, "no memory")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Set(("band", "steps"), 1_000_000), "takes"),
        (Set(("band", "nothing"), 1), "no control"),
        (BandLoad(name="no-such-band"), "no-such-band"),
        (BandLoad(name="tone"), "cannot accompany"),
        (BandLoad(name="../engine/starter/getmusic-live"), "no bundle"),
        (Jump(voice="tone"), "got Jump, wanted a command for the band"),
        (Tempo(bpm=90.0), "got Tempo, wanted a command for the band"),
    ],
)
def test_what_the_band_cannot_do_is_refused_before_it_is_sent(here: Here, command: Any, says: str) -> None:
    with pytest.raises(ControlError, match=says):
        here.session_band.post(command, NOW)
    here.output.commands.clear()
    here.step()
    assert not {AllNotesOff(), AllSoundOff()} & set(here.output.commands)


def test_a_keyboard_reaches_the_band_and_the_voices(here: Here) -> None:
    other = Rig().band.inbox
    listener = here.session_band.listener(other)
    listener.receive((0x90, 60, 100), 1.0)
    listener.check_timeout(2.0)
    listener.release_all()
    assert [message for message, _ in other.take()] == [(0x90, 60, 100), None]
    assert [message for message, _ in here.band.inbox.take()] == [(0x90, 60, 100), None]


def test_status_names_the_band_its_state_and_its_counts(here: Here) -> None:
    rows = dict(here.session_band.status())
    assert (rows["band"], rows["band_state"], rows["band_made"], rows["band_fallbacks"]) == ("pattern", "playing", 0, 0)


def test_the_bands_own_sound_is_in_the_sessions_mix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = HalfSound()
    monkeypatch.setattr("bridge.band.session_band.open_sound", lambda *args: (sound, "plain tones"))
    lines: list[str] = []
    with Session(RATE, voices=(), in_process=True) as session:
        here = Rig()
        made = SessionBand(
            BandOptions(settings=SETTINGS), session, lambda: 0.0, lines.append, sounding=True,
            make_band=lambda *parts: Band(*parts, ports=here._ports, process=here._process),
        )  # fmt: skip
        assert made.mixed(64) == pytest.approx(np.full((2, 64), 0.5))
        assert session.position == 64
        assert lines[0] == "band sound: plain tones"
        made.stop()
        assert AllNotesOff() in sound.commands


def test_a_plan_is_an_event_with_its_notes_and_the_counts() -> None:
    events = BandEvents(lambda line: None)
    chords = tuple(parse_progression(name)[0][0] for name in ("Am", "Am", "F", "F"))
    planned = Planned(3, "made", {"bass": (Note(0, 45, 480, 90), Note(960, 41, 480, 80))}, chords, 0.5)
    counts = Accompanist(BandSettings()).counts | {"made": 7, "pad": 1}
    events.show_status(BandStatus(1.0, 0.0, 120.0, None, None, counts, OutStats(ons=4, offs=3, sounding=1), ()))
    events.show_plan(planned)
    events.show_plan(Dropped(4, "late"))
    assert events.take() == [
        BandPlan(bar=3, source="made", chords="Am F", notes=2, ahead_ms=500.0),
        BandNote(bar=3, role="bass", start=0, pitch=45, length=480, velocity=90),
        BandNote(bar=3, role="bass", start=960, pitch=41, length=480, velocity=80),
        BandCounts(made=7, fallbacks=1, late=0, failed=0, ons=4, offs=3, stale=0, sounding=1),
    ]
    assert events.take() == []


def test_a_band_is_loaded_by_name_and_never_from_a_path(here: Here) -> None:
    """The bundle is there, and whoever starts the program may name its folder; who sends OSC may not."""
    starter = Path(__file__).parents[4] / "engine" / "starter" / "getmusic-live"
    here.session_band.post(BandLoad(name=starter.name), NOW)
    with pytest.raises(ControlError, match="no bundle"):
        here.session_band.post(BandLoad(name=str(starter)), NOW)
