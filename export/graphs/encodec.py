"""EnCodec as five graphs, so that it can be run piece by piece and gives what it gives at once.

Decoder: ``latent`` turns codes into what the recurrent layers make of them, their state going in and out; ``upsample``
turns a stretch of that into sound. Encoder: ``downsample`` turns whole frames of sound into what the recurrent layers
take, ``memory`` are those layers, ``quantise`` makes codes of what they give. All but ``memory`` take more frames than
they answer for: the engine gives them the neighbours and cuts off what only the neighbours were for. At the beginning
and the end of a stream the codec's own padding stands in.
"""

from collections.abc import Mapping
from typing import Final

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.models.encodec.facts import EncodecFacts
from export.trace import trace
from training.models.encodec import Conv, Encodec, EncodecConfig, Memory

__all__ = ["DECODER", "ENCODER", "Downsample", "Latent", "Quantise", "Remember", "Upsample", "facts", "graphs"]

DECODER: Final = ("latent", "upsample")
ENCODER: Final = ("downsample", "memory", "quantise")
"""Roles of the graphs."""

_NEIGHBOURS: Final = {False: (1, 1), True: (2, 0)}
"""Frames before and after that a frame hears through the convolutions between sound and memory, by `causal`."""

_KERNEL: Final = 7  # of the convolutions between memory and codes
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


class _Strided(nn.Module):
    """A convolution of the encoder on whole frames, where nothing is left over to be padded."""

    def __init__(self, layer: Conv, config: EncodecConfig) -> None:
        super().__init__()
        self.layer = layer
        total = _sizes(layer)[0]
        right = 0 if config.causal else total // 2
        self.sides: tuple[int, int] = (total - right, right)
        self.mode = "reflect" if config.reflect else "constant"

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer.norm(self.layer.conv(functional.pad(x, self.sides, mode=self.mode)))
        return out


def _sizes(layer: nn.Module) -> tuple[int, int]:
    """Kernel of a convolution without its stride, and its stride; of what is none (0, 1)."""
    if not isinstance(layer, Conv):
        return 0, 1
    conv = layer.conv
    assert isinstance(conv, nn.Conv1d)
    return conv.kernel_size[0] - conv.stride[0], conv.stride[0]


class Downsample(nn.Module):
    """Whole frames of sound to what the memory takes."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        layers = list(codec.encoder)[: -_LAYERS - 1]
        strided = [
            _Strided(layer, codec.config) if isinstance(layer, Conv) and _sizes(layer)[1] > 1 else layer
            for layer in layers
        ]
        self.layers = nn.Sequential(*strided)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, channels, hop * n]`` -> ``[B, width, n]``."""
        out: Tensor = self.layers(audio)
        return out


class Remember(nn.Module):
    """The encoder's memory."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        memory = codec.encoder[-3]
        assert isinstance(memory, Memory)
        self.memory = memory

    def forward(self, frames: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``[B, width, n]`` -> the same, and the state ``[layers, B, width]``."""
        y, (h, c) = self.memory.lstm(frames.permute(2, 0, 1), (h, c))
        return y.permute(1, 2, 0) + frames, h, c


class Quantise(nn.Module):
    """What the memory gave, to codes."""

    def __init__(self, codec: Encodec) -> None:
        super().__init__()
        last = codec.encoder[-1]
        assert isinstance(last, Conv)
        self.last, self.books = last, codec.quantiser.books

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """``[B, width, n + kernel - 1]`` -> codes ``[B, K, n]``; `real` as for `Latent`."""
        x = functional.elu(frames) * real
        rest, codes = self.last.norm(self.last.conv(x)).transpose(1, 2), []
        for book in self.books.unbind():
            code = (rest @ book.T - 0.5 * book.square().sum(dim=1)).argmax(dim=2)  # as `Quantiser.encode`
            rest = rest - functional.embedding(code, book)
            codes.append(code)
        return torch.stack(codes, dim=1)


def facts(config: EncodecConfig) -> EncodecFacts:
    """What the engine must know to run the graphs."""
    side = 0 if config.causal else 3
    before, after = _NEIGHBOURS[config.causal]
    return EncodecFacts(
        sample_rate=config.sample_rate,
        channels=config.channels,
        hop=config.hop,
        codebooks=config.codebooks,
        entries=config.entries,
        memory=config.filters << len(config.ratios),
        memory_layers=config.lstm,
        codes_before=6 - side,
        codes_after=side,
        latents_before=before,
        latents_after=after,
        causal=config.causal,
        reflect=config.reflect,
    )


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
    width = config.filters << len(config.ratios)
    state = torch.zeros(config.lstm, 2, width)
    frames, real = torch.zeros(2, width, _KERNEL + 3), torch.ones(_KERNEL + 3)
    codes = torch.zeros(2, config.codebooks, _KERNEL + 3, dtype=torch.int64)
    rows = {"B": 0, "n": 2}
    free = {name: {axis: size for size, axis in rows.items()} for name in ("codes", "frames", "latents", "audio")}
    free |= {name: {1: "B"} for name in ("h", "c", "h_next", "c_next")} | {"real": {0: "n"}}
    memory = (["h", "c"], ["h_next", "c_next"])
    steps: dict[str, tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]] = {
        "latent": (Latent(codec), (codes, real, state, state), ["codes", "real", *memory[0]], ["latents", *memory[1]]),
        "upsample": (Upsample(codec), (frames,), ["latents"], ["audio"]),
        "downsample": (Downsample(codec), (torch.zeros(2, config.channels, 6 * config.hop),), ["audio"], ["frames"]),
        "memory": (Remember(codec), (frames, state, state), ["frames", *memory[0]], ["made", *memory[1]]),
        "quantise": (Quantise(codec), (frames, real), ["frames", "real"], ["codes"]),
    }
    free |= {"made": free["frames"]}
    return {
        role: (trace(module, example, given, made, {n: free[n] for n in (*given, *made)}), module)
        for role, (module, example, given, made) in steps.items()
    }
