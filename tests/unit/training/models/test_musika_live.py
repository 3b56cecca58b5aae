"""musika-live's networks see no future, and its two trainings learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.config import Data, Optim, Recipe
from training.data.conducted import draw_batch, render_piece, style_normals, timed_conditions
from training.loop import fit
from training.models.musika_live import MusikaLiveConfig, MusikaLiveGenerator, oscillator_hz
from training.task import TrainingError
from training.tasks.musika_live import GENERATOR_FILE, LiveAutoencoder, LiveGan, load_generator, spectral_distance

TOY = MusikaLiveConfig(width=16, latent=8, generator=16, critic=8, layers=1, dilations=(1,), generator_dilations=(1, 2))
OPTIM = Optim(lr=1e-3, betas=(0.9, 0.99))


def test_a_generated_frame_does_not_depend_on_later_ones() -> None:
    torch.manual_seed(0)
    generator = MusikaLiveGenerator(TOY)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    place, frame, noise = torch.randn(1, 35, 12), torch.randn(1, 30, 12), torch.randn(1, 2, 12)
    before = generator(place, frame, noise)
    place[:, :, 7:], frame[:, :, 7:], noise[:, :, 7:] = 0.0, 0.0, 0.0
    after = generator(place, frame, noise)
    torch.testing.assert_close(before[:, :, :7], after[:, :, :7])
    assert not torch.allclose(before[:, :, 7:], after[:, :, 7:])


def test_oscillators_are_in_tune() -> None:
    hz = oscillator_hz()
    assert hz[69 - 24].item() == pytest.approx(440.0)
    assert (hz[12:] / hz[:-12]).numpy() == pytest.approx(2.0)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    pieces = [render_piece(seed, bars=1, sample_rate=44100) for seed in (3, 4)]
    one = draw_batch(pieces, 5, seed=1, batch=2, frames=3)
    two = draw_batch(pieces, 5, seed=1, batch=2, frames=3)
    other = draw_batch(pieces, 6, seed=1, batch=2, frames=3)
    np.testing.assert_array_equal(one.tones, two.tones)
    assert not np.array_equal(one.tones, other.tones)
    assert one.tones.shape == (2, 2, 3 * 2048)


def test_what_is_told_moves_with_the_music() -> None:
    """A frame is timed_conditions the same wherever the crop that holds it begins."""
    piece = render_piece(3, bars=1, sample_rate=44100).piece
    long = timed_conditions(piece, 0, 8, 2048, 256, 44100)
    short = timed_conditions(piece, 5 * 2048, 3, 2048, 256, 44100)
    for whole, part, per in zip(long, short, (8, 8, 1, 1), strict=True):
        np.testing.assert_allclose(whole[..., 5 * per :], part, atol=1e-5)


def test_styles_are_standard_normal_over_the_corpus() -> None:
    rng = np.random.default_rng(0)
    styles = np.stack([style_normals(render_piece(s, bars=1, sample_rate=8000).piece.style, rng) for s in range(60)])
    assert np.abs(styles.mean(axis=0)).max() < 0.5
    assert 0.6 < styles.std() < 1.3


def test_spectral_distance_is_zero_for_equal_sound_and_grows_with_difference() -> None:
    rng = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(1, 2, 8192, generator=rng)
    assert spectral_distance(sound, sound).item() == 0.0
    assert spectral_distance(0.9 * sound, sound).item() < spectral_distance(0.2 * sound, sound).item()


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ae")
    recipe = Recipe(
        task=LiveAutoencoder(model=TOY, frames=6),
        data=Data(pieces=3, bars=1, workers=0),
        optim=OPTIM,
        steps=12,
        batch=2,
        log_every=1,
        preview_every=0,
        evaluate_every=0,
    )
    fit(recipe, out, quiet=True, curves=False, accelerator="cpu")
    return out


def test_the_generator_learns_the_latents_of_its_autoencoder(autoencoder: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        task=LiveGan(autoencoder=str(autoencoder), frames=12, critic_from=20, spacing=200),
        data=Data(pieces=3, bars=1, workers=0),
        optim=OPTIM,
        steps=24,
        batch=4,
        log_every=1,
        preview_every=0,
        evaluate_every=24,
    )
    outcome = fit(recipe, tmp_path, quiet=True, curves=False, accelerator="cpu")
    assert outcome.finished
    generator, decoder, config, facts = load_generator(tmp_path / GENERATOR_FILE)
    assert facts == TOY.facts(spacing=200), "the path is followed at the speed of training"
    assert config == TOY
    assert all(torch.isfinite(value).all() for value in generator.state_dict().values())
    assert decoder.config == TOY


def test_a_missing_autoencoder_is_one_clear_sentence(tmp_path: Path) -> None:
    recipe = Recipe(task=LiveGan(autoencoder=str(tmp_path / "none")), steps=1, batch=1)
    with pytest.raises(TrainingError, match="train them first"):
        fit(recipe, tmp_path / "run", quiet=True, curves=False, accelerator="cpu")
