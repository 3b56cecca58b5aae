"""The codec's decoder in pieces gives what it gives at once, whatever the pieces."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from export.graphs.encodec import facts, graphs
from export.parity import run_graph
from training.models.encodec import ENCODEC_24, ENCODEC_32, ENCODEC_48, Encodec, EncodecConfig

FRAMES = 40
CODECS = {
    "32 kHz": replace(ENCODEC_32, filters=4, width=16, entries=32, codebooks=3),
    "32 kHz, zeros around": replace(ENCODEC_32, filters=4, width=16, entries=32, codebooks=3, reflect=False),
    "24 kHz, causal": replace(ENCODEC_24, filters=4, width=16, entries=32, codebooks=3),
}


def _codec(config: EncodecConfig) -> Encodec:
    torch.manual_seed(0)
    codec = Encodec(config).eval()
    codec.quantiser.books.normal_()
    return codec


@pytest.mark.parametrize("pieces", [(5, 1, 7, 3, 24), (40,), (1,) * 40], ids=["mixed", "one", "frame by frame"])
@pytest.mark.parametrize("name", CODECS)
def test_pieces_give_what_all_at_once_gives(name: str, pieces: tuple[int, ...]) -> None:
    config = CODECS[name]
    codec = _codec(config)
    codes = torch.randint(0, config.entries, (2, config.codebooks, FRAMES))
    with torch.no_grad():
        wanted = codec.decode(codes).numpy()
    told = facts(config)
    made = {role: graph for role, (graph, _) in graphs(codec).items()}
    before, after = told["codes_before"], told["codes_after"]
    places = np.arange(-before, FRAMES + after)
    real = ((places >= 0) & (places < FRAMES)) | told["reflect"]
    mirrored = np.where(places < 0, -places, np.where(places >= FRAMES, 2 * FRAMES - 2 - places, places))
    around = codes.numpy()[:, :, mirrored]
    state = [np.zeros((told["memory_layers"], 2, told["memory"]), np.float32)] * 2
    parts, at = [], 0
    for count in pieces:
        window = slice(at, at + count + before + after)
        feeds = {"codes": around[:, :, window], "real": real[window].astype(np.float32), "h": state[0], "c": state[1]}
        latents, *state = run_graph(made["latent"], feeds)
        parts.append(latents)
        at += count
    latents, sound, at = np.concatenate(parts, axis=2), [], 0
    for count in pieces:
        first, last = max(0, at - told["latents_before"]), min(FRAMES, at + count + told["latents_after"])
        audio = run_graph(made["upsample"], {"latents": latents[:, :, first:last]})[0]
        sound.append(audio[:, :, (at - first) * config.hop :][:, :, : count * config.hop])
        at += count
    assert np.abs(np.concatenate(sound, axis=2) - wanted).max() < 1e-5 * max(1.0, wanted.std())


def test_a_codec_that_hears_all_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be streamed"):
        graphs(Encodec(replace(ENCODEC_48, filters=2, width=8, entries=8, codebooks=2)))
