"""Our codec is causal, gives in pieces what it gives at once, and stays in time with what it encodes."""

import pytest
import torch

from training.models.mdct_codec import MDCT_CODEC, MdctCodec, MdctCodecConfig

SMALL = MdctCodecConfig(hop=64, parts=2, bands=8, width=6, codebooks=3, entries=16, encoder=(24, 2), decoder=(24, 2))


def _codec(config: MdctCodecConfig = SMALL) -> MdctCodec:
    torch.manual_seed(0)
    codec = MdctCodec(config).eval()
    codec.quantiser.books.normal_()
    return codec


def test_sizes_are_those_of_a_live_codec() -> None:
    assert 43.0 <= MDCT_CODEC.frame_rate <= 50.0
    bits = MDCT_CODEC.frame_rate * MDCT_CODEC.codebooks * 10
    assert 4000.0 <= bits <= 6000.0
    assert MDCT_CODEC.block / MDCT_CODEC.sample_rate <= 0.06


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_pieces_give_what_the_whole_gives(parts: int) -> None:
    config = MdctCodecConfig(
        hop=64, parts=parts, bands=8, width=6, codebooks=3, entries=16, encoder=(24, 2), decoder=(24, 2)
    )
    codec, sound = _codec(config), 0.3 * torch.randn(2, 2, 64 * 20)
    with torch.no_grad():
        latents = codec.encoder(sound)
        made, caches = [], codec.encoder.empty(2)
        for part in sound.split([64 * n for n in (1, 7, 12)], dim=2):
            piece, caches = codec.encoder.step(part, caches)
            made.append(piece)
        assert torch.allclose(torch.cat(made, dim=2), latents, atol=1e-5)
        whole, sounds, caches = codec.decoder(latents), [], codec.decoder.empty(2)
        for part in latents.split([1, 7, 12], dim=2):
            piece, caches = codec.decoder.step(part, caches)
            sounds.append(piece)
        late = torch.cat(sounds, dim=2)
        assert torch.allclose(late[:, :, codec.delay :], whole[:, :, : -codec.delay], atol=1e-5)


def test_no_latent_depends_on_later_sound() -> None:
    codec, sound = _codec(), 0.3 * torch.randn(1, 2, 64 * 12)
    other = sound.clone()
    other[:, :, 64 * 8 :] = 0.0
    with torch.no_grad():
        assert torch.equal(codec.encoder(sound)[:, :, :8], codec.encoder(other)[:, :, :8])


def test_codes_of_part_of_a_frame_are_those_of_the_frame_filled_with_silence() -> None:
    codec, sound = _codec(), 0.3 * torch.randn(1, 2, 64 * 5 - 10)
    with torch.no_grad():
        codes = codec.encode(sound)
        assert codes.shape == (1, 3, 5)
        assert torch.equal(codes, codec.encode(torch.nn.functional.pad(sound, (0, 10))))
        assert codec.decode(codes[:, :2]).shape == (1, 2, 64 * 5)


def test_learning_to_give_sound_back_begins_at_once() -> None:
    """In time, in phase and on the right side: nothing else lowers the error of a wave."""
    codec = _codec().train()
    sound = torch.zeros(1, 2, 64 * 30)
    sound[:, 0] = 0.3 * torch.sin(0.05 * torch.arange(64 * 30))
    optimiser, errors = torch.optim.Adam(codec.parameters(), 1e-2), []
    for _ in range(60):
        made = codec.decoder(codec.encoder(sound))
        error = (made - sound)[..., 64:-64].square().mean() / sound.square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.1
