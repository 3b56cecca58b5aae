"""Convolutions written as matrix products, so that quantised weights reach a processor's 8-bit dot products.

A `Product` does what a `training.models.layers.Step` does, on ``[B, T, C]`` instead of ``[B, C, T]``: the taps of a
kernel are laid side by side and multiplied by one matrix. A transposed convolution of kernel 4 and stride 2 is two
such products, one for even and one for odd samples, which needs no overlapped add and wastes no multiplication.
Batch normalisation is folded into the matrix.
"""

import copy
from typing import Final, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.models.layers import Step, UpConv, activate

__all__ = ["Product", "as_products"]

_LANES: Final = 16
"""Matrices get a multiple of this many columns: fp32 products of 513 columns run at half the speed of 528."""

N = TypeVar("N", bound=nn.Module)


class Product(nn.Module):
    """One step for inputs of one length, as matrix products.

    Args:
        step: the trained layer; in evaluation mode from here on.
        length: time steps of its input.
    """

    def __init__(self, step: Step, length: int) -> None:
        super().__init__()
        weight, bias, gain = _folded(step)
        self._outputs = bias.numel()
        self._activation = step.activation
        self._up = isinstance(step.body, UpConv)
        if self._up:
            self._pad = (1, 1)
            stride, taps = 1, ((1, 3), (2, 0))
            offsets: list[tuple[int, ...]] = [(1, 0), (1, 2)]
            matrices = [torch.cat([weight[:, :, k] for k in pair]) for pair in taps]
            steps = length
        else:
            kernel, stride = step.body.conv.kernel_size[0], step.body.conv.stride[0]
            self._pad = getattr(step.body, "padding", (0, 0))
            offsets = [tuple(range(kernel))]
            matrices = [weight.permute(2, 1, 0).reshape(-1, self._outputs)]
            steps = (length + sum(self._pad) - kernel) // stride + 1
        self._taps, self._steps, self._inputs = len(offsets[0]), steps, matrices[0].shape[0] // len(offsets[0])
        self.length = 2 * steps if self._up else steps
        extra = self._extra = -self._outputs % _LANES
        self.matrices = nn.ParameterList(functional.pad(m, (0, extra)).contiguous() for m in matrices)
        self.bias = nn.Parameter(functional.pad(bias, (0, extra)))
        heard = gain is not None and bool(gain.any())  # a gain that is still zero adds nothing but time
        self.gain = None if gain is None or not heard else nn.Parameter(_wide(gain, extra))
        for index, offset in enumerate(offsets):
            rows = torch.tensor([t * stride + k for t in range(steps) for k in offset])
            self.register_buffer(f"rows{index}", rows, persistent=False)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """`x` ``[B, T, C]``, noise ``[B, T out]`` or None; gives ``[B, T out, outputs]``."""
        if any(self._pad):
            x = functional.pad(x, (0, 0, *self._pad))
        halves = [self._half(x, index, noise) for index in range(len(self.matrices))]
        if self._up:
            return torch.cat(halves, dim=2).reshape(-1, self.length, self._outputs)
        return halves[0]

    def _half(self, x: Tensor, index: int, noise: Tensor | None) -> Tensor:
        if self._taps > 1:
            x = x.index_select(1, self.get_buffer(f"rows{index}"))
            x = x.reshape(-1, self._steps, self._taps * self._inputs)
        y = x @ self.matrices[index] + self.bias
        if self.gain is not None and noise is not None:
            own = noise.reshape(-1, self._steps, 2)[:, :, index : index + 1] if self._up else noise.unsqueeze(2)
            y = y + own * self.gain
        y = activate(y, self._activation)
        return y[:, :, : self._outputs] if self._extra else y


def _wide(gain: Tensor, extra: int) -> Tensor:
    """One gain stays one; gains of channels get `extra` zeros like everything else that has channels."""
    return functional.pad(gain, (0, extra)) if gain.numel() > 1 else gain


def _folded(step: Step) -> tuple[Tensor, Tensor, Tensor | None]:
    """Kernel, bias and noise gain (one value or one for each channel) of a step, batch normalisation worked in."""
    conv = step.body.conv
    weight = conv.weight.detach().clone()
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().clone()
    gain = None if step.noise is None else step.noise.gain.detach().clone()
    norm = step.norm
    if norm is not None:
        mean, variance = norm.running_mean, norm.running_var
        if mean is None or variance is None:
            raise ValueError("batch normalisation without running statistics cannot be folded")
        scale = norm.weight.detach() / (variance + norm.eps).sqrt()
        weight *= scale[None, :, None] if isinstance(step.body, UpConv) else scale[:, None, None]
        bias = (bias - mean) * scale + norm.bias.detach()
        gain = None if gain is None else gain * scale
    return weight, bias, gain


def as_products(network: N, example: Tensor) -> N:
    """A copy of `network` in which every `Step` is a `Product`, working on ``[B, T, C]``.

    Only for networks whose own code does nothing that depends on the order of axes: sums of steps and chains of steps.

    Args:
        network: in evaluation mode.
        example: one input ``[1, C, T]``; it fixes the length of every step.
    """
    changed = copy.deepcopy(network).eval()
    lengths: dict[str, int] = {}
    hooks = []
    for name, module in changed.named_modules():
        if isinstance(module, Step):

            def note(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                lengths[name] = inputs[0].shape[2]

            hooks.append(module.register_forward_pre_hook(note))
    with torch.no_grad():
        changed(example)
    for hook in hooks:
        hook.remove()
    for name, length in lengths.items():
        parent, _, last = name.rpartition(".")
        step = changed.get_submodule(name)
        assert isinstance(step, Step)
        setattr(changed.get_submodule(parent), last, Product(step, length))
    return changed
