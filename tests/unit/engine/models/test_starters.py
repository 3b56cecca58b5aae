"""What comes with the program plays: every starter bundle opens, and the one that continues sound does so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.level import limited
from engine.bundles.bundle import describe, open_model, open_streamer
from engine.conductor import Conductor
from engine.controls import with_value
from engine.models.musicgen.model import apart
from engine.music.harmony import parse_chord
from engine.offline.continuation import ContinueTask, continued
from engine.protocols.streamer import work
from tests.contract.streamer import first_difference, played, spans

STARTERS = Path(__file__).parents[4] / "engine" / "starter"
NAME = "musicgen-live"


@pytest.mark.parametrize("name", sorted(path.name for path in STARTERS.iterdir() if path.is_dir()))
def test_a_starter_is_whole(name: str) -> None:
    info = describe(name)
    assert info.path == (STARTERS / name).resolve()
    assert info.licence.split(";")[0] == "MIT"


def test_words_are_played(tmp_path: Path) -> None:
    made = work(continued(ContinueTask(source=None, out=tmp_path / "a.wav", seconds=3.0, text="techno, 120 bpm")))
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert (rate, len(sound), made.complete) == (32000, 96000, True)
    assert np.abs(sound).max() <= 1.0
    assert sound[rate:].std() > 0.003


def test_what_is_given_is_heard_as_it_was_and_gone_on_with(tmp_path: Path) -> None:
    model = open_model(NAME, "continue", without={"text"})
    times = np.arange(3 * 32000) / 32000
    chord = sum(np.sin(2 * np.pi * hz * times) for hz in (220.0, 277.18, 329.63)) * np.exp(-3.0 * (times % 0.5)) * 0.15
    codes = model.codec.encode(chord[None, None].astype(np.float32))
    heard = model.codec.decode(codes)[0, 0]
    spectra = [np.abs(np.fft.rfft(each[-32000:])) for each in (chord[: len(heard)], heard)]
    assert np.corrcoef(*spectra)[0, 1] > 0.8
    soundfile.write(tmp_path / "in.wav", chord, 32000)
    made = work(continued(ContinueTask(source=tmp_path / "in.wav", out=tmp_path / "b.wav", seconds=2.0, bundle=NAME)))
    assert (made.prompt_s, made.made) == (3.0, 2.0)
    sound, _ = soundfile.read(tmp_path / "b.wav")
    assert sound[-32000:].std() > 0.003


@pytest.mark.parametrize("name", ["tone", "musika-live"])
def test_the_latency_that_is_declared_is_the_one_that_is_measured(name: str) -> None:
    """A chord that changes with a chunk is heard from a sample on: its first, and the latency after it."""
    streamer, at = open_streamer(name), 5
    spec, told = streamer.spec, list(spans(open_streamer(name), 8))
    changed = list(spans(streamer, 8, chord="F#dim7"))
    before = played(streamer, streamer.controls(), told)
    after = played(streamer, streamer.controls(), told[:at], streamer.controls(), changed[at:])
    assert first_difference(before, after) == at * spec.chunk + spec.latency


def test_the_latency_of_musicgen_live_is_where_its_first_frame_is_heard() -> None:
    """Its codes, decoded at once, begin at that sample and at no other."""
    streamer: Any = open_streamer(NAME)
    spec, state = streamer.spec, streamer.begin(1)
    controls = with_value(streamer.controls(), ("text",), "techno, 120 bpm")
    sound = np.concatenate([streamer.step(state, controls, span) for span in spans(streamer, 50)], axis=1)
    runner = streamer._strands
    codes = runner.emitted(state.sequence)[:, : 50 * spec.frames]
    heard = limited(runner.model.codec.decode(apart(codes, runner.model.facts.streams)).reshape(spec.channels, -1))
    count = sound.shape[1] - spec.latency - 2 * spec.hop
    away = [np.abs(sound[:, spec.latency + by :][:, :count] - heard[:, :count]).max() for by in range(-2, 3)]
    assert np.abs(heard[:, :count]).max() > 0.01
    assert away[2] < 1e-4
    assert min(away[:2] + away[3:]) > 10 * away[2]


@pytest.mark.parametrize(("column", "heard"), [(1, True), (4, True), (5, False), (7, False)])
def test_musika_live_plays_the_chord_of_the_middle_of_its_step(column: int, heard: bool) -> None:
    """Of a step of eight frames the fifth counts: a chord from there on, or before, is that of the whole step."""
    streamer, at = open_streamer("musika-live"), 5
    spec, told = streamer.spec, list(spans(open_streamer("musika-live"), 6))
    conductor = Conductor(48000)
    conductor.set_tempo(117.0, 0.0)
    conductor.set_chord(parse_chord("Am"), 0.0)
    conductor.set_chord(parse_chord("F#dim7"), (at * spec.chunk + column * spec.hop) * 48000 / spec.sample_rate)
    late = conductor.span(at * spec.chunk, spec.frames, spec.hop, spec.sample_rate)
    before = played(streamer, streamer.controls(), told)
    after = played(streamer, streamer.controls(), told[:at], streamer.controls(), [late])
    assert (first_difference(before, after) < before.shape[1]) is heard
