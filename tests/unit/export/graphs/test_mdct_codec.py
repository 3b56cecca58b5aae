"""The codec's graphs give what its network gives, with all codebooks or the first of them."""

import pytest
import torch

from export.graphs.mdct_codec import facts, graphs, state_names
from export.parity import parity
from training.models.mdct_codec import MdctCodec, MdctCodecConfig

SMALL = MdctCodecConfig(hop=64, bands=8, width=6, codebooks=4, entries=16, encoder=(24, 2), decoder=(24, 3))


@pytest.mark.parametrize("codebooks", [0, 2])
def test_graphs_give_what_torch_gives(codebooks: int) -> None:
    torch.manual_seed(0)
    codec, rng = MdctCodec(SMALL).eval(), torch.Generator().manual_seed(1)
    codec.quantiser.books.normal_()
    count, names = codebooks or 4, state_names(SMALL)
    first = {"encode": 0.3 * torch.randn(2, 2, 64 * 7, generator=rng), "decode": torch.randint(0, 16, (2, count, 7))}
    for role, (graph, module) in graphs(codec, codebooks).items():
        assert [spec.name for spec in graph.graph.input][1:] == list(names[role])
        empty = (codec.encoder if role == "encode" else codec.decoder).empty(2)
        caches = [torch.randn(cache.shape, generator=rng) for cache in empty]
        assert parity(module, graph, [first[role], *caches]) < 1e-5, role
    assert facts(SMALL, codebooks).codebooks == count
