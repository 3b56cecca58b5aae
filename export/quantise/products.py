"""Convolutions written as matrix products, which is where processors are fast.

A `Product` does what a `training.models.layers.Step` does, on ``[B, T, C]`` instead of ``[B, C, T]``. Batch
normalisation is folded into the matrices. A transposed convolution of kernel 4 and stride 2 is two filters of two
taps, one for even and one for odd samples, which needs no overlapped add and wastes no multiplication.

There are two ways to run a filter. *Plain*: the taps are laid side by side and multiplied by one matrix, which can be
quantised, so that it reaches a processor's 8-bit dot products. *Tiled*: by `export.quantise.winograd`, which saves a
third to a half of the multiplications, but needs floats between.
"""

import copy
from collections.abc import Callable
from typing import Final, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.quantise.winograd import AT_ONE, bilinear, multiplications
from training.models.layers import Step, UpConv, activate

__all__ = ["Product", "as_products"]

_LANES: Final = 16
"""Matrices get a multiple of this many columns: fp32 products of 513 columns run at half the speed of 528."""

_TILES: Final = {2: (4, 2), 3: (4, 2), 4: (2,)}
"""Outputs of a tile by the number of taps, best first. Larger tiles save little more and cost exactness.

There are at least two tiles: with one, a matrix that has grown is read for the sake of one row.
"""

_WORTH: Final = 128
"""Inputs from which on a layer is faster in tiles: the fewer there are, the more turning outputs back weighs."""

N = TypeVar("N", bound=nn.Module)


