"""A take gives the live mix again, bit for bit."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.errors import RecordError, TakeError
from engine.messages.session import (
    BAR,
    BEAT,
    NOW,
    Beats,
    Command,
    Failed,
    Jump,
    Keep,
    Keys,
    Load,
    Locate,
    Panic,
    Play,
    Progression,
    Record,
    Recorded,
    Set,
    SetChord,
    Stop,
    Tempo,
)
from engine.music.audio import Audio
from engine.session.replay import render_take, replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import Take, read_take
from tests.unit.engine.faulty import FailsAt, open_faulty

RATE = 44100


def unknown(bundle: str) -> str:
    return ""


def again(take: Take, **window: Any) -> Audio:
    return np.concatenate(list(replay(take, open_faulty, unknown, **window)), axis=1)


def some_command(rng: np.random.Generator, voice: str) -> Command:
    choices: list[Command] = [
        Set((voice, "gain"), float(rng.uniform(-20, 0))),
        Set((voice, "octave"), int(rng.integers(-2, 3))),
        Set((voice, "mute"), bool(rng.integers(2))),
        Tempo(bpm=float(rng.uniform(50, 220))),
        Beats(count=int(rng.integers(2, 6))),
        Locate(bar=int(rng.integers(9))),
        SetChord(name=str(rng.choice(["Am7", "F/A", "N", ""]))),
        Progression(chords="Am F | C G"),
        Keys((60, 63, 67)),
        Stop(voice=voice),
        Play(voice=voice),
        Play(voice=voice),
        Jump(voice=voice, seed=int(rng.integers(100))),
        Load(voice=voice, bundle="tone", seed=int(rng.integers(100))),
    ]
    return choices[int(rng.integers(len(choices)))]


@pytest.mark.parametrize("seed", [0, 1, 2, 10])
def test_a_hundred_commands_later_the_replay_is_the_same_sound(tmp_path: Path, seed: int) -> None:
    """Late voices, a killed voice, covers, swaps and stops included; read in blocks of any size."""
    rng = np.random.default_rng(seed)
    FailsAt.steps = 10**6  # a tone that never fails by itself: only the opener differs
    voices = (VoiceSpec(name="a"), VoiceSpec(name="b", seed=3, controls={("click",): 0.1}))
    session = Session(RATE, voices=voices, in_process=True, opener=open_faulty, folder=tmp_path)
    heard = []
    with session:
        for turn in range(100):
            heard.append(session.read(int(rng.integers(1, 4097))))
            voice = "ab"[int(rng.integers(2))]
            session.post(some_command(rng, voice), (NOW, BEAT, BAR)[int(rng.integers(3))])
            for name, player in session.players().items():
                stalled: Any = player
                stalled.stalled = name == "a" and turn % 30 in range(20, 27)
            if turn == 55 and "b" in session.players():
                session.players()["b"].kill()
        session.post(Panic())
        heard.append(session.read(5000))
        take_path = session.take
    assert take_path is not None
    take, live = read_take(take_path), np.concatenate(heard, axis=1)
    kinds = {turn.kind for turns in take.turns.values() for turn in turns}
    assert {"start", "stop", "cover", "swap"} <= kinds, "the performance was too tame to prove anything"
    assert take.end == live.shape[1]
    assert np.array_equal(again(take), live)


def performance(folder: Path) -> tuple[Path, Audio]:
    """Eight seconds of two voices, one of which dies at 3 s and goes on from its snapshot."""
    voices = (VoiceSpec(name="a", seed=1), VoiceSpec(name="b", seed=2))
    with Session(RATE, voices=voices, in_process=True, opener=open_faulty, folder=folder) as session:
        parts = [session.read(3 * RATE)]
        session.players()["a"].kill()
        parts.append(session.read(2 * RATE))
        session.post(Tempo(bpm=90.0))
        parts.append(session.read(3 * RATE))
        assert session.take is not None
        path = session.take
    return path, np.concatenate(parts, axis=1)


def test_a_restart_from_a_snapshot_is_replayed(tmp_path: Path) -> None:
    path, live = performance(tmp_path)
    take = read_take(path)
    assert [player.resume is not None for player in take.players.values()] == [False, False, True]
    assert np.array_equal(again(take), live)


def test_a_window_is_cut_from_the_same_sound(tmp_path: Path) -> None:
    path, live = performance(tmp_path)
    assert np.array_equal(again(read_take(path), first=12345, last=23456), live[:, 12345:23456])


def test_a_take_renders_to_a_file(tmp_path: Path) -> None:
    path, live = performance(tmp_path)
    assert render_take(path, tmp_path / "again.wav", open_faulty, unknown) == live.shape[1]
    sound, _ = soundfile.read(str(tmp_path / "again.wav"), dtype="float32", always_2d=True)
    assert np.array_equal(sound.T, live)
    with pytest.raises(RecordError, match=r"\.wav"):
        render_take(path, tmp_path / "again.mp3", open_faulty, unknown)
    with pytest.raises(RecordError, match=r"missing.again\.wav: .*choose another folder"):
        render_take(path, tmp_path / "missing" / "again.wav", open_faulty, unknown)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".jsonl", ".wav"], "nothing is left over"


def test_a_replay_of_what_was_recorded_is_the_same_file(tmp_path: Path) -> None:
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.post(Record(name="live.wav"))
        session.read(3 * RATE)
    assert session.take is not None
    for name in ("once.wav", "twice.wav"):
        assert render_take(session.take, tmp_path / name) == 3 * RATE
    assert (tmp_path / "once.wav").read_bytes() == (tmp_path / "twice.wav").read_bytes()
    assert (tmp_path / "once.wav").read_bytes() == (tmp_path / "live.wav").read_bytes()


def test_a_replay_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path, _ = performance(tmp_path)
    out = tmp_path / "again.wav"
    out.write_bytes(b"precious")

    def disk_full(bundle: str, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    with pytest.raises(RecordError, match="No space left"):
        render_take(path, out, disk_full, unknown)
    (path.parent / "odd.jsonl").write_text(path.read_text().replace('"identity":""', '"identity":"0123"'))
    with pytest.raises(TakeError, match="RIPIENO_BUNDLES"):
        render_take(path.parent / "odd.jsonl", out, open_faulty, unknown)
    assert out.read_bytes() == b"precious"


def test_a_bundle_that_has_moved_is_known_by_its_name(tmp_path: Path) -> None:
    path, live = performance(tmp_path)
    moved = path.read_text().replace('"bundle":"tone"', '"bundle":"/elsewhere/tone"')
    path.write_text(moved.replace('"identity":""', '"identity":"0123"'))

    def known(bundle: str) -> str:
        return "0123" if bundle == "tone" else ""

    assert np.array_equal(np.concatenate(list(replay(read_take(path), open_faulty, known)), axis=1), live)


def test_a_voice_that_never_sounded_is_replayed_as_silence(tmp_path: Path) -> None:
    path, _ = performance(tmp_path)
    head, *_ = path.read_text().splitlines()
    path.write_text(head + '\n{"end":1000}\n')
    assert np.array_equal(again(read_take(path)), np.zeros((2, 1000), np.float32))


def test_what_is_kept_replays_to_what_was_kept(tmp_path: Path) -> None:
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.read(10 * RATE)
        session.post(Keep(bars=2))
        done: list[Any] = []
        for _ in range(100):
            session.read(4410)
            done += [event for event in session.poll() if isinstance(event, Recorded | Failed)]
            if done:
                break
    (kept,) = done
    assert (kept.samples, Path(kept.path).name) == (4 * RATE, "keep-bar3.wav")
    excerpt = Path(kept.path).with_suffix(".take.jsonl")
    assert render_take(excerpt, tmp_path / "again.wav") == 4 * RATE
    once, again_ = (soundfile.read(name, dtype="float32")[0] for name in (kept.path, str(tmp_path / "again.wav")))
    assert np.array_equal(once, again_)


def test_a_take_cut_short_is_replayed_as_far_as_it_goes(tmp_path: Path) -> None:
    path, live = performance(tmp_path)
    text = path.read_text()
    path.write_text(text[: text.rindex('{"end"')] + '{"took": 1, "chu')
    take = read_take(path)
    assert live.shape[1] - 1.1 * RATE < take.end < live.shape[1], "all but the last second"
    assert np.array_equal(again(take), live[:, : take.end])


def test_a_take_of_a_bundle_that_has_changed_is_refused(tmp_path: Path) -> None:
    path, _ = performance(tmp_path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for row in lines:
        if "ready" in row:
            row["identity"] = "0123456789abcdef"
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(TakeError, match="0123456789ab"):
        again(read_take(path))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json\n{}\n",
        '{"take": 99, "sample_rate": 48000}',
        '{"take": 1}',
        '[1]\n{"take": 1}',
        '{"take": 1, "sample_rate": 48000}\n{"player": "x"}',
        '{"take": 1, "sample_rate": 48000}\n{"took": 5, "chunk": 1}',
        '{"take": 1, "sample_rate": 48000}\n{"turn": "a"}',
        '{"take": 1, "sample_rate": "x"}',
        '{"take": 1, "sample_rate": -5}',
        '{"take": 1, "sample_rate": 48000, "voices": [3]}',
        '{"take": 1, "sample_rate": 48000, "window": [9]}',
        '{"take": 1, "sample_rate": 48000, "window": "ab"}',
        '{"take": 1, "sample_rate": 48000}\n{"end": 1e400}',
        '{"take": 1, "sample_rate": 48000}\n{"player": 1, "voice": "a", "bundle": 7, "resume": null}',
        '{"take": 1, "sample_rate": 48000}\n{"player": 1, "voice": "a", "bundle": "b", "resume": [1, 5]}',
        "[" * 100_000 + "\n{}",
    ],
)
def test_what_is_no_take_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(TakeError, match=r"x\.jsonl"):
        read_take(tmp_path / "x.jsonl")


def test_bytes_that_are_no_text_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\x90\xff" * 50)
    with pytest.raises(TakeError, match=r"x\.jsonl"):
        read_take(tmp_path / "x.jsonl")


def test_more_bars_than_there_were_are_kept_from_the_first(tmp_path: Path) -> None:
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.read(5 * RATE)
        session.post(Keep(bars=64))
        session.read(4410)
    assert sorted(file.name for file in tmp_path.glob("keep*")) == ["keep-bar0.take.jsonl", "keep-bar0.wav"]


def test_sound_is_kept_where_its_commands_cannot_be(tmp_path: Path) -> None:
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.read(5 * RATE)
        assert session.take is not None
        session.take.write_text("")
        session.post(Keep(bars=1))
        told: list[Any] = []
        for _ in range(100):
            session.read(4410)
            told += [event for event in session.poll() if isinstance(event, Recorded | Failed)]
            if len(told) == 2:
                break
    assert [type(event) for event in told] == [Failed, Recorded]
    assert "the sound itself is kept" in told[0].reason
    assert [file.name for file in tmp_path.glob("keep*")] == [Path(told[1].path).name], "no half of a take"


def test_a_disk_that_fails_in_an_unknown_way_fails_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, name: str) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("engine.session.recordings.free_name", broken)
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.post(Record(name="x.wav"), BAR)
        session.read(4 * RATE)
        (failed,) = [event for event in session.poll() if isinstance(event, Failed)]
        assert "Input/output error" in failed.reason


def test_without_a_place_for_the_take_the_music_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path / "file") as session:
        assert np.abs(session.read(RATE)).max() > 0.1
        (failed,) = [event for event in session.poll() if isinstance(event, Failed)]
        assert "no take is kept" in failed.reason


class Full(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_fills_up_ends_the_take_and_not_the_music(tmp_path: Path) -> None:
    with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path) as session:
        session.read(RATE)
        take: Any = session._stage.take
        take._file.close()
        take._file = Full()
        session.post(Tempo(bpm=99.0))
        assert np.abs(session.read(RATE)).max() > 0.1
        (failed,) = [event for event in session.poll() if isinstance(event, Failed)]
        assert "No space left" in failed.reason


def test_two_takes_of_one_second_have_two_names(tmp_path: Path) -> None:
    paths = set()
    for _ in range(3):
        with Session(RATE, voices=(VoiceSpec(name="a"),), in_process=True, folder=tmp_path / "new") as session:
            paths.add(session.take)
    assert len(paths) == 3
