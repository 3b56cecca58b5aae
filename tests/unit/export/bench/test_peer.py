"""The torch peer of the bench does the same work as the engine: the same sound from the same spectra."""

import json

import numpy as np
import pytest
import torch

from engine.music.spectrum import istft_frames, overlap_add
from export.bench import peer as bench_peer
from training.models.musika import M44


def test_the_peer_s_inverse_transform_is_the_reference_s() -> None:
    rng = torch.Generator().manual_seed(0)
    magnitude = torch.rand(6, M44.bins, 64, generator=rng) * 2 - 1  # three blocks, left and right by turns
    phase = torch.rand(6, M44.bins, 64, generator=rng) * 2 - 1
    tail = torch.randn(2, 3, M44.hop, generator=rng)
    sound, after = bench_peer._sound(magnitude, phase, tail)
    level_db = M44.sigma * magnitude.double().numpy() + M44.mu
    spectrum = np.sqrt(10.0 ** (level_db / 10.0) + 1e-7) * np.exp(1j * np.pi * phase.double().numpy())
    joined = spectrum.reshape(3, 2, M44.bins, 64).transpose(1, 2, 0, 3).reshape(2, M44.bins, 192)
    wanted, wanted_tail = overlap_add(istft_frames(joined), M44.hop, tail.reshape(2, -1).numpy())
    scale = np.abs(wanted).max()
    assert np.abs(sound.numpy() - wanted).max() < 1e-5 * scale
    assert np.abs(after.reshape(2, -1).numpy() - wanted_tail).max() < 1e-5 * scale


def test_the_peer_s_answer_names_it_and_what_it_did(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(bench_peer, "_networks", dict)
    monkeypatch.setattr(bench_peer, "_run", lambda _, blocks: asked.append((torch.get_num_threads(), blocks)) or 7.0)
    before = torch.get_num_threads()
    try:
        assert bench_peer.main(["measure", "musika"]) == 0
    finally:
        torch.set_num_threads(before)
    told = json.loads(capsys.readouterr().out)
    assert told["values"] == {"musika offline": 7.0, "musika live, one core": 7.0}
    assert {(before, 0), (1, 1)} == set(asked)
