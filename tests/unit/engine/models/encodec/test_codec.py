"""A codec over its graphs gives in pieces what torch gives of the whole, in both directions."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import BundleError, ManifestError, ShapeError
from engine.graphs.graph import open_graph
from engine.models.encodec.codec import DECODER, Codec
from export.graphs.encodec import facts, graphs
from export.write import write_bundle
from training.models.encodec import ENCODEC_24, ENCODEC_32, Encodec, EncodecConfig

SIZES: Mapping[str, Any] = {"filters": 4, "width": 16, "entries": 32, "codebooks": 3}
CODECS = {
    "32 kHz": replace(ENCODEC_32, **SIZES),
    "32 kHz, zeros around": replace(ENCODEC_32, **SIZES, reflect=False),
    "24 kHz, causal": replace(ENCODEC_24, **SIZES),
    "causal, zeros before": replace(ENCODEC_32, **SIZES, causal=True, reflect=False, lstm=1),
}
LOOK_AHEAD = {"32 kHz": 4, "32 kHz, zeros around": 4, "24 kHz, causal": 0, "causal, zeros before": 0}


@cache
def both(name: str) -> tuple[Encodec, Codec]:
    torch.manual_seed(0)
    network = Encodec(CODECS[name]).eval()
    network.quantiser.books.normal_()
    return network, codec_of(network, CODECS[name])


def codec_of(network: Encodec, config: EncodecConfig, roles: tuple[str, ...] = (), **changes: Any) -> Codec:
    made = {role: graph for role, (graph, _) in graphs(network).items() if not roles or role in roles}
    memory = {role: ("h", "c") for role in ("latent", "memory") if role in made}
    told = {name: value for name, value in {**facts(config).to_mapping(), **changes}.items() if value is not None}
    with TemporaryDirectory() as folder:
        write_bundle(
            Path(folder), made, family="musicgen", build="fp32", facts=told, parity=dict.fromkeys(made, 0.0),
            source="", licence="", state=memory,
        )  # fmt: skip
        return Codec({role: open_graph(Path(folder) / f"{role}.onnx") for role in made})


def cuts(total: int, seed: int) -> list[int]:
    """Pieces of uneven lengths, some of nothing."""
    rng, pieces = np.random.default_rng(seed), []
    while sum(pieces) < total:
        pieces.append(int(rng.integers(0, min(9, total - sum(pieces)) + 1)))
    return pieces


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 60])
@pytest.mark.parametrize("name", CODECS)
def test_codes_in_pieces_sound_as_the_whole_does(name: str, frames: int) -> None:
    network, codec = both(name)
    codes = torch.randint(0, 32, (2, 3, frames), generator=torch.Generator().manual_seed(frames))
    with torch.no_grad():
        wanted = network.decode(codes).numpy()
    assert np.abs(codec.decode(codes.numpy()) - wanted).max() < 1e-5
    assert wanted.std() > 1e-3
    state, parts, at = codec.begin_decode(2), [], 0
    for count in cuts(frames, frames):
        parts.append(codec.decode_step(state, codes.numpy()[:, :, at : at + count]))
        at += count
        assert state.sounded >= at - codec.look_ahead - 1 or at <= 7
    parts.append(codec.decode_step(state, codes.numpy()[:, :, :0], last=True))
    assert np.abs(np.concatenate(parts, axis=2) - wanted).max() < 1e-5


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 60])
@pytest.mark.parametrize("name", CODECS)
def test_sound_in_pieces_is_coded_as_the_whole_is(name: str, frames: int) -> None:
    network, codec = both(name)
    sound = 0.3 * torch.randn(2, 1, frames * codec.hop, generator=torch.Generator().manual_seed(frames))
    with torch.no_grad():
        wanted = network.encode(sound).numpy()
    assert np.array_equal(codec.encode(sound.numpy()), wanted)
    state, parts, at = codec.begin_encode(2), [], 0
    for count in cuts(frames, frames):
        parts.append(codec.encode_step(state, sound.numpy()[:, :, at * codec.hop : (at + count) * codec.hop]))
        at += count
    parts.append(codec.encode_step(state, sound.numpy()[:, :, :0], last=True))
    assert np.array_equal(np.concatenate(parts, axis=2), wanted)


@pytest.mark.parametrize("name", CODECS)
def test_what_is_out_is_as_late_as_is_declared(name: str) -> None:
    _, codec = both(name)
    assert codec.look_ahead == LOOK_AHEAD[name]
    state, codes = codec.begin_decode(), np.zeros((1, 3, 30), np.int64)
    codec.decode_step(state, codes)
    assert state.sounded == 30 - codec.look_ahead


@pytest.mark.parametrize("name", CODECS)
def test_a_copied_stream_goes_on_alike_and_does_not_grow(name: str) -> None:
    _, codec = both(name)
    rng = np.random.default_rng(0)
    state = codec.begin_decode()
    codec.decode_step(state, rng.integers(0, 32, (1, 3, 20)))
    other, more = state.fork(), rng.integers(0, 32, (1, 3, 20))
    thawed = pickle.loads(pickle.dumps(state))
    made = codec.decode_step(state, more)
    assert np.array_equal(codec.decode_step(other, more), made)
    assert np.array_equal(codec.decode_step(thawed, more), made)
    size = len(pickle.dumps(state))
    for _ in range(5):
        codec.decode_step(state, more)
    assert len(pickle.dumps(state)) <= size + 64
    heard = codec.begin_encode()
    sound = rng.standard_normal((1, 1, 20 * codec.hop)).astype(np.float32)
    codec.encode_step(heard, sound)
    other_heard = heard.fork()
    assert np.array_equal(codec.encode_step(heard, sound), codec.encode_step(other_heard, sound))
    size = len(pickle.dumps(heard))
    codec.encode_step(heard, sound)
    assert len(pickle.dumps(heard)) <= size + 64


def test_what_does_not_fit_is_refused() -> None:
    _, codec = both("32 kHz")
    with pytest.raises(ShapeError, match=r"takes codes \[1, 3, n\], got \[1, 2, 4\]"):
        codec.decode(np.zeros((1, 2, 4), np.int64))
    with pytest.raises(ShapeError, match=r"codes are 0\.\.31, got 0\.\.32"):
        codec.decode(np.array([[[0, 32]] * 3]))
    with pytest.raises(ShapeError, match=r"n \* 640\], got \[1, 1, 641\]"):
        codec.encode(np.zeros((1, 1, 641), np.float32))


def test_a_codec_without_encoder_only_speaks() -> None:
    network, _ = both("32 kHz")
    codec = codec_of(network, CODECS["32 kHz"], DECODER)
    assert not codec.listens
    assert codec.decode(np.zeros((1, 3, 5), np.int64)).shape == (1, 1, 3200)
    with pytest.raises(BundleError, match="has no encoder"):
        codec.encode(np.zeros((1, 1, 640), np.float32))


@pytest.mark.parametrize("changes", [{"hop": 0}, {"codebooks": "many"}, {"codes_after": -1}, {"reflect": None}])
def test_facts_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    network, _ = both("32 kHz")
    with pytest.raises(ManifestError, match="export"):
        codec_of(network, CODECS["32 kHz"], DECODER, **changes)
