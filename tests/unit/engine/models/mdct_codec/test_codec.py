"""Our codec over its graphs gives in pieces what torch gives of the whole, in both directions."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from engine.errors import BundleError, ManifestError, ShapeError
from engine.graphs.graph import open_graph
from engine.models.mdct_codec.codec import MdctCoder
from engine.models.mdct_codec.facts import MdctCodecFacts
from export.graphs.mdct_codec import facts, graphs, state_names
from export.write import write_bundle
from training.models.mdct_codec import MdctCodec, MdctCodecConfig

SMALL = MdctCodecConfig(hop=64, bands=8, width=6, codebooks=4, entries=16, encoder=(24, 2), decoder=(24, 3))


@cache
def both(codebooks: int = 0, roles: tuple[str, ...] = ("encode", "decode")) -> tuple[MdctCodec, MdctCoder]:
    torch.manual_seed(0)
    network = MdctCodec(SMALL).eval()
    network.quantiser.books.normal_()
    made = {role: graph for role, (graph, _) in graphs(network, codebooks).items() if role in roles}
    with TemporaryDirectory() as folder:
        write_bundle(
            Path(folder), made, family="musicgen", build="fp32", facts=facts(SMALL, codebooks).to_mapping(),
            parity=dict.fromkeys(made, 0.0), source="", licence="", state=state_names(SMALL),
        )  # fmt: skip
        return network, MdctCoder({role: open_graph(Path(folder) / f"{role}.onnx") for role in made})


def sound(frames: int) -> np.ndarray:
    return 0.3 * np.random.default_rng(2).standard_normal((2, 2, frames * 64)).astype(np.float32)


@pytest.mark.parametrize("codebooks", [0, 2])
@pytest.mark.parametrize("pieces", [(30,), (1,) * 30, (7, 0, 1, 22)])
def test_pieces_give_what_torch_gives_of_the_whole(codebooks: int, pieces: tuple[int, ...]) -> None:
    network, codec = both(codebooks)
    given = sound(30)
    with torch.no_grad():
        codes = network.encode(torch.from_numpy(given), codebooks or None)
        wanted = network.decode(codes).numpy()
    state, at, made = codec.begin_encode(2), 0, []
    for piece in pieces:
        made.append(codec.encode_step(state, given[:, :, at * 64 : (at + piece) * 64]))
        at += piece
    assert np.array_equal(np.concatenate(made, axis=2), codes.numpy())
    assert np.array_equal(codec.encode(given), codes.numpy())
    stream, at, sounds = codec.begin_decode(2), 0, []
    for piece in pieces:
        part = codec.decode_step(stream, codes.numpy()[:, :, at : at + piece])
        at += piece
        assert sum(s.shape[2] for s in sounds) + part.shape[2] == max(0, at - codec.look_ahead) * 64
        sounds.append(part)
    sounds.append(codec.decode_step(stream, codes.numpy()[:, :, :0], last=True))
    assert np.allclose(np.concatenate(sounds, axis=2), wanted, atol=1e-5)
    assert np.allclose(codec.decode(codes.numpy()), wanted, atol=1e-5)


def test_a_fork_continues_as_its_origin_does_and_is_independent_of_it() -> None:
    _, codec = both()
    codes, given = codec.encode(sound(20)), sound(20)
    state = codec.begin_decode(2)
    codec.decode_step(state, codes[:, :, :5])
    fork = state.fork()
    one = codec.decode_step(state, codes[:, :, 5:12])
    codec.decode_step(state, codes[:, :, ::-1][:, :, :3])
    assert np.array_equal(codec.decode_step(fork, codes[:, :, 5:12]), one)
    listening = codec.begin_encode(2)
    codec.encode_step(listening, given[:, :, : 5 * 64])
    other = listening.fork()
    first = codec.encode_step(listening, given[:, :, 5 * 64 :])
    assert np.array_equal(codec.encode_step(other, given[:, :, 5 * 64 :]), first)


def test_wrong_shapes_and_codes_are_refused() -> None:
    _, codec = both()
    with pytest.raises(ShapeError, match=r"wanted|takes"):
        codec.encode_step(codec.begin_encode(1), np.zeros((1, 2, 63), np.float32))
    for codes in (np.zeros((1, 3, 2), np.int64), np.full((1, 4, 2), 16, np.int64), np.full((1, 4, 2), -1, np.int64)):
        with pytest.raises(ShapeError):
            codec.decode_step(codec.begin_decode(1), codes)


def test_a_bundle_without_encoder_cannot_listen() -> None:
    _, codec = both(0, ("decode",))
    assert not codec.listens
    with pytest.raises(BundleError, match="no encoder"):
        codec.begin_encode()


def test_facts_that_make_no_sense_are_refused() -> None:
    good = facts(SMALL).to_mapping()
    assert MdctCodecFacts.from_mapping(good) == facts(SMALL)
    for change in ({"block": 63}, {"channels": 1}, {"hop": 0}, {"entries": "many"}):
        with pytest.raises(ManifestError):
            MdctCodecFacts.from_mapping({**good, **change})
