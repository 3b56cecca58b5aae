"""The codec has the published sizes, keeps time exactly, and hears no future where it must not."""

from dataclasses import replace

import pytest
import torch

from training.models.encodec import ENCODEC_24, ENCODEC_32, ENCODEC_48, Encodec, EncodecConfig, parameters

TINY = {
    name: replace(config, filters=2, width=8, codebooks=3, entries=16)
    for name, config in (("24", ENCODEC_24), ("32", ENCODEC_32), ("48", ENCODEC_48))
}


def _codec(config: EncodecConfig) -> Encodec:
    torch.manual_seed(0)
    codec = Encodec(config).eval()
    codec.quantiser.books.normal_()
    return codec


def test_published_codec_has_the_published_size() -> None:
    with torch.device("meta"):
        codec = Encodec(ENCODEC_32)
    assert (parameters([codec.encoder]), parameters([codec.decoder])) == (28_438_432, 28_438_305)
    assert (ENCODEC_32.hop, ENCODEC_32.frame_rate, ENCODEC_48.frame_rate) == (640, 50.0, 150.0)


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("samples", [1, 640, 641, 3000])
def test_lengths_are_whole_frames(name: str, samples: int) -> None:
    codec, config = _codec(TINY[name]), TINY[name]
    codes = codec.encode(torch.randn(2, config.channels, samples))
    frames = -(-samples // config.hop)
    assert codes.shape == (2, config.codebooks, frames)
    assert codec.decode(codes).shape == (2, config.channels, frames * config.hop)


def test_causal_codec_hears_no_future() -> None:
    # With the sound mirrored before its beginning, the first frames do hear what follows them.
    codec = _codec(replace(TINY["24"], reflect=False))
    sound = torch.randn(1, 1, 10 * 320)
    changed = sound.clone()
    changed[:, :, 6 * 320 :] = 0.0
    with torch.no_grad():
        one, two = codec.encoder(sound), codec.encoder(changed)
        assert torch.allclose(one[:, :, :6], two[:, :, :6], atol=1e-6)
        latents = torch.randn(1, 8, 10)
        late = latents.clone()
        late[:, :, 6:] = 0.0
        assert torch.allclose(codec.decoder(latents)[:, :, : 6 * 320], codec.decoder(late)[:, :, : 6 * 320], atol=1e-6)


def test_each_codebook_brings_the_sound_nearer() -> None:
    quantiser = _codec(TINY["32"]).quantiser
    quantiser.books *= torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    latents = torch.randn(4, 8, 50)
    codes = quantiser.encode(latents)
    away = [float((quantiser.decode(codes[:, :count]) - latents).square().mean()) for count in (1, 2, 3)]
    assert away[0] > away[1] > away[2]
    assert torch.equal(quantiser.encode(latents, 2), codes[:, :2])
