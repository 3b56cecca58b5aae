"""The MDCT gives back the sound it was made of, a block late, in pieces of any length."""

import torch

from training.models.mdct import Mdct


def test_the_inverse_gives_the_sound_back_one_block_late() -> None:
    mdct, sound = Mdct(64), torch.randn(2, 3, 64 * 10)
    blocks, _ = mdct(sound, torch.zeros(2, 3, 64))
    made, _ = mdct.inverse(blocks, torch.zeros(2, 3, 64))
    assert blocks.shape == (2, 3, 10, 64)
    assert torch.allclose(made[..., 64:], sound[..., :-64], atol=1e-5)


def test_a_sine_is_in_few_coefficients_and_keeps_its_power() -> None:
    mdct = Mdct(256)
    sound = torch.sin(2 * torch.pi * 40.5 / 512 * torch.arange(256 * 40))
    blocks, _ = mdct(sound, torch.zeros(256))
    power = blocks[2:].square().mean(dim=0)
    assert torch.isclose(power.sum(), torch.tensor(0.5 * 256), rtol=0.05)
    assert power[36:46].sum() > 0.99 * power.sum()


def test_pieces_give_what_the_whole_gives() -> None:
    mdct, sound = Mdct(32), torch.randn(1, 2, 32 * 12)
    whole, _ = mdct(sound, torch.zeros(1, 2, 32))
    made, _ = mdct.inverse(whole, torch.zeros(1, 2, 32))
    cache, other, parts, sounds = torch.zeros(1, 2, 32), torch.zeros(1, 2, 32), [], []
    for part in sound.split([32 * n for n in (1, 4, 7)], dim=2):
        blocks, cache = mdct(part, cache)
        piece, other = mdct.inverse(blocks, other)
        parts.append(blocks)
        sounds.append(piece)
    assert torch.allclose(torch.cat(parts, dim=2), whole, atol=1e-6)
    assert torch.allclose(torch.cat(sounds, dim=2), made, atol=1e-6)
