"""Torch's spectra equal the engine's; losses are the formulas they claim to be."""

import math

import numpy as np
import pytest
import torch

from engine.music.spectrum import istft_frames, overlap_add, stft
from training.discriminator import SpectrogramCritic
from training.losses import (
    adversarial,
    analyse,
    hinge,
    log_magnitude,
    multiscale_spectral,
    next_switch,
    norm_penalty,
    penalty_weight,
    r1_penalty,
    samples_for,
    synthesise,
)


def noise(channels: int, samples: int) -> np.ndarray:
    return (0.2 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


def test_analysis_equals_the_engine() -> None:
    audio = noise(2, 5000)
    made = analyse(torch.from_numpy(audio)).numpy()
    wanted = stft(audio)
    assert made.shape == wanted.shape == (2, 513, 16)
    assert np.abs(made - wanted).max() < 2e-5 * np.abs(wanted).max()


def test_log_magnitude_has_the_published_fixed_points() -> None:
    time = torch.arange(samples_for(4)) / 44100
    assert log_magnitude(torch.zeros(1, samples_for(4))).unique().tolist() == [-1.0]
    sine = torch.sin(2 * math.pi * 44100 / 1024 * 32 * time)
    assert log_magnitude(sine[None])[0, 32].mean().item() == pytest.approx(0.98, abs=0.01)
    assert log_magnitude(torch.ones(1, samples_for(4)))[0, 0].mean().item() == pytest.approx(1.06, abs=0.01)


def test_synthesis_equals_the_engine() -> None:
    rng = np.random.default_rng(0)
    magnitude, phase = rng.uniform(-1, 0.5, (2, 2, 513, 20)).astype(np.float32)
    amplitude = np.sqrt(10.0 ** ((75.0 * magnitude - 25.0) / 10.0) + 1e-7)
    spectrum = (amplitude * np.exp(1j * np.pi * phase)).astype(np.complex64)
    body, tail = overlap_add(istft_frames(spectrum), 256, np.zeros((2, 768), np.float32))
    wanted = np.concatenate([body, tail], axis=1)
    made = synthesise(torch.from_numpy(magnitude), torch.from_numpy(phase)).numpy()
    assert made.shape == wanted.shape == (2, samples_for(20))
    assert np.abs(made - wanted).max() < 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("hop", [256, 64])
def test_analysis_then_synthesis_is_the_sound_away_from_its_ends(hop: int) -> None:
    audio = torch.from_numpy(noise(1, samples_for(30, hop)))
    phase = analyse(audio, 4 * hop, hop).angle() / math.pi
    back = synthesise(log_magnitude(audio, hop), phase)
    inner = slice(3 * hop, -3 * hop)
    assert (back - audio)[:, inner].abs().max().item() < 1e-3


def test_gradient_reaches_magnitude_and_phase() -> None:
    audio = torch.from_numpy(noise(1, samples_for(16)))
    magnitude = torch.zeros(1, 513, 16, requires_grad=True)
    phase = (torch.rand(1, 513, 16, generator=torch.Generator().manual_seed(0)) - 0.5).requires_grad_()
    multiscale_spectral(audio, synthesise(magnitude, phase)).backward()
    for part in (magnitude, phase):
        assert part.grad is not None
        assert torch.isfinite(part.grad).all()
        assert part.grad.abs().sum() > 0


def test_spectral_distance_is_the_log_of_the_norm_at_every_hop() -> None:
    first, second = (torch.from_numpy(noise(1, 8000)) * gain for gain in (1.0, 0.5))
    wanted = sum(
        math.log((analyse(first, 4 * h, h).abs() - analyse(second, 4 * h, h).abs()).abs().mean().item() + 1e-3)
        for h in (128, 512)
    )
    assert multiscale_spectral(first, second, (128, 512)).item() == pytest.approx(wanted, rel=1e-5)
    assert multiscale_spectral(first, first, (128,)).item() == pytest.approx(math.log(1e-3))
    silence = torch.zeros(1, 8000)
    assert torch.isfinite(multiscale_spectral(silence, silence))


def test_hinge_is_zero_beyond_the_margins_and_linear_within() -> None:
    assert hinge(torch.tensor([1.5, 3.0]), torch.tensor([-1.0, -2.0])).item() == 0.0
    assert hinge(torch.tensor([0.0, 2.0]), torch.tensor([0.5])).item() == pytest.approx(0.5 + 1.5)
    assert hinge(torch.tensor([0.0]), torch.tensor([0.0]), 0.5).item() == 1.0
    assert adversarial(torch.tensor([1.0, 3.0])).item() == -2.0


def test_penalties_of_a_linear_score_are_known() -> None:
    weight = torch.tensor([[3.0, 4.0]], requires_grad=True)
    inputs = torch.randn(5, 2, requires_grad=True)
    penalty = r1_penalty(inputs @ weight.T, inputs)
    assert penalty.item() == pytest.approx(25.0)
    penalty.backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [pytest.approx([6.0, 8.0])]
    assert norm_penalty(inputs @ weight.T, inputs).item() == pytest.approx(16.0, rel=1e-5)


def test_switch_follows_the_published_rule() -> None:
    assert penalty_weight(-1.0) == 10.0
    assert penalty_weight(-0.01825) == pytest.approx(0.1825)
    # Certainty is half the lead, clipped to 0..2: above 0.9 the weight grows, else it shrinks.
    assert next_switch(-0.5, 1.0, -0.81) == pytest.approx(-0.5001)
    assert next_switch(-0.5, 5.0, -5.0) == pytest.approx(-0.5001)
    assert next_switch(-0.5, 1.0, -0.79) == pytest.approx(-0.4999)
    assert next_switch(-0.5, -3.0, 3.0) == pytest.approx(-0.4999)
    assert next_switch(-1.0, 2.0, -2.0) == -1.0
    assert next_switch(0.0, 0.0, 0.0) == 0.0


def test_switch_goes_from_full_weight_to_none_in_ten_thousand_unsure_steps() -> None:
    switch = -1.0
    for _ in range(9_999):
        switch = next_switch(switch, 0.1, 0.0)
    assert -2e-4 < switch < 0.0
    assert next_switch(next_switch(switch, 0.1, 0.0), 0.1, 0.0) == 0.0


def test_spectrogram_critic_is_bounded_in_slope_and_knows_height() -> None:
    torch.manual_seed(0)
    critic = SpectrogramCritic((8, 8, 8))
    for _ in range(30):  # one power iteration a call: let it settle
        critic(torch.zeros(1, 65, 16))
    critic.eval()
    inputs = torch.zeros(1, 65, 16, requires_grad=True)
    scores = critic(inputs)
    assert scores.shape == (1, 9 * 2)
    assert scores[0].unique().numel() > 4  # a flat input, but rows differ
    (gradient,) = torch.autograd.grad(scores[0, 4], inputs)
    assert 0.0 < gradient.norm().item() < 27.0  # each layer's reshaped matrix has norm 1