class Product(nn.Module):
    """One step for inputs of one length, as matrix products.

    Args:
        step: the trained layer; in evaluation mode from here on.
        length: time steps of its input.
        tiled: whether to save multiplications where the layer allows it.
    """

    def __init__(self, step: Step, length: int, tiled: bool = False) -> None:
        super().__init__()
        weight, bias, gain = _folded(step)
        self._outputs = bias.numel()
        self._activation = step.activation
        self._up = isinstance(step.body, UpConv)
        if self._up:
            self._pad = (1, 1)
            stride, steps = 1, length
            firsts = [0, 1]
            # Even outputs are made of a sample and the one before it, odd ones of it and the one after.
            matrices = [torch.cat([weight[:, :, k] for k in pair]) for pair in ((3, 1), (2, 0))]
        else:
            kernel, stride = step.body.conv.kernel_size[0], step.body.conv.stride[0]
            self._pad = getattr(step.body, "padding", (0, 0))
            steps = (length + sum(self._pad) - kernel) // stride + 1
            firsts = [0]
            matrices = [weight.permute(2, 1, 0).reshape(-1, self._outputs)]
        self._taps = 2 if self._up else kernel
        self._steps, self._inputs = steps, matrices[0].shape[0] // self._taps
        self.length = 2 * steps if self._up else steps
        extra = self._extra = -self._outputs % _LANES
        self.matrices = nn.ParameterList(functional.pad(m, (0, extra)).contiguous() for m in matrices)
        self.bias = nn.Parameter(functional.pad(bias, (0, extra)))
        used = gain is not None and bool(gain.any())  # a gain that is still zero adds nothing but time
        self.gain = None if gain is None or not used else nn.Parameter(_wide(gain, extra))
        self._tile = _tile(self._taps, steps) if tiled and stride == 1 else 1
        rows = [[first + t * stride + k for t in range(steps) for k in range(self._taps)] for first in firsts]
        if self._tile > 1:
            count = multiplications(self._tile, self._taps)
            starts = [range(first, first + steps, self._tile) for first in firsts]
            rows = [[start + k for every in starts for k in range(count) for start in every]]
            self.register_buffer("order", torch.tensor(self._order()), persistent=False)
            for name, values in zip(("after", "kernel", "before"), bilinear(self._tile, self._taps), strict=True):
                self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)
        for index, part in enumerate(rows):
            self.register_buffer(f"rows{index}", torch.tensor(part), persistent=False)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """`x` ``[B, T, C]``, noise ``[B, T out]`` or None; gives ``[B, T out, outputs]``."""
        if any(self._pad):
            x = functional.pad(x, (0, 0, *self._pad))
        if self._tile > 1:
            y = self._tiles(x)
        else:
            halves = [self._plain(x, index) for index in range(len(self.matrices))]
            y = halves[0] if not self._up else torch.cat(halves, dim=2).reshape(-1, self.length, self._columns)
            y = y + self.bias
        if self.gain is not None and noise is not None:
            y = y + noise.unsqueeze(2) * self.gain
        y = activate(y, self._activation)
        return y[:, :, : self._outputs] if self._extra else y

    @property
    def _columns(self) -> int:
        return self._outputs + self._extra

    def _plain(self, x: Tensor, index: int) -> Tensor:
        """[B, steps, columns] of one filter, taps side by side."""
        if self._taps > 1:
            x = x.index_select(1, self.get_buffer(f"rows{index}"))
            x = x.reshape(-1, self._steps, self._taps * self._inputs)
        return torch.matmul(x, self.matrices[index])

    def _tiles(self, x: Tensor) -> Tensor:
        """[B, T out, columns], bias added.

        The matrices are worked out from the layer's weights when a graph is loaded, so files do not grow.
        """
        count, tiles, filters = multiplications(self._tile, self._taps), self._steps // self._tile, len(self.matrices)
        rows = x.index_select(1, self.get_buffer("rows0")).reshape(-1, filters, count, tiles * self._inputs)
        before = torch.matmul(self.get_buffer("before"), rows)
        parts = torch.split(before.reshape(-1, filters * count, tiles * self._inputs), 1, dim=1)
        made = []
        for index, matrix in enumerate(self.matrices):
            turned = self.get_buffer("kernel") @ matrix.reshape(self._taps, -1)
            for k, weight in enumerate(torch.split(turned, 1)):
                part = parts[index * count + k].reshape(-1, tiles, self._inputs)
                made.append(part @ weight.reshape(self._inputs, self._columns))
            # What is evaluated at 1 goes into every output once, so there the bias is added to the fewest values.
            made[index * count + AT_ONE] = made[index * count + AT_ONE] + self.bias
        y = torch.cat(made, dim=1).reshape(-1, filters, count, tiles * self._columns)
        y = (self.get_buffer("after") @ y).reshape(-1, filters * self._steps, self._columns)
        return y.index_select(1, self.get_buffer("order"))

    def _order(self) -> list[int]:
        """Where each output is when those of one filter come before those of the next, and within them the first
        outputs of all tiles before the second."""
        tiles = self._steps // self._tile
        places = [index % self._tile * tiles + index // self._tile for index in range(self._steps)]
        return [part * self._steps + place for place in places for part in range(len(self.matrices))]


def _tile(taps: int, steps: int) -> int:
    """Outputs of a tile with which `steps` can be cut without remainder; 1 if nothing is to be saved."""
    return next((tile for tile in _TILES.get(taps, ()) if steps % tile == 0 and steps >= 2 * tile), 1)


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


def _never(_: str) -> bool:
    return False


def as_products(network: N, example: Tensor, tiled: Callable[[str], bool] = _never) -> N:
    """A copy of `network` in which every `Step` is a `Product`, working on ``[B, T, C]``.

    Only for networks whose own code does nothing that depends on the order of axes: sums of steps and chains of steps.

    Args:
        network: in evaluation mode.
        example: one input ``[1, C, T]``; it fixes the length of every step.
        tiled: by the name of a step, whether it may be run in tiles; not those that are to be quantised.
    """
    changed = copy.deepcopy(network).eval()
    for name, length in _lengths(changed, example).items():
        step = changed.get_submodule(name)
        assert isinstance(step, Step)
        worth = step.body.conv.in_channels >= _WORTH
        parent, _, last = name.rpartition(".")
        setattr(changed.get_submodule(parent), last, Product(step, length, worth and tiled(name)))
    return changed


def _lengths(network: nn.Module, example: Tensor) -> dict[str, int]:
    """How long the input of each step is, by its name."""
    lengths: dict[str, int] = {}
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, Step):

            def note(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                lengths[name] = inputs[0].shape[2]

            hooks.append(module.register_forward_pre_hook(note))
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    return lengths
