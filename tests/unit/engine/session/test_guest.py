"""What sounds beside the voices is in the mix: recorded, metered, limited, kept and replayed bit for bit."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.limiter import CEILING_DB
from engine.errors import TakeError
from engine.messages.session import NOW, Event, Failed, Keep, Play, Record, RecordStop, Telemetry
from engine.music.audio import Audio
from engine.session.replay import replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import read_take
from tests.unit.engine.faulty import open_faulty

RATE = 44100


def _guest(samples: int, level: float) -> Audio:
    """Silence for a quarter of the time, then noise."""
    noise = level * np.random.default_rng(0).uniform(-1, 1, (2, samples)).astype(np.float32)
    noise[:, : samples // 4] = 0.0
    return noise.astype(np.float32)


def _played(folder: Path, guest: Audio, block: int = 700) -> tuple[Audio, list[Event], Path]:
    with Session(RATE, voices=(VoiceSpec(name="tone"),), opener=open_faulty, folder=folder, in_process=True) as session:
        session.post(Play(voice="tone"), NOW)
        session.post(Record(name="all.wav"), NOW)
        parts, events = [], []
        for at in range(0, guest.shape[1], block):
            piece = guest[:, at : at + block]
            parts.append(session.read(piece.shape[1], piece))
            events += session.poll()
        session.post(Keep(bars=1), NOW)
        session.post(RecordStop(), NOW)
        parts.append(session.read(2000, np.zeros((2, 2000), np.float32)))
        events += session.poll()
        take = session.take
    assert take is not None
    return np.concatenate(parts, axis=1), events, take


def test_a_guest_is_mixed_recorded_metered_and_replayed_bit_for_bit(tmp_path: Path) -> None:
    guest = _guest(5 * RATE, 0.3)
    mix, events, take = _played(tmp_path, guest)
    alone, _, _ = _played(tmp_path / "alone", np.zeros_like(guest))
    assert np.allclose(mix[:, : guest.shape[1]] - alone[:, : guest.shape[1]], guest, atol=1e-6)
    recorded = soundfile.read(tmp_path / "all.wav", dtype="float32", always_2d=True)[0].T
    assert np.array_equal(recorded, mix[:, : recorded.shape[1]])
    assert recorded.shape[1] >= guest.shape[1]
    levels = [event.level_db for event in events if isinstance(event, Telemetry)]
    assert max(levels) > min(levels) + 3.0
    again = np.concatenate(list(replay(read_take(take), open_faulty, lambda _: "")), axis=1)
    assert np.array_equal(again, mix[:, : again.shape[1]])
    assert again.shape[1] >= guest.shape[1]
    kept = soundfile.read(next(tmp_path.glob("keep-*.wav")), dtype="float32", always_2d=True)[0].T
    excerpt = read_take(next(tmp_path.glob("keep-*.take.jsonl")))
    first, last = excerpt.header["window"]
    assert np.array_equal(
        kept, np.concatenate(list(replay(excerpt, open_faulty, lambda _: "", first=first, last=last)), 1)
    )


def test_a_guest_that_is_too_loud_is_limited_with_the_voices(tmp_path: Path) -> None:
    mix, events, take = _played(tmp_path, _guest(2 * RATE, 3.0))
    assert np.abs(mix).max() <= 10 ** (CEILING_DB / 20) * 1.000001
    assert max(event.limiter_db for event in events if isinstance(event, Telemetry)) > 6.0
    again = np.concatenate(list(replay(read_take(take), open_faulty, lambda _: "")), axis=1)
    assert np.array_equal(again, mix[:, : again.shape[1]])


def test_a_take_from_before_the_limiter_is_cut_off_as_it_was(tmp_path: Path) -> None:
    _, _, take = _played(tmp_path, _guest(RATE, 3.0))
    head, *rows = take.read_text("utf-8").splitlines()
    older = {name: value for name, value in json.loads(head).items() if name != "ceiling_db"}
    take.write_text("\n".join([json.dumps(older), *rows]), "utf-8")
    again = np.concatenate(list(replay(read_take(take), open_faulty, lambda _: "")), axis=1)
    assert np.abs(again).max() == 1.0


def test_a_silent_guest_leaves_no_file(tmp_path: Path) -> None:
    _played(tmp_path, np.zeros((2, RATE), np.float32))
    assert not list(tmp_path.glob("*.guest.wav"))


def test_only_what_sounded_is_kept_and_a_take_says_where_it_begins(tmp_path: Path) -> None:
    guest = _guest(4 * RATE, 0.3)
    _, _, take = _played(tmp_path, guest)
    rows = [json.loads(line) for line in take.read_text("utf-8").splitlines()]
    (row,) = [row for row in rows if "guest" in row]
    assert RATE - 700 <= row["sample"] <= RATE
    assert soundfile.info(str(tmp_path / row["guest"])).frames >= 3 * RATE


def test_a_guest_that_comes_faster_than_it_is_written_ends_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.session.guest._WAITING", 0)
    _, events, _ = _played(tmp_path, _guest(RATE, 0.3))
    failed = [event.reason for event in events if isinstance(event, Failed)]
    assert len([reason for reason in failed if "a replay will lack the band: this machine is too slow" in reason]) == 1


def test_a_disk_that_fails_costs_the_replay_its_band_and_not_the_music(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.session.guest.Recorder", full)
    guest = _guest(RATE, 0.3)
    mix, events, _ = _played(tmp_path, guest)
    assert np.abs(mix[:, RATE // 2 : RATE]).max() > 0.2
    failed = [event.reason for event in events if isinstance(event, Failed)]
    assert len([reason for reason in failed if "a replay will lack the band" in reason and "No space" in reason]) == 1


def test_a_replay_without_its_guest_is_refused_in_words(tmp_path: Path) -> None:
    _, _, take = _played(tmp_path, _guest(RATE, 0.3))
    for file in tmp_path.glob("*.guest.wav"):
        file.unlink()
    with pytest.raises(TakeError, match=r"put take-.*guest\.wav beside it"):
        list(replay(read_take(take), open_faulty, lambda _: ""))


def test_no_guest_is_read_from_outside_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    _, _, take = _played(inside, _guest(RATE, 0.3))
    next(inside.glob("*.guest.wav")).rename(tmp_path / "out.wav")
    lines = [json.loads(line) for line in take.read_text("utf-8").splitlines()]
    text = "\n".join(json.dumps({**row, "guest": "../out.wav"} if "guest" in row else row) for row in lines)
    take.write_text(text, "utf-8")
    with pytest.raises(TakeError):
        list(replay(read_take(take), open_faulty, lambda _: ""))
