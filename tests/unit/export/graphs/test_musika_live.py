"""A toy musika-live: what torch makes in one stretch, the exported steps make one by one, and the engine plays."""

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from engine.bundles.bundle import describe
from engine.conductor import Conductor
from engine.graphs.graph import open_graph
from engine.graphs.manifest import Manifest
from engine.models.musika_live.streamer import Follow, LiveStyle, MusikaLive, MusikaLiveControls
from engine.music.conducting import CLOCK_FEATURES
from engine.music.harmony import parse_progression
from export.graphs.musika_live import export
from training.live_features import oscillator_phase
from training.models.musika_live import (
    NOISE_ROW,
    SUBFRAMES,
    SUBHOP,
    MusikaLiveConfig,
    MusikaLiveDecoder,
    MusikaLiveGenerator,
    oscillator_hz,
)

TOY = MusikaLiveConfig(
    width=16, latent=8, generator=16, critic=8, layers=1, dilations=(1, 2), generator_dilations=(1, 2)
)


NAMES = ("generator", "decoder")


@pytest.fixture(scope="module")
def networks() -> tuple[MusikaLiveGenerator, MusikaLiveDecoder]:
    torch.manual_seed(3)
    generator, decoder = MusikaLiveGenerator(TOY), MusikaLiveDecoder(TOY)
    with torch.no_grad():
        for module in (generator, decoder):
            for parameter in module.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return generator, decoder


