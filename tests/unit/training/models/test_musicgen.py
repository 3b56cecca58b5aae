"""The language model has the published sizes, and a cache changes nothing."""

import pytest
import torch

from training.models.musicgen import (
    LARGE,
    LM,
    MEDIUM,
    SMALL,
    KeyValues,
    MusicgenConfig,
    guided,
    init_weights,
    positions,
)

TINY = {
    "cross": MusicgenConfig(width=128, layers=3, entries=32, text=16),
    "prefix": MusicgenConfig(width=128, layers=3, entries=32, text=16, chroma=12, cross=False),
    "conducted": MusicgenConfig(width=128, layers=3, entries=32, text=16, rotary=True, features=9),
    "narrow": MusicgenConfig(width=128, layers=3, entries=32, text=16, rotary=True, window=6),
}


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (SMALL, 420_371_456),
        (MEDIUM, 1_838_737_920),
        (LARGE, 3_256_956_928),
        (MusicgenConfig(codebooks=8), 437_152_768),
        (MusicgenConfig(width=1536, layers=48, chroma=12, cross=False), 1_385_625_600),
    ],
    ids=["small", "medium", "large", "small stereo", "melody"],
)
def test_sizes_are_the_published_ones(config: MusicgenConfig, size: int) -> None:
    with torch.device("meta"):
        assert sum(value.numel() for value in LM(config).parameters()) == size


def test_no_weight_is_left_as_memory_held_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *sizes, **how: given(*sizes, **how).fill_(torch.nan))
    assert all(value.isfinite().all() for value in LM(TINY["conducted"]).parameters())


def _told(config: MusicgenConfig, lm: LM) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    melody = torch.eye(12)[torch.randint(0, 12, (2, 6))] if config.chroma else None
    features = torch.randn(2, 20, config.features) if config.features else None
    return lm.condition(torch.randn(2, 5, config.text), torch.tensor([[1] * 5, [1] * 3 + [0] * 2]), melody), features


@pytest.mark.parametrize("name", TINY)
def test_steps_onto_a_cache_give_what_all_at_once_give(name: str) -> None:
    torch.manual_seed(1)
    config = TINY[name]
    lm = LM(config).eval()
    init_weights(lm)
    codes = torch.randint(0, 33, (2, 4, 20))
    with torch.no_grad():
        context, features = _told(config, lm)
        wanted = lm(codes, context, features=features)
        cache, made, at = KeyValues(), [], 0
        for count in (7, 1, 1, 5, 1, 5):
            part = None if features is None else features[:, at : at + count]
            made.append(lm(codes[:, :, at : at + count], None if at else context, cache, part))
            at += count
    assert wanted.shape == (2, 4, 20, 32)
    assert torch.allclose(torch.cat(made, dim=2), wanted, atol=1e-5)


def test_a_rewound_cache_goes_on_as_if_nothing_had_been() -> None:
    torch.manual_seed(2)
    lm = LM(TINY["cross"]).eval()
    codes = torch.randint(0, 33, (1, 4, 12))
    with torch.no_grad():
        cache = KeyValues()
        lm(codes[:, :, :6], lm.condition(torch.randn(1, 5, 16)), cache)
        back = cache.rewound(6)
        first = lm(codes[:, :, 6:9], None, cache)
        lm(codes[:, :, 9:], None, cache)
        assert torch.equal(lm(codes[:, :, 6:9], None, back), first)


def test_a_step_hears_nothing_later() -> None:
    torch.manual_seed(3)
    lm = LM(TINY["cross"]).eval()
    codes = torch.randint(0, 33, (1, 4, 12))
    other = codes.clone()
    other[:, :, 8:] = 0
    with torch.no_grad():
        assert torch.allclose(lm(codes)[:, :, :8], lm(other)[:, :, :8], atol=1e-6)


def test_what_is_older_than_the_window_may_be_forgotten() -> None:
    torch.manual_seed(4)
    lm = LM(MusicgenConfig(width=128, layers=1, entries=32, text=0, rotary=True, window=6)).eval()
    codes = torch.randint(0, 32, (1, 4, 20))
    other = codes.clone()
    other[:, :, :9] = 5
    with torch.no_grad():
        whole = lm(codes)
        # One layer hears six steps; the seventh last is the first that makes no difference.
        assert torch.allclose(lm(other)[:, :, 14:], whole[:, :, 14:], atol=1e-6)
        assert not torch.allclose(lm(other)[:, :, 13], whole[:, :, 13], atol=1e-4)
        # Rotary positions count from anywhere.
        assert torch.allclose(lm(codes[:, :, 9:])[:, :, 5:], whole[:, :, 14:], atol=1e-5)


def test_a_window_in_pieces_is_what_a_cache_gives() -> None:
    torch.manual_seed(5)
    lm = LM(MusicgenConfig(width=64, layers=2, entries=32, text=0, rotary=True, window=150)).eval()
    codes = torch.randint(0, 32, (1, 4, 300))  # longer than a piece and than the window
    with torch.no_grad():
        cache = KeyValues()
        made = [lm(codes[:, :, at : at + 100], None, cache) for at in (0, 100, 200)]
        assert torch.allclose(torch.cat(made, dim=2), lm(codes), atol=1e-5)


def test_positions_are_the_published_ones() -> None:
    assert positions(1, 1, 4)[0].tolist() == pytest.approx([0.540302, 1.0, 0.841471, 1e-4], abs=1e-6)


def test_without_words_the_condition_is_zeros() -> None:
    lm = LM(TINY["cross"]).eval()
    context = lm.condition(torch.randn(1, 5, 16), torch.zeros(1, 5))
    assert context is not None
    assert not context.any()
    codes = torch.randint(0, 33, (1, 4, 3))
    with torch.no_grad():
        assert torch.allclose(lm(codes, context), lm(codes), atol=1e-6)


def test_guidance_goes_away_from_the_untold() -> None:
    assert guided(torch.tensor([[3.0], [1.0]]), 3.0).tolist() == [[7.0]]


def test_a_condition_without_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="no melody"):
        LM(TINY["cross"]).condition(None, melody=torch.zeros(1, 2, 12))
