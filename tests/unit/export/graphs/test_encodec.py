"""The codec's graphs say what its layers say."""

from dataclasses import replace

import onnx
import pytest
import torch

from export.graphs.encodec import DECODER, ENCODER, graphs
from export.parity import parity
from training.models.encodec import ENCODEC_24, ENCODEC_32, ENCODEC_48, Encodec, EncodecConfig

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


def inputs_of(graph: onnx.ModelProto, config: EncodecConfig) -> list[torch.Tensor]:
    rng, width = torch.Generator().manual_seed(1), config.filters << len(config.ratios)
    made = {
        "codes": torch.randint(0, config.entries, (2, config.codebooks, 11), generator=rng),
        "real": torch.cat([torch.zeros(3), torch.ones(8)]),
        "audio": torch.randn(2, config.channels, 5 * config.hop, generator=rng),
        **{name: torch.randn(2, width, 11, generator=rng) for name in ("frames", "latents")},
        **{name: torch.randn(config.lstm, 2, width, generator=rng) for name in ("h", "c")},
    }
    return [made[spec.name] for spec in graph.graph.input]


@pytest.mark.parametrize("name", CODECS)
def test_graphs_say_what_torch_says(name: str) -> None:
    """What they give together, piece by piece, is tested where the engine runs them."""
    config = CODECS[name]
    made = graphs(_codec(config))
    assert set(made) == {*DECODER, *ENCODER}
    for role, (graph, module) in made.items():
        assert parity(module, graph, inputs_of(graph, config)) < 1e-5, role
        assert not any("parametrizations" in weight.name for weight in graph.graph.initializer)


def test_a_codec_that_hears_all_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be streamed"):
        graphs(Encodec(replace(ENCODEC_48, filters=2, width=8, entries=8, codebooks=2)))
