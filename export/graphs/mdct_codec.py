"""Our codec as two graphs with caches: ``encode`` turns frames of sound into codes, ``decode`` codes into sound."""

from collections.abc import Mapping
from typing import Final

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.models.mdct_codec.facts import MdctCodecFacts
from export.trace import trace
from training.models.mdct_codec import MdctCodec, MdctCodecConfig

__all__ = ["Decode", "Encode", "facts", "graphs", "state_names"]

_FRAMES: Final = 3  # of the examples that are traced


class Encode(nn.Module):
    """Frames of sound to codes of the first codebooks."""

    def __init__(self, codec: MdctCodec, codebooks: int) -> None:
        super().__init__()
        self.encoder, self.books = codec.encoder, codec.quantiser.books[:codebooks]

    def forward(self, audio: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """``[B, 2, n * hop]`` -> codes ``[B, K, n]`` and the next caches."""
        latents, following = self.encoder.step(audio, caches)
        rest, codes = latents.transpose(1, 2), []
        for book in self.books.unbind():
            code = (rest @ book.T - 0.5 * book.square().sum(dim=1)).argmax(dim=2)  # as `Quantiser.encode`
            rest = rest - functional.embedding(code, book)
            codes.append(code)
        return torch.stack(codes, dim=1), *following


class Decode(nn.Module):
    """Codes of the first codebooks to sound."""

    def __init__(self, codec: MdctCodec, codebooks: int) -> None:
        super().__init__()
        self.decoder, self.books = codec.decoder, codec.quantiser.books[:codebooks]

    def forward(self, codes: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        """``[B, K, n]`` -> ``[B, 2, n * hop]``, a block late, and the next caches."""
        parts = [
            functional.embedding(code, book)
            for book, code in zip(self.books.unbind(), codes.unbind(dim=1), strict=True)
        ]
        latents = torch.stack(parts).sum(dim=0).transpose(1, 2)
        audio, following = self.decoder.step(latents, caches)
        return audio, *following


def facts(config: MdctCodecConfig, codebooks: int = 0) -> MdctCodecFacts:
    """What the engine must know to run the graphs; `codebooks` that are used, all if 0."""
    return MdctCodecFacts(
        sample_rate=config.sample_rate,
        channels=config.channels,
        hop=config.hop,
        block=config.block,
        codebooks=codebooks or config.codebooks,
        entries=config.entries,
    )


def state_names(config: MdctCodecConfig) -> dict[str, tuple[str, ...]]:
    """The inputs of each graph that carry state."""
    sizes = {"encode": config.encoder, "decode": config.decoder}
    return {role: tuple(f"cache.{index}" for index in range(blocks + 1)) for role, (_, blocks) in sizes.items()}


def graphs(codec: MdctCodec, codebooks: int = 0) -> Mapping[str, tuple[onnx.ModelProto, nn.Module]]:
    """Role to graph, and what was traced, with as many codebooks (all if 0)."""
    config, count = codec.config, codebooks or codec.config.codebooks
    steps: dict[str, tuple[nn.Module, Tensor, list[Tensor], str, str]] = {
        "encode": (
            Encode(codec, count), torch.zeros(2, config.channels, _FRAMES * config.hop), codec.encoder.empty(2),
            "audio", "codes",
        ),
        "decode": (
            Decode(codec, count), torch.zeros(2, count, _FRAMES, dtype=torch.int64), codec.decoder.empty(2),
            "codes", "audio",
        ),
    }  # fmt: skip
    made = {}
    for role, (module, example, caches, given, result) in steps.items():
        names = state_names(config)[role]
        free: dict[str, dict[int, str]] = {given: {0: "B", 2: "n"}, result: {0: "B", 2: "m"}}
        free |= {name: {0: "B"} for name in (*names, *(f"{name}_next" for name in names))}
        outputs = [result, *(f"{name}_next" for name in names)]
        made[role] = trace(module, (example, *caches), [given, *names], outputs, free), module
    return made
