"""What training publishes becomes a bundle that the engine plays, told of words and of musical time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.bundles.bundle import describe, open_model
from engine.conductor import Conductor
from engine.models.musicgen.conditioning import step_features
from export.__main__ import main
from export.errors import WeightsError
from export.graphs.musicgen import bundle as musicgen_bundle
from export.graphs.musicgen.bundle import export
from tests.tiny_musicgen import save_tiny
from training.data.described import STEP_FEATURES
from training.models.encodec import ENCODEC_LIVE, Encodec
from training.models.musicgen import LM, MusicgenConfig, init_weights
from training.models.musicgen_files import MUSICGEN_FILE, MusicgenParts, save_musicgen
from training.models.t5 import T5Config, T5Encoder
from training.models.words import WordVocabulary

VOCABULARY = WordVocabulary(("slow", "piano", "90"), r"[a-z]+|[0-9]+")
LENGTH = 8


@pytest.fixture(scope="module")
def trained() -> MusicgenParts:
    torch.manual_seed(0)
    codec = Encodec(replace(ENCODEC_LIVE, filters=4, width=16, entries=32)).eval()
    codec.quantiser.books.normal_()
    config = MusicgenConfig(width=192, layers=2, entries=32, text=16, rotary=True, features=STEP_FEATURES)
    lm = LM(config).eval()
    init_weights(lm)
    sizes = T5Config(pieces=len(VOCABULARY), width=16, heads=2, head=8, inner=32, layers=1)
    notes = {"source": "a test", "licence": "MIT", "delays": [0, 1, 2, 3], "text_length": LENGTH, "frames": 100}
    return MusicgenParts(codec, lm, T5Encoder(sizes).eval(), VOCABULARY.tokenizer(), notes)


@pytest.mark.parametrize("build", ["fp32", "int8", "int4"])
def test_what_training_publishes_is_played(build: str, trained: MusicgenParts, tmp_path: Path) -> None:
    save_musicgen(tmp_path / MUSICGEN_FILE, trained)
    assert main(["export", "musicgen", str(tmp_path / MUSICGEN_FILE), str(tmp_path / "b"), "--build", build]) == 0
    info = describe(str(tmp_path / "b"))
    assert (info.build, info.licence, info.source) == (build, "MIT", "a test")
    model = open_model(str(tmp_path / "b"), "continue")
    assert model.facts.latency_frames == {"last codebook": 3, "decoder's look-ahead": 0}
    assert model.words is not None
    said = "Slow, quite unknown 90 piano!"
    vectors, mask = model.words.vectors(said)
    pieces = torch.from_numpy(VOCABULARY.numbers(said, LENGTH))[None]
    with torch.no_grad():
        wanted = trained.text(pieces, torch.from_numpy(mask)).numpy()
    assert mask.sum() == 5
    assert np.abs(vectors - wanted)[mask > 0].max() < (1e-5 if build == "fp32" else 0.05)
    span = Conductor(48000).span(0, 30, 640, 32000)
    features = step_features(span, model.facts.features)
    state = model.begin(model.conditions(said), frames=20)
    rows = []
    while not state.ended:
        frame = model.step(state, features=features[state.steps - 1])
        rows += [] if frame is None else [frame]
    assert np.isfinite(model.codec.decode(np.stack(rows, axis=1)[None])).all()


def test_builds_and_sizes_that_cannot_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = save_tiny(tmp_path / "a.safetensors", "plain")
    with pytest.raises(WeightsError, match="no build 'fp16', only fp32, int8, int4"):
        export(checkpoint, tmp_path / "b", "fp16")
    monkeypatch.setattr(musicgen_bundle, "_MOST", 500_000)
    with pytest.raises(WeightsError, match="take fewer bits"):
        export(checkpoint, tmp_path / "b", "fp32")
    assert not (tmp_path / "b").exists()
    assert main(["export", "musicgen", str(tmp_path / "none.safetensors"), str(tmp_path / "b")]) == 1
    assert "not readable" in capsys.readouterr().err
