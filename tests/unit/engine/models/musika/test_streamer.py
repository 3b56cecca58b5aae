"""Musika: latents on the release's grid, blocks that do not know of each other, glides that begin at once."""

import itertools
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.bundles.bundle import open_streamer
from engine.conductor import Conductor, Span
from engine.errors import ManifestError
from engine.graphs.graph import Graph, open_graph
from engine.models.musika.facts import MusikaFacts
from engine.models.musika.latents import (
    Glide,
    Place,
    coordinates,
    mix,
    patch_noise,
    shares,
    still_sounding,
    style_vector,
)
from engine.models.musika.streamer import (
    MusikaControls,
    MusikaDensityControls,
    MusikaState,
    MusikaStreamer,
    MusikaStyle,
)
from engine.music.noise import keyed_normal, keyed_truncated_normal
from engine.music.spectrum import istft_frames, overlap_add
from tests.tiny_bundles import BLOCK, HOP, LATENT, MUSIKA_FACTS, SEQ_LEN, write_musika

RATE = MUSIKA_FACTS["sample_rate"]
PER_PATCH = SEQ_LEN // BLOCK
PLACE = Place(1, 2, 0.0, 0.0, 2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_musika(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def musika(folder: Path) -> MusikaStreamer:
    streamer = open_streamer(str(folder))
    assert isinstance(streamer, MusikaStreamer)
    return streamer


def spans(musika: MusikaStreamer, count: int, tempo_bpm: float = 120.0) -> list[Span]:
    conductor, spec = Conductor(RATE), musika.spec
    conductor.set_tempo(tempo_bpm, 0.0)
    return [conductor.span(n * spec.chunk, spec.frames, spec.hop, spec.sample_rate) for n in range(count)]


def play(
    musika: MusikaStreamer, count: int, controls: Any = None, seed: int = 5, state: MusikaState | None = None
) -> np.ndarray:
    state = musika.begin(seed) if state is None else state
    controls = controls or musika.controls()
    return np.concatenate([musika.step(state, controls, span) for span in spans(musika, count)], axis=1)


def styled(**values: Any) -> MusikaControls:
    return MusikaControls(style=MusikaStyle(**values))


def test_sound_is_that_of_the_release_s_offline_way(folder: Path, musika: MusikaStreamer) -> None:
    """All patches, then all blocks in one batch, then one inverse transform, by other code than the streamer's."""
    generator, decoder = (open_graph(folder / f"{role}.onnx") for role in ("generator", "decoder"))
    style = keyed_truncated_normal(LATENT, 2.0, 1, 2)
    anchors = [keyed_truncated_normal(LATENT, 2.0, 5, 1, k) for k in range(3)]
    patches = []
    for patch in range(3):
        told = np.zeros((1, 2 * LATENT, SEQ_LEN), np.float32)
        for j in range(SEQ_LEN):
            knot, inside = divmod(SEQ_LEN // 2 + patch * SEQ_LEN + j + 0.5, 3 * SEQ_LEN)
            left, right = anchors[int(knot)], anchors[int(knot) + 1]
            told[0, :LATENT, j] = left + (right - left) * inside / (3 * SEQ_LEN)
            told[0, LATENT:, j] = style
        noise = keyed_normal(SEQ_LEN, 5, 4, patch)[None]
        patches.append(generator.run({"coordinates": told, "noise": noise})["latents"][0])
    latents = np.concatenate(patches, axis=1)
    both = []
    for side in (0, 1):
        half = latents[side * LATENT : (side + 1) * LATENT]
        blocks = half.reshape(LATENT, -1, BLOCK).swapaxes(0, 1)
        noise = np.stack([keyed_normal(8, 5, 5, side, block) for block in range(len(blocks))])
        out = decoder.run({"latents": np.ascontiguousarray(blocks), "noise": noise})
        level_db = 75.0 * out["magnitude"].astype(np.float64) - 25.0
        spectrum = np.sqrt(10.0 ** (level_db / 10.0) + 1e-7) * np.exp(1j * np.pi * out["phase"].astype(np.float64))
        frames = istft_frames(spectrum.reshape(1, -1, 2 * HOP + 1).swapaxes(1, 2), 4 * HOP)
        both.append(overlap_add(frames, HOP, np.zeros((1, 3 * HOP), np.float32))[0])
    wanted = np.concatenate(both)
    got = play(musika, 3 * PER_PATCH)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_many_at_once_give_the_bits_of_one_by_one(musika: MusikaStreamer, workers: int) -> None:
    count = 3 * PER_PATCH + 1
    one_by_one = play(musika, count)
    state = musika.begin(5)
    at_once = musika.steps(state, musika.controls(), spans(musika, count), workers)
    assert np.array_equal(at_once, one_by_one)
    assert np.array_equal(musika.steps(state, musika.controls(), [], 2), np.zeros((2, 0)))


def test_a_state_survives_pickling_in_the_middle_of_a_glide(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    play(musika, 2, styled(seed=1), state=state)
    play(musika, 1, styled(seed=9, glide=0.1), state=state)
    again = pickle.loads(pickle.dumps(state))
    controls = styled(seed=9, glide=0.1)
    assert np.array_equal(play(musika, 9, controls, state=state), play(musika, 9, controls, state=again))


def test_chunks_and_channels_differ_and_seeds_matter(musika: MusikaStreamer) -> None:
    sound = play(musika, 8)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert sound.std() > 1e-3
    assert not np.array_equal(sound[0], sound[1])
    assert not np.array_equal(play(musika, 8, seed=6), sound)
    assert not np.array_equal(play(musika, 8, styled(seed=3)), sound)


def test_a_new_style_is_heard_in_the_very_next_chunk_and_the_past_stays(musika: MusikaStreamer) -> None:
    before = play(musika, 6)
    state = musika.begin(5)
    first = play(musika, 2, state=state)
    rest = play(musika, 4, styled(seed=8, glide=0.0), state=state)
    assert np.array_equal(first, before[:, : first.shape[1]])
    changed = np.abs(rest - before[:, first.shape[1] :])[:, : musika.spec.chunk]
    assert np.flatnonzero(changed.max(axis=0) > 0)[0] < HOP


def test_a_glide_without_time_arrives_at_once(musika: MusikaStreamer) -> None:
    state, other = musika.begin(5), musika.begin(5)
    play(musika, 1, state=state)
    play(musika, 1, styled(seed=8), state=other)
    assert np.array_equal(state.latents.shape, other.latents.shape)
    play(musika, 1, styled(seed=8, glide=0.0), state=state)
    assert np.array_equal(state.latents[:, BLOCK:], other.latents[:, BLOCK:])
    assert not np.array_equal(state.latents[:, :BLOCK], other.latents[:, :BLOCK])


def test_a_glide_passes_patch_borders_and_ends_in_the_new_style(musika: MusikaStreamer) -> None:
    seconds = 1.5 * SEQ_LEN / musika.facts.latent_rate
    gliding, arrived, stayed = (musika.begin(5) for _ in range(3))
    play(musika, 1, state=gliding)
    after = styled(seed=8, glide=seconds)
    seen = []
    for block in range(1, 4 * PER_PATCH):
        if block == 1:
            play(musika, 1, styled(seed=8), state=arrived)
            play(musika, 1, state=stayed)
        for state, controls in ((gliding, after), (arrived, styled(seed=8)), (stayed, styled())):
            play(musika, 1, controls, state=state)
        a, b, x = (s.latents[:, s.cursor - BLOCK : s.cursor] for s in (stayed, arrived, gliding))
        seen.append(float(((x - a) * (b - a)).sum() / ((b - a) ** 2).sum()))
    assert np.allclose(np.diff(seen)[:5], BLOCK / (1.5 * SEQ_LEN), atol=0.01)
    assert 0.0 < seen[0] < seen[1]
    assert seen[-PER_PATCH:] == [1.0] * PER_PATCH
    assert len(gliding.glides) == 1


def test_many_changes_in_a_row_keep_latents_between_the_styles_and_the_list_short(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    for step in range(60):
        play(musika, 1, styled(blend=(step % 20) / 19, glide=0.2), state=state)
        assert len(state.glides) < 20
        assert np.abs(state.latents).max() <= 1.0


def test_a_jump_begins_the_other_path_within_one_chunk(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    play(musika, 2, state=state)
    musika.jump(state, 77)
    play(musika, 2, state=state)
    assert state.position == 0
    fresh = musika.begin(77)
    fresh.seed, fresh.patch = 5, 0  # the same noise as the voice that jumped
    play(musika, 2, state=fresh)
    assert np.array_equal(state.latents[:, BLOCK:], fresh.latents[:, BLOCK:])


def test_a_jump_before_the_first_step_is_a_beginning(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    musika.jump(state, 6)
    fresh = musika.begin(6)
    fresh.seed = 5
    assert np.array_equal(play(musika, 3, state=state), play(musika, 3, state=fresh))


def test_hold_brings_the_present_patch_again(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    positions = []
    for block in range(6 * PER_PATCH):
        hold = PER_PATCH <= block < 4 * PER_PATCH
        play(musika, 1, replace(musika.controls(), hold=hold), state=state)
        positions.append(state.position)
    assert positions[::PER_PATCH] == [0, 0, 0, 0, 1, 2]


def test_a_fork_is_independent(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    play(musika, 3, state=state)
    fork = musika.fork(state)
    play(musika, 5, styled(seed=9, glide=0.0), state=state)
    assert np.array_equal(play(musika, 5, state=fork), play(musika, 8)[:, 3 * musika.spec.chunk :])


def test_state_does_not_grow(musika: MusikaStreamer) -> None:
    state = musika.begin(5)
    play(musika, 2 * PER_PATCH, state=state)
    size = len(pickle.dumps(state))
    play(musika, 20 * PER_PATCH, styled(seed=2, wander=0.5, glide=0.05), state=state)
    assert len(pickle.dumps(state)) < size + 500


def test_patch_grid_of_the_44_khz_release() -> None:
    """Centres of patches lie on an anchor, or a third or two thirds of the way to the next."""
    facts = {**MUSIKA_FACTS, "seq_len": 128, "anchor_spacing": 384, "first_position": 64.5, "latent": 64}
    layout = facts_of(facts)
    anchors = [keyed_truncated_normal(64, 2.0, 3, 1, k) for k in range(3)]
    for position, (knot, third) in enumerate([(0, 1), (0, 2), (1, 0), (1, 1)]):
        told = coordinates(layout, 3, PLACE, position)
        assert told.shape == (1, 128, 128)
        centre = told[0, :64, 63:65].mean(axis=1)
        line = anchors[knot] * (1 - third / 3) + anchors[knot + 1] * (third / 3)
        # Half a latent on either side of an anchor, the line is already on its way: up to 0.5 * 4 / 384 off.
        assert np.allclose(centre, line, atol=1e-5 if third else 0.006)
        first = (64 + 128 * position) // 384
        rise = told[0, :64, 1] - told[0, :64, 0]
        assert np.allclose(rise, (anchors[first + 1] - anchors[first]) / 384, atol=1e-6)


def test_patch_grid_of_the_22_khz_release() -> None:
    """Whole positions from 0, anchors two patches apart; anchors are never truncated below 1.75, styles are."""
    layout = facts_of({**MUSIKA_FACTS, "variant": "m22", "anchor_spacing": 32, "first_position": 0.0, "latent": 64})
    tight = replace(PLACE, truncation=0.5)
    told = coordinates(layout, 3, tight, 0)
    assert np.array_equal(told[0, :64, 0], keyed_truncated_normal(64, 1.75, 3, 1, 0))
    assert np.abs(told[0, :64]).max() > 0.5
    assert np.abs(told[0, 64:]).max() <= 0.5
    assert np.array_equal(coordinates(layout, 3, tight, 2)[0, :64, 0], keyed_truncated_normal(64, 1.75, 3, 1, 1))


def test_blend_and_wander_go_from_style_to_style_and_keep_the_spread() -> None:
    layout = facts_of({**MUSIKA_FACTS, "latent": 4000})
    styles = {seed: keyed_truncated_normal(4000, 2.0, seed, 2) for seed in (1, 2)}
    assert np.array_equal(style_vector(layout, PLACE, 7), styles[1])
    assert np.allclose(style_vector(layout, replace(PLACE, blend=1.0), 7), styles[2])
    half = style_vector(layout, replace(PLACE, blend=0.5), 7)
    assert half.std() == pytest.approx(styles[1].std(), rel=0.05)
    wandered = [style_vector(layout, replace(PLACE, wander=1.0), position) for position in range(9)]
    assert all(np.std(style) == pytest.approx(styles[1].std(), rel=0.05) for style in wandered)
    near = [np.corrcoef(a, b)[0, 1] for a, b in itertools.pairwise(wandered)]
    assert min(near) > 0.7
    assert abs(np.corrcoef(wandered[0], wandered[4])[0, 1]) < 0.1


def test_glides_are_exact_at_both_ends_and_forget_what_is_over() -> None:
    old, new = np.float32([[0.1, 0.1, 0.1]]), np.float32([[0.7, 0.7, 0.7]])
    mixed = mix(old, new, np.float32([0.0, 0.5, 1.0]))
    assert mixed[0, [0, 2]].tolist() == [old[0, 0], new[0, 0]]
    assert mixed[0, 1] == pytest.approx(0.4)
    glide = Glide(PLACE, 10, 4.0)
    assert shares(glide, np.arange(8, 16)).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert shares(Glide(PLACE, 10, 0.0), np.arange(9, 12)).tolist() == [0, 1, 1]
    chain = (Glide(PLACE, 0, 0.0), Glide(PLACE, 2, 8.0), Glide(PLACE, 6, 100.0))
    assert still_sounding(chain, 5) == chain
    assert still_sounding(chain, 9) == chain[1:]
    assert still_sounding(chain, 200) == chain[2:]


def test_conditions_reach_the_generator(tmp_path: Path) -> None:
    facts = {**MUSIKA_FACTS, "condition": 2, "conditions": ["density", "tempo"]}
    musika = open_streamer(str(write_musika(tmp_path / "told", facts)))
    assert isinstance(musika, MusikaStreamer)
    controls = musika.controls()
    assert isinstance(controls, MusikaDensityControls)

    def sound(density: float, tempo_bpm: float) -> np.ndarray:
        told = replace(controls, density=density)
        return musika.steps(musika.begin(5), told, spans(musika, 2, tempo_bpm))

    assert not np.array_equal(sound(0.2, 120.0), sound(0.8, 120.0))
    assert not np.array_equal(sound(0.2, 120.0), sound(0.2, 140.0))
    assert np.array_equal(sound(0.2, 120.0), sound(0.2, 120.1))  # jitter of a followed clock
    place = musika._place(replace(controls, density=0.25), spans(musika, 1, 240.0)[0])
    told = coordinates(musika.facts, 5, place, 0)
    assert told[0, -2:, 0].tolist() == [0.25, 1.0]  # as training tells it: octaves above 120 bpm


def test_a_bundle_without_conditions_ignores_the_tempo(musika: MusikaStreamer) -> None:
    slow = musika.steps(musika.begin(5), musika.controls(), spans(musika, 6, 60.0))
    assert np.array_equal(slow, musika.steps(musika.begin(5), musika.controls(), spans(musika, 6, 180.0)))


def test_noise_of_a_patch_has_the_size_that_the_manifest_lists() -> None:
    layout = facts_of(MUSIKA_FACTS)
    assert (layout.patch_noise, layout.block_noise) == (SEQ_LEN, 8)
    assert patch_noise(layout, 1, 0).shape == (1, SEQ_LEN)
    assert not np.isin(patch_noise(layout, 1, 0), patch_noise(layout, 1, 1)).any()


def test_graphs_of_another_shape_are_refused(folder: Path) -> None:
    generator, decoder = (open_graph(folder / f"{role}.onnx") for role in ("generator", "decoder"))
    with pytest.raises(ManifestError, match="has inputs"):
        MusikaStreamer(generator, generator)
    longer = replace(generator.manifest, facts={**MUSIKA_FACTS, "seq_len": 2 * SEQ_LEN})
    odd = MusikaStreamer(Graph(generator._session, longer, generator.inputs, generator.outputs), decoder)
    with pytest.raises(Exception, match="musika generator"):
        play(odd, 1)


def facts_of(facts: Mapping[str, Any]) -> MusikaFacts:
    """Typed facts of a generator."""
    return MusikaFacts.from_mapping(facts)
