"""A take gives the live mix again, bit for bit."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.conductor import Conductor
from engine.controls import with_value
from engine.errors import RecordError, TakeError
from engine.messages.continuation import changed_controls
from engine.messages.session import (
    BAR,
    BEAT,
    NOW,
    Beats,
    Branch,
    Choose,
    Command,
    Commit,
    Continue,
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
    Rewind,
    Set,
    SetChord,
    Stop,
    Tempo,
)
from engine.models.tone import ToneStreamer
from engine.music.audio import Audio
from engine.music.harmony import parse_chord, parse_progression
from engine.session.replay import render_take, replay
from engine.session.session import Session, VoiceSpec
from engine.session.take import Take, TakeWriter, read_take
from engine.worker.orders import Began, Order, Took
from engine.worker.process import Setup
from engine.worker.worker import Pacing
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
        '{"take": 1, "sample_rate": 48000, "ceiling_db": "loud"}',
        '{"take": 1, "sample_rate": 48000, "ceiling_db": 400}',
        '{"take": 1, "sample_rate": 48000, "ceiling_db": NaN}',
        '{"take": 1, "sample_rate": 48000}\n{"guest": "a.wav"}',
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


def conducted() -> Conductor:
    """One that has been through everything."""
    conductor = Conductor(RATE, beats_per_bar=3)
    conductor.set_progression(parse_progression("Am F | C G/B"), 2)
    conductor.set_tempo(93.5, 1000.25)
    conductor.locate(4800.0, 2000.5)
    conductor.set_meter(5, 3000.75)
    conductor.set_progression(parse_progression("Dm7"), 7, 4000.5)
    conductor.set_chord(parse_chord("F#dim/A"), 5000.5)
    conductor.set_chord(None, 6000.5)
    return conductor


def setup_at(rate: int) -> Setup:
    """What a player begins with by default."""
    return Setup(
        opener=open_faulty, bundle="tone", seed=5, session_rate=rate, conductor=Conductor(rate), pacing=Pacing(0)
    )


def test_a_take_keeps_all_that_a_player_begins_with(tmp_path: Path) -> None:
    """Tempo, places, meters, chords, progressions with their first bars, controls, options, and where it resumes."""
    take = TakeWriter(tmp_path / "a.jsonl", {"sample_rate": RATE, "voices": ["a"]})
    setup = setup_at(RATE)
    later = replace(
        setup, conductor=conducted(), controls=((("click",), 0.25), (("octave",), -1)), resume=(12, b"state"),
        options={"threads": 2},
    )  # fmt: skip
    take.player(1, "a", setup, None)
    take.player(2, "a", later, 1)
    take.ready(2, "0123")
    take.close(9)
    first, second = read_take(tmp_path / "a.jsonl").players.values()
    assert (first.conductor, first.resume, first.seed) == (Conductor(RATE), None, 5)
    assert second.conductor == conducted()
    assert second.controls == later.controls
    assert (second.resume, second.options, second.identity) == ((1, 12), {"threads": 2}, "0123")


LOGGED: list[Command] = [
    Set(("a", "click"), 0.25),
    Jump(voice="a", seed=3),
    Tempo(bpm=99.5),
    Beats(count=7),
    Locate(bar=12),
    SetChord(name="F/A"),
    Progression(chords="Am F | C G"),
    Keys((60, 64, 67)),
    Continue(voice="a", source="b.wav", melody="c.wav", file_hash="01", melody_hash="23", heard_until=9, aim=8),
    Rewind(voice="a", bars=3, seed=4, aim=7),
    Branch(voice="a", futures=5),
    Choose(voice="a", future=2),
    Commit(voice="a", number=4, values=(("text", "slow"), ("freeze", False))),
]  # fmt: skip


@pytest.mark.parametrize("command", LOGGED, ids=lambda command: type(command).__name__)
def test_a_take_keeps_every_order_whole(command: Command, tmp_path: Path) -> None:
    """Its number, its sample, its chunk and each of its fields: all that a replay is told."""
    take = TakeWriter(tmp_path / "a.jsonl", {"sample_rate": RATE, "voices": ["a"]})
    setup = setup_at(RATE)
    take.player(1, "a", setup, None)
    take.began(1, Began(4, 123))
    take.took(1, Took(9, 5, 700, Order(9, 654.25, command)))
    take.close(1000)
    ((began, at), (chunk, order)) = read_take(tmp_path / "a.jsonl").players[1].script
    assert (began, at, chunk) == (4, 123, 5)
    assert isinstance(order, Order)
    assert (order.number, order.sample) == (9, 654.25)
    read: Any = order.command
    if isinstance(command, Commit):
        assert changed_controls(read) == changed_controls(command)
        read = replace(read, values=command.values)
    assert read == command


OLD_TAKE = """\
{"take":1,"sample_rate":48000,"voices":["v"],"engine":"0.1"}
{"player":1,"voice":"v","bundle":"continuing","seed":5,"controls":[["click",0.1]],"options":{},"resume":null,\
"conductor":{"beats":4,"stretches":[[0.0,0.0,120.0,0]],"chords":[],"progressions":[]}}
{"ready":1,"identity":""}
{"began":1,"chunk":0,"at":0}
{"took":1,"chunk":2,"number":3,"sample":4000.5,"command":{"Chord":{"name":"F/A"}}}
{"turn":"v","sample":0,"kind":"start","fade":960,"player":1,"loop":0}
{"took":1,"chunk":3,"number":4,"sample":-1.0,"command":{"Continue":{"voice":"v","source":"mine.wav","seconds":6.0,\
"bars":0,"text":"","melody":"","length":0.0,"length_bars":0,"temperature":-1.0,"top_k":-1,"guidance":-1.0,"seed":4,\
"free":false,"file_hash":"HASH","melody_hash":"","heard_until":-1,"aim":9000}}}
{"took":1,"chunk":6,"number":4,"sample":12000.0,"command":{"Land":{"voice":"v","number":4,"values":[["octave",1]]}}}
{"took":1,"chunk":8,"number":5,"sample":16000.0,"command":{"Chord":{"name":""}}}
{"end":24000}
"""
"""As it was written before `SetChord` and `Commit` had these names: a take says ``Chord`` and ``Land``."""


def test_a_take_of_before_opens_and_sounds_as_it_did(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mine.wav", np.full((4800, 1), 0.5, np.float32), 48000, subtype="FLOAT")
    given = hashlib.sha256((tmp_path / "mine.wav").read_bytes()).hexdigest()
    (tmp_path / "old.jsonl").write_text(OLD_TAKE.replace("HASH", given))
    take = read_take(tmp_path / "old.jsonl")
    kinds = [type(order.command).__name__ for _, order in take.players[1].script if isinstance(order, Order)]
    assert kinds == ["SetChord", "Continue", "Commit", "SetChord"]
    sound = again(take)
    streamer, conductor, wanted = ToneStreamer(), Conductor(48000), []
    state, controls = streamer.begin(5), with_value(streamer.controls(), ("click",), 0.1)
    for chunk in range(13):
        if chunk == 2:
            conductor.set_chord(parse_chord("F/A"), 4000.5)
        if chunk == 6:
            controls = with_value(controls, ("octave",), 1)
        if chunk == 8:
            conductor.set_chord(None, 16000.0)
        wanted.append(streamer.step(state, controls, conductor.span(chunk * 1920, 8, 240, 48000)))
    assert sound.shape == (2, 24000)
    assert np.array_equal(sound[:, 960:], np.concatenate(wanted, axis=1)[:, 960:24000])


def test_what_a_take_says_today_is_what_it_said_before(tmp_path: Path) -> None:
    """Names of rows, commands and their fields are the format: a take of today opens in the version before."""
    take = TakeWriter(tmp_path / "a.jsonl", {"sample_rate": 48000, "voices": ["v"]})
    setup = setup_at(48000)
    take.player(1, "v", setup, None)
    take.took(1, Took(3, 2, 4000, Order(3, 4000.5, SetChord(name="F/A"))))
    take.took(1, Took(4, 6, 4000, Order(4, 12000.0, Commit(voice="v", number=4, values=(("octave", 1),)))))
    take.took(
        1, Took(4, 3, 4000, Order(4, -1.0, Continue(voice="v", source="mine.wav", seed=4, file_hash="HASH", aim=9000)))
    )
    take.close(24000)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    old = [json.loads(line) for line in OLD_TAKE.splitlines()]
    assert rows[2:] == [old[4], old[7], old[6], old[9]]
    assert {**rows[1], "bundle": "continuing", "controls": [["click", 0.1]]} == old[1]
