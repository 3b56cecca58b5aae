"""EnCodec's decoder as two graphs, so that it can be run piece by piece and gives what it gives at once.

``latent`` turns codes into what the recurrent layers make of them, their state going in and out; ``upsample`` turns a
stretch of that into sound. Both take more frames than they answer for: the engine gives them the neighbours and cuts
off what only the neighbours were for. At the beginning and the end of a stream the codec's own padding stands in.
"""

from collections.abc import Mapping
from typing import Any, Final

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.trace import trace
from training.models.encodec import Conv, Encodec, EncodecConfig, Memory

__all__ = ["Latent", "Upsample", "facts", "graphs"]

_NEIGHBOURS: Final = {False: (1, 1), True: (2, 0)}
"""Frames before and after that a frame of sound hears through the convolutions behind the memory, by `causal`."""

_LAYERS: Final = 2  # convolution and memory: what `Latent` does of the decoder


class Latent(nn.Module):
    """Codes to what the memory makes of them."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        first, memory = codec.decoder[0], codec.decoder[1]
        assert isinstance(first, Conv)
        assert isinstance(memory, Memory)
        self.books = codec.quantiser.books
        self.first, self.memory = first, memory

    def forward(self, codes: Tensor, real: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codes ``[B, K, n + kernel - 1]`` -> ``[B, width, n]``, and the memory's state ``[layers, B, width]``.

        Args:
            real: ``[n + kernel - 1]``, 0 for frames that are padding with zeros, else 1.
        """
        parts = [
            functional.embedding(code, book)
            for book, code in zip(self.books.unbind(), codes.unbind(dim=1), strict=True)
        ]
        x = (torch.stack(parts).sum(dim=0) * real[:, None]).transpose(1, 2)
        x = self.first.norm(self.first.conv(x))
        y, (h, c) = self.memory.lstm(x.permute(2, 0, 1), (h, c))
        return y.permute(1, 2, 0) + x, h, c


class Upsample(nn.Module):
    """What `Latent` gave, to sound: all layers that are left, each with its own padding."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        self.layers = nn.Sequential(*list(codec.decoder)[_LAYERS:])

    def forward(self, latents: Tensor) -> Tensor:
        """``[B, width, n]`` -> ``[B, channels, hop * n]``."""
        out: Tensor = self.layers(latents)
        return out


def facts(config: EncodecConfig) -> dict[str, Any]:
    """What the engine must know to run the graphs."""
    side = 0 if config.causal else 3
    before, after = _NEIGHBOURS[config.causal]
    return {
        "sample_rate": config.sample_rate,
        "channels": config.channels,
        "hop": config.hop,
        "codebooks": config.codebooks,
        "entries": config.entries,
        "memory": config.filters << len(config.ratios),
        "memory_layers": config.lstm,
        "codes_before": 6 - side,
        "codes_after": side,
        "latents_before": before,
        "latents_after": after,
        "reflect": config.reflect,
    }


def _folded(codec: Encodec) -> Encodec:
    """The same codec without normalised weights: they are worked out once."""
    for module in codec.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d) and hasattr(module, "parametrizations"):
            nn.utils.parametrize.remove_parametrizations(module, "weight")
    return codec.eval()


def graphs(codec: Encodec) -> Mapping[str, tuple[onnx.ModelProto, nn.Module]]:
    """Role to graph, and what was traced; changes `codec` (its weight normalisation is folded in).

    Raises:
        ValueError: a codec whose layers are normalised over time cannot be run piece by piece.
    """
    config = codec.config
    if config.group_norm:
        raise ValueError("layers normalised over time hear all of a sound at once: this codec cannot be streamed")
    codec = _folded(codec)
    latent, upsample = Latent(codec), Upsample(codec)
    width = config.filters << len(config.ratios)
    state = torch.zeros(config.lstm, 2, width)
    codes = torch.zeros(2, config.codebooks, 10, dtype=torch.int64)
    free = {"codes": {0: "B", 2: "N"}, "real": {0: "N"}, "latents": {0: "B", 2: "n"}}
    sides = {name: {1: "B"} for name in ("h", "c", "h_next", "c_next")}
    first = trace(
        latent,
        (codes, torch.ones(10), state, state),
        ["codes", "real", "h", "c"],
        ["latents", "h_next", "c_next"],
        {**free, **sides},
    )
    second = trace(
        upsample,
        (torch.zeros(2, width, 6),),
        ["latents"],
        ["audio"],
        {"latents": {0: "B", 2: "n"}, "audio": {0: "B", 2: "samples"}},
    )
    return {"latent": (first, latent), "upsample": (second, upsample)}
