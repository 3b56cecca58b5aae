"""A session's fills: progress and results as events, one at a time, cancelled cleanly, whatever goes wrong a line."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.messages.session import (
    Applied,
    CancelInfill,
    Command,
    Event,
    Failed,
    FilledNote,
    FillNote,
    ForgetNotes,
    Infill,
    InfillDone,
    InfillProgress,
)
from engine.music.midifile import read_midi, write_midi
from engine.music.score import Note, Score, Track
from engine.session.session import Session, VoiceSpec
from tests.tiny_getmusic import write_tiny_getmusic

RATE = 48000
ASK = Infill(file="in.mid", targets="bass", bars="2-3", variations=2, steps=4, bundle="band")


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "bundles"))
    write_tiny_getmusic(tmp_path / "bundles" / "band", context=128)
    melody = tuple(Note(tick, 60 + tick // 480 % 5, 480) for tick in range(0, 4 * 1920, 480))
    (tmp_path / "in.mid").write_bytes(write_midi(Score((Track(melody, 80),))))
    return tmp_path


@pytest.fixture
def session(room: Path) -> Iterator[Session]:
    with Session(RATE, voices=(VoiceSpec(name="tone"),), folder=room, in_process=True) as made:
        yield made


def until(session: Session, ended: Callable[[list[Event]], bool], *, wait_s: float = 0.0) -> list[Event]:
    """Events until `ended` is true of them."""
    seen: list[Event] = []
    deadline = time.monotonic() + wait_s
    for _ in range(10_000):
        session.read(480)
        seen += session.poll()
        if ended(seen):
            return seen
        if wait_s:
            assert time.monotonic() < deadline, seen[-5:]
            time.sleep(0.01)
    raise AssertionError(seen[-5:])


def answered(session: Session, command: Command) -> Event:
    number = session.post(command)
    seen = until(session, lambda events: any(_answers(event, number) for event in events))
    return next(event for event in seen if _answers(event, number))


def _answers(event: Event, number: int) -> bool:
    return isinstance(event, Applied | Failed) and event.number == number


def of(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def whole(events: list[Event]) -> bool:
    """Both variations told, with all their notes."""
    done = of(events, InfillDone)
    return len(done) == 2 and len(of(events, FilledNote)) == sum(each.notes for each in done)


def test_a_fill_tells_its_progress_and_its_notes(session: Session, room: Path) -> None:
    number = session.post(ASK)
    seen = until(session, whole)
    told = of(seen, InfillProgress)
    assert [each.done for each in told] == sorted(each.done for each in told)
    assert told[-1].done == told[-1].total
    assert {each.number for each in (*told, *of(seen, InfillDone), *of(seen, FilledNote))} == {number}
    for each in of(seen, InfillDone):
        assert Path(each.path).parent == room
        (track,) = read_midi(each.path).tracks[1:]
        notes = [n for n in of(seen, FilledNote) if n.variation == each.variation]
        assert [(n.start, n.pitch, n.length, n.velocity) for n in notes] == [
            (n.start, n.pitch, n.length, n.velocity) for n in track.notes
        ]
        assert {n.track for n in notes} == {"bass"}


def test_it_is_acknowledged_when_it_begins(session: Session) -> None:
    assert isinstance(answered(session, ASK), Applied)


def test_results_never_replace_a_file(session: Session, room: Path) -> None:
    names = set()
    for _ in range(2):
        session.post(ASK)
        names |= {Path(each.path).name for each in of(until(session, whole), InfillDone)}
    assert names == {"in-fill1-1.mid", "in-fill1-2.mid", "in-fill2-1.mid", "in-fill2-2.mid"}


def test_only_one_goes_at_a_time(session: Session) -> None:
    session.post(ASK)
    second = session.post(ASK)
    seen = until(session, whole)
    (failed,) = of(seen, Failed)
    assert failed.number == second
    assert "under way" in failed.reason


def test_a_cancelled_fill_writes_nothing_and_makes_room_for_another(session: Session, room: Path) -> None:
    number = session.post(ASK)
    until(session, lambda events: bool(of(events, InfillProgress)))
    cancel = session.post(CancelInfill())
    seen = until(session, lambda events: any(_answers(event, cancel) for event in events))
    assert [(each.number, each.reason) for each in of(seen, Failed)] == [(number, "cancelled")]
    assert sorted(room.glob("in-*")) == []
    session.post(ASK)
    assert whole(until(session, whole))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (CancelInfill(), "no fill is under way"),
        (Infill(file="none.mid", targets="bass"), "session folder"),
        (Infill(file="../in.mid", targets="bass"), "session folder"),
        (Infill(file="", targets="bass"), "session folder"),
        (Infill(file="in.mid", targets="flute"), "one or more of"),
        (Infill(file="in.mid", targets="bass", bars="x"), "bars are such as"),
    ],
)
def test_what_cannot_begin_is_refused(session: Session, command: Command, says: str) -> None:
    answer = answered(session, command)
    assert isinstance(answer, Failed)
    assert says in answer.reason


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (Infill(file="in.mid", targets="bass", bundle="nobody"), "no bundle 'nobody'"),
        (Infill(file="in.mid", targets="bass", bundle="/tmp"), "no bundle '/tmp'"),
        (Infill(file="in.mid", targets="lead"), "nothing is left"),
        (Infill(file="bad.mid", targets="lead"), "MIDI"),
    ],
)
def test_what_goes_wrong_is_told(session: Session, room: Path, command: Command, says: str) -> None:
    (room / "bad.mid").write_bytes(b"no music at all")
    session.post(command)
    (failed,) = of(until(session, lambda events: bool(of(events, Failed))), Failed)
    assert says in failed.reason
    assert failed.command == command


def test_a_fill_takes_no_file_from_outside_the_folder(session: Session, room: Path) -> None:
    (room / "deeper").mkdir()
    (room / "deeper" / "in.mid").write_bytes((room / "in.mid").read_bytes())
    for name in ("deeper/in.mid", str(room / "in.mid"), f"../{room.name}/in.mid"):
        answer = answered(session, Infill(file=name, targets="bass"))
        assert isinstance(answer, Failed)
        assert "wanted the name of a MIDI file in the session folder" in answer.reason


def test_a_fill_takes_no_bundle_by_its_path(session: Session, room: Path) -> None:
    session.post(replace(ASK, bundle=str(room / "bundles" / "band")))
    (failed,) = of(until(session, lambda events: bool(of(events, Failed))), Failed)
    assert "no bundle" in failed.reason


def test_a_session_without_a_folder_fills_nothing() -> None:
    with Session(RATE, voices=(VoiceSpec(name="tone"),), in_process=True) as session:
        answer = answered(session, ASK)
    assert isinstance(answer, Failed)
    assert "folder" in answer.reason


def test_a_process_of_its_own_does_the_same(room: Path) -> None:
    with Session(RATE, voices=(), folder=room) as session:
        session.post(ASK)
        seen = until(session, whole, wait_s=60.0)
        assert of(seen, InfillProgress)[-1].done > 0
        made = [Path(each.path).read_bytes() for each in of(seen, InfillDone)]
        session.post(ASK)  # is under way when the session ends
    with Session(RATE, voices=(), folder=room, in_process=True) as session:
        for path in room.glob("in-*"):
            path.unlink()
        session.post(ASK)
        again = [Path(each.path).read_bytes() for each in of(until(session, whole), InfillDone)]
    assert made == again


def test_notes_may_come_as_messages(session: Session, room: Path) -> None:
    ask = Infill(targets="bass", bars="1-2", variations=2, steps=4, bundle="band", options="bass.density=0.5")
    assert "session folder" in answered(session, ask).reason
    for beat in range(8):
        assert isinstance(answered(session, FillNote(start=480 * beat, pitch=60 + beat)), Applied)
    session.post(ask)
    done = of(until(session, whole), InfillDone)
    assert {Path(each.path).name for each in done} == {"notes1-fill1-1.mid", "notes1-fill1-2.mid"}
    lead, bass = read_midi(done[0].path).tracks
    assert [(note.start, note.pitch) for note in lead.notes] == [(480 * beat, 60 + beat) for beat in range(8)]
    assert len(bass.notes) == pytest.approx(16, abs=4)  # density is met on the whole
    answered(session, ForgetNotes())
    assert "session folder" in answered(session, ask).reason
    assert "an option is" in answered(session, Infill(file="in.mid", targets="bass", options="x")).reason
