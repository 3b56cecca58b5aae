"""A causal EnCodec fed piece by piece: what it gives is what it gives of the whole, with nothing to wait for.

Encoder and decoder are stacks of layers, and a layer remembers what the next piece needs of this one: a convolution
its last inputs, a transposed one what runs over its end, the recurrent layers their state. Zeros before the beginning
are the padding of the whole, so codecs that pad with reflections or hear the future cannot be run so.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from training.models.encodec import (
    Conv,
    EncodecConfig,
    EncodecDecoder,
    EncodecEncoder,
    Memory,
    Residual,
    TransposedConv,
)

__all__ = ["StreamState", "step", "streams"]


@dataclass(slots=True)
class StreamState:
    """What a stack has left behind, by the place of a layer; empty before the first piece, moved on in place."""

    kept: dict[str, Tensor] = field(default_factory=dict)

    def fork(self) -> "StreamState":
        """An independent copy."""
        return StreamState({name: value.clone() for name, value in self.kept.items()})


def streams(config: EncodecConfig) -> bool:
    """Whether a codec can be run so: it hears neither the future, nor its beginning reflected, nor all at once."""
    return config.causal and not config.reflect and not config.group_norm and config.trim_right == 1.0


def step(stack: EncodecEncoder | EncodecDecoder, x: Tensor, state: StreamState) -> Tensor:
    """The next piece through an encoder or a decoder.

    Args:
        x: sound ``[B, channels, n * hop]``, or latents ``[B, width, n]``.
    Returns:
        Latents ``[B, width, n]``, or sound ``[B, channels, n * hop]``.
    """
    for index, layer in enumerate(stack):
        x = _layer(layer, x, state, str(index))
    return x


def _layer(layer: nn.Module, x: Tensor, state: StreamState, name: str) -> Tensor:
    if isinstance(layer, Conv):
        return _conv(layer, x, state, name)
    if isinstance(layer, TransposedConv):
        return _upconv(layer, x, state, name)
    if isinstance(layer, Memory):
        return _memory(layer, x, state, name)
    if isinstance(layer, Residual):
        y = x
        for index, part in enumerate(layer.block):
            y = _layer(part, y, state, f"{name}.{index}")
        return _layer(layer.shortcut, x, state, f"{name}.shortcut") + y
    out: Tensor = layer(x)
    return out


def _conv(layer: Conv, x: Tensor, state: StreamState, name: str) -> Tensor:
    before = layer.kernel - layer.stride
    if before:
        kept = state.kept.get(name)
        x = torch.cat([x.new_zeros(*x.shape[:2], before) if kept is None else kept, x], dim=2)
        state.kept[name] = x[:, :, -before:]
    out: Tensor = layer.conv(x)
    return out


def _upconv(layer: TransposedConv, x: Tensor, state: StreamState, name: str) -> Tensor:
    made: Tensor = layer.conv(x)
    bias = layer.conv.bias
    assert isinstance(bias, Tensor)
    head, rest, over = made.tensor_split((layer.stride, made.shape[2] - layer.stride), dim=2)
    kept = state.kept.get(name)
    # What runs over into the next piece is kept without the bias, which that piece adds once more.
    state.kept[name] = over - bias[:, None]
    return torch.cat([head if kept is None else head + kept, rest], dim=2)


def _memory(layer: Memory, x: Tensor, state: StreamState, name: str) -> Tensor:
    h, c = state.kept.get(f"{name}.h"), state.kept.get(f"{name}.c")
    y, (h, c) = layer.lstm(x.permute(2, 0, 1), None if h is None or c is None else (h, c))
    state.kept[f"{name}.h"], state.kept[f"{name}.c"] = h, c
    out: Tensor = y.permute(1, 2, 0) + x
    return out
