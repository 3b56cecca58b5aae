"""Rendering: the steps of live play in a file, as long as asked for, valid even if interrupted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.__main__ import main
from engine.bundles.bundle import FOLDERS_VARIABLE, open_streamer
from engine.conductor import Conductor, Span
from engine.errors import RecordError
from engine.models.tone import ToneStreamer
from engine.music.audio import Audio, read_audio
from engine.offline.render import CanBatch, pieces, render
from engine.processes import cores
from engine.protocols.streamer import StreamSpec
from tests.tiny_bundles import write_musika


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "shelf"))
    return str(write_musika(tmp_path / "shelf" / "tiny"))


class Echo:
    """A streamer that plays its spans' ticks, to see what it is told."""

    def __init__(self, latency: int) -> None:
        self.spec = StreamSpec(sample_rate=1000, channels=1, chunk=100, frames=4, latency=latency)

    def controls(self) -> None:
        return None

    def begin(self, seed: int) -> list[float]:
        return []

    def step(self, state: list[float], controls: None, span: Span) -> Audio:
        return np.full((1, 100), span.ticks[0], np.float32)

    def fork(self, state: list[float]) -> list[float]:
        return list(state)


def test_a_render_is_what_the_steps_give(tmp_path: Path) -> None:
    tone = ToneStreamer()
    conductor, spec, state = Conductor(48000), tone.spec, tone.begin(3)
    chunks = [
        tone.step(state, tone.controls(), conductor.span(n * spec.chunk, spec.frames, spec.hop, spec.sample_rate))
        for n in range(5)
    ]
    wanted = np.clip(np.concatenate(chunks, axis=1), -1, 1)[:, :8001]
    made = render(tone, tmp_path / "a.wav", seconds=8000.5 / 48000, seed=3)
    sound, rate = read_audio(tmp_path / "a.wav")
    assert (made.samples, rate, made.complete) == (8001, 48000, True)
    assert np.array_equal(sound, wanted)
    assert made.realtime > 0


def test_chunks_made_at_once_give_the_same_file(tmp_path: Path, tiny: str) -> None:
    musika = open_streamer(tiny)
    assert isinstance(musika, CanBatch)
    spec, state, conductor = musika.spec, musika.begin(4), Conductor(8000)
    chunks = [
        musika.step(state, musika.controls(), conductor.span(n * spec.chunk, spec.frames, spec.hop, 8000))
        for n in range(800)
    ]
    render(musika, tmp_path / "a.wav", seconds=12.5, seed=4, workers=2)
    assert np.array_equal(
        read_audio(tmp_path / "a.wav")[0], np.clip(np.concatenate(chunks, axis=1), -1, 1)[:, :100_000]
    )


def test_gain_and_mute_are_heard_as_live() -> None:
    tone = ToneStreamer()
    sound = next(pieces(tone, samples=1000))
    quiet = next(pieces(tone, samples=1000, controls=replace(tone.controls(), gain=-20.0)))
    assert np.allclose(quiet, 0.1 * sound, atol=1e-7)
    assert not next(pieces(tone, samples=1000, controls=replace(tone.controls(), mute=True))).any()


def test_sound_that_lags_is_told_of_a_later_time() -> None:
    told = [float(sound[0, 0]) for sound in pieces(Echo(50), samples=300)]
    assert np.allclose(told, [48.0, 144.0, 240.0])  # 120 bpm is 960 ticks a second
    assert float(next(pieces(Echo(0), samples=100))[0, 0]) == 0.0


def test_an_interrupt_leaves_a_valid_file(tmp_path: Path) -> None:
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    for name in ("a.wav", "a.flac"):
        made = render(ToneStreamer(), tmp_path / name, seconds=1.0, progress=interrupt)
        assert not made.complete
        sound, _ = read_audio(tmp_path / name)
        assert sound.shape[1] == made.samples
        assert 24000 < made.samples < 30000


def test_sound_is_clipped_only_in_the_file_and_the_peak_is_told(tmp_path: Path) -> None:
    made = render(Echo(0), tmp_path / "a.wav", seconds=0.2)
    assert made.peak == 96.0
    assert read_audio(tmp_path / "a.wav")[0].max() == 1.0


@pytest.mark.parametrize("name", ["a.ogg", "a", "none/a.wav"])
def test_what_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match=rf"{name}: (sound is written as|cannot be written)"):
        render(ToneStreamer(), tmp_path / name, seconds=0.1)


def test_there_is_at_least_one_core() -> None:
    assert cores() >= 1


# the command


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_renders_bars_with_controls_and_a_picture(
    tmp_path: Path, tiny: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, png = tmp_path / "a.flac", tmp_path / "a.png"
    code, said = run(
        capsys, "render", "tiny", str(out), "--bars", "2", "--beats", "3", "--tempo", "90", "--seed", "7",
        "--set", "style/seed=4", "--set", "hold=on", "--progression", "Am F", "--picture", str(png),
    )  # fmt: skip
    assert code == 0, said
    assert "times real time" in said
    assert soundfile.info(str(out)).frames == 8000 * 4
    assert png.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none", "a.wav"], "no bundle 'none'; there are"),
        (["tone", "a.wav", "--set", "gain=99"], "--set gain=99: takes -60..6 dB, got 99.0"),
        (["tone", "a.wav", "--set", "glow=1"], "no control glow; there are"),
        (["tone", "a.wav", "--beats", "99"], "a bar has 1..16 beats"),
        (["tone", "a.wav", "--progression", "H"], "got chord 'H'"),
        (["tone", "a.mp3"], "written as .wav or .flac"),
        (["musika-live", "a.wav", "--provider", "abacus"], "no provider 'abacus'; there are cpu"),
    ],
)
def test_what_the_command_cannot_do_is_one_line_and_1(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, got = run(capsys, "render", *arguments)
    assert code == 1
    assert said in got
    assert got.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--seconds", "0"],
        ["--bars", "0"],
        ["--seed", "-1"],
        ["--tempo", "9"],
        ["--set", "x"],
        ["--workers", "-1"],
        ["--picture", "missing/x.png"],
    ],
)
def test_wrong_usage_is_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["render", "tone", "a.wav", *wrong])
    assert caught.value.code == 2
    capsys.readouterr()


def test_an_interrupted_command_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Iterator[Audio]:
        yield np.zeros((2, 480), np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.offline.render.pieces", broken)
    assert main(["render", "tone", str(tmp_path / "a.wav")]) == 130
    assert soundfile.info(str(tmp_path / "a.wav")).frames == 480


def test_a_take_that_is_not_there_is_one_line_and_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "replay", str(tmp_path / "none.jsonl"), str(tmp_path / "a.wav"))
    assert code == 1
    assert "none.jsonl" in said
    assert said.count("\n") == 1


def test_bundles_are_listed_and_described(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, "list")
    assert code == 0
    assert "tiny" in said
    assert "tone" in said
    code, said = run(capsys, "describe", "tiny")
    assert code == 0
    assert "style/seed" in said
    assert "same seed, same style" in said
    import json

    code, said = run(capsys, "describe", "tiny", "--json")
    assert json.loads(said)["facts"]["hop"] == 16
    code, said = run(capsys, "list", "--json")
    assert [info["name"] for info in json.loads(said)][:2] == ["tone", "tiny"]