@pytest.fixture(scope="module")
def bundle(networks: tuple[MusikaLiveGenerator, MusikaLiveDecoder], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    tensors = {f"{n}.{k}": v for n, part in zip(NAMES, networks, strict=True) for k, v in part.state_dict().items()}
    safetensors.torch.save_file(tensors, folder / "toy.safetensors", {"config": json.dumps(asdict(TOY))})
    made = export(folder / "toy.safetensors", folder)
    assert all(0.0 <= value < 1e-4 for value in made.parity.values())
    return folder


@pytest.fixture
def model(bundle: Path) -> MusikaLive:
    return MusikaLive(open_graph(bundle / "generator.onnx"), open_graph(bundle / "decoder.onnx"))


def play(model: MusikaLive, controls: list[MusikaLiveControls], conductor: Conductor, seed: int = 5) -> np.ndarray:
    state, spec = model.begin(seed), model.spec
    chunks = [
        model.step(state, each, conductor.span(i * spec.chunk, spec.frames, spec.hop, spec.sample_rate))
        for i, each in enumerate(controls)
    ]
    return np.concatenate(chunks, axis=1)


def conductor(progression: str = "Am F") -> Conductor:
    made = Conductor(44100)
    made.set_tempo(128.0, 0.0)
    made.set_progression(parse_progression(progression), 0)
    return made


def test_steps_of_the_decoder_join_to_what_torch_makes_at_once(
    networks: tuple[MusikaLiveGenerator, MusikaLiveDecoder], bundle: Path
) -> None:
    _, decoder = networks
    frames, rng = 5, torch.Generator().manual_seed(1)
    decoder.stepping = False
    latents = torch.tanh(torch.randn(1, TOY.latent, frames, generator=rng))
    clock = torch.rand(1, CLOCK_FEATURES, frames * SUBFRAMES, generator=rng)
    gates = torch.ones(1, 6, 12, frames * SUBFRAMES)
    noise = torch.randn(1, 2, frames * SUBFRAMES, NOISE_ROW, generator=rng)
    phase = oscillator_phase(oscillator_hz(), torch.zeros(1), frames * SUBFRAMES, SUBHOP, TOY.sample_rate)
    with torch.no_grad():
        whole = decoder(latents, clock, gates, phase, noise).audio.numpy()
    graph = open_graph(bundle / "decoder.onnx")
    state = graph.empty_state()
    pieces = []
    for t in range(frames):
        part = slice(t * SUBFRAMES, (t + 1) * SUBFRAMES)
        feeds = {
            "latents": latents[:, :, t : t + 1],
            "clock": clock[:, :, part],
            "gates": gates[:, :, :, part],
            "phase": phase[:, :, part],
            "noise": noise[:, :, part],
        }
        pieces.append(graph.run({name: value.numpy() for name, value in feeds.items()}, state)["audio"])
    joined = np.concatenate(pieces, axis=2)
    assert np.abs(joined - whole).max() < 1e-4 * whole.std()


def test_the_same_seed_controls_and_time_give_the_same_sound(model: MusikaLive) -> None:
    controls = [MusikaLiveControls()] * 6
    one, two = play(model, controls, conductor()), play(model, controls, conductor())
    np.testing.assert_array_equal(one, two)
    assert np.isfinite(one).all()
    assert not np.array_equal(one, play(model, controls, conductor(), seed=6))


@pytest.mark.parametrize(
    "changed",
    [
        MusikaLiveControls(density=0.0),
        MusikaLiveControls(brightness=0.0),
        MusikaLiveControls(style=LiveStyle(seed=99, glide=0.0)),
        MusikaLiveControls(style=LiveStyle(blend=1.0, glide=0.0)),
        MusikaLiveControls(style=LiveStyle(genre=1.0)),
        MusikaLiveControls(follow=Follow(chords=False)),
    ],
)
def test_a_control_changes_the_very_next_step_and_none_before(model: MusikaLive, changed: MusikaLiveControls) -> None:
    plain = MusikaLiveControls()
    one = play(model, [plain] * 6, conductor())
    two = play(model, [plain] * 3 + [changed] * 3, conductor())
    border = 3 * model.spec.chunk
    np.testing.assert_array_equal(one[:, :border], two[:, :border])
    assert not np.allclose(one[:, border : border + model.spec.chunk], two[:, border : border + model.spec.chunk])


def test_hold_freezes_style_and_place(model: MusikaLive) -> None:
    state, held = model.begin(1), MusikaLiveControls(hold=True)
    spec, time = model.spec, conductor()
    model.step(state, MusikaLiveControls(), time.span(0, spec.frames, spec.hop, spec.sample_rate))
    style, place = state.style.copy(), state.coordinate.copy()
    for index in range(1, 4):
        moved = MusikaLiveControls(style=LiveStyle(seed=7), hold=held.hold)
        model.step(state, moved, time.span(index * spec.chunk, spec.frames, spec.hop, spec.sample_rate))
    np.testing.assert_array_equal(state.style, style)
    np.testing.assert_array_equal(state.coordinate, place)


def test_a_jump_arrives_within_a_fifth_of_a_second_and_without_a_step(model: MusikaLive) -> None:
    state, spec, time = model.begin(1), model.spec, conductor()
    fresh = model.begin(42)
    before = state.coordinate.copy()
    model.jump(state, 42)
    path = [before]
    for index in range(5):
        model.step(state, MusikaLiveControls(), time.span(index * spec.chunk, spec.frames, spec.hop, spec.sample_rate))
        path.append(state.coordinate.copy())
    distance = [float(np.linalg.norm(at - fresh.coordinate)) for at in path]
    assert distance[5] < 0.2 * distance[0]
    steps = [float(np.linalg.norm(b - a)) for a, b in pairwise(path)]
    assert max(steps) < 0.5 * distance[0]


def test_the_bundle_says_what_it_is(bundle: Path) -> None:
    manifests = [open_graph(path).manifest for path in sorted(bundle.glob("*.onnx"))]
    assert {m.role for m in manifests} == {"generator", "decoder"}
    assert len({m.bundle for m in manifests}) == 1
    assert all(isinstance(m, Manifest) and m.family == "musika_live" and m.licence == "MIT" for m in manifests)


def test_facts_of_the_training_reach_the_bundle(
    networks: tuple[MusikaLiveGenerator, MusikaLiveDecoder], bundle: Path, tmp_path: Path
) -> None:
    assert describe(str(bundle)).facts == TOY.facts(384).to_mapping(), "files of before say none, all had this spacing"
    about = {"config": json.dumps(asdict(TOY)), "facts": json.dumps(TOY.facts(200).to_mapping())}
    tensors = {f"{n}.{k}": v for n, part in zip(NAMES, networks, strict=True) for k, v in part.state_dict().items()}
    safetensors.torch.save_file(tensors, tmp_path / "toy.safetensors", about)
    export(tmp_path / "toy.safetensors", tmp_path)
    assert describe(str(tmp_path)).facts["anchor_spacing"] == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_many_steps_at_once_are_the_same_bits(model: MusikaLive, workers: int) -> None:
    controls, time, spec = MusikaLiveControls(), conductor(), model.spec
    spans = [time.span(i * spec.chunk, spec.frames, spec.hop, spec.sample_rate) for i in range(5)]
    state = model.begin(5)
    together = model.steps(state, controls, spans, workers)
    np.testing.assert_array_equal(together, play(model, [controls] * 5, conductor()))
