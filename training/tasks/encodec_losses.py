"""What EnCodec minimises: distances of mel spectra at several scales, what its judges say, and a balance of all.

Source: Defossez et al. 2022, section 3.4, with the constants of MusicGen's release.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.music.spectrum import mel_matrix

__all__ = ["Balancer", "MelDistance", "believed", "doubted", "matching"]

_FLOOR: Final = 1e-5  # power of mel bands below which no logarithm looks: what lies there is inaudible
_EPS: Final = 1e-12


class MelDistance(nn.Module):
    """How differently two sounds sound: mel bands and their logarithms, over several windows.

    Args:
        sample_rate: Hz.
        windows: samples; hops are a quarter of them.
        bands: of each; lowest_hz: where they begin.
        exponent: 2 compares powers as published, 1 magnitudes, which hears more of what is soft.
    """

    def __init__(
        self,
        sample_rate: int,
        windows: Sequence[int] = (64, 128, 256, 512, 1024),
        bands: int = 64,
        lowest_hz: float = 64.0,
        exponent: float = 2.0,
    ) -> None:
        super().__init__()
        self._windows, self._exponent = tuple(windows), exponent
        self._floor = _FLOOR ** (0.5 * exponent)
        for window in windows:
            shape = torch.hann_window(window)
            self.register_buffer(f"window_{window}", shape / shape.square().sum().sqrt(), persistent=False)
            mel = torch.from_numpy(mel_matrix(sample_rate, window, bands, lowest_hz))
            self.register_buffer(f"mel_{window}", mel, persistent=False)

    def bands(self, audio: Tensor, window: int) -> Tensor:
        """``[B, C, N]`` -> ``[B * C, bands, T]``."""
        shape, mel = self.get_buffer(f"window_{window}"), self.get_buffer(f"mel_{window}")
        spectrum = torch.stft(audio.flatten(0, 1), window, window // 4, window=shape, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        # The root of zero has no slope; this far below hearing it makes no other difference.
        size = power if self._exponent == 2.0 else (power + 1e-10).pow(0.5 * self._exponent)
        out: Tensor = mel @ size
        return out

    def forward(self, made: Tensor, target: Tensor, windows: Sequence[int] = ()) -> Tensor:
        """``[B, C, N]`` each, N at least the longest window -> one number, 0 for equal sounds.

        Args:
            windows: those of its windows that are compared; all if empty.
        """
        windows = windows or self._windows
        with torch.autocast(made.device.type, enabled=False):
            total = made.new_zeros((), dtype=torch.float32)
            for window in windows:
                one, two = self.bands(made.float(), window), self.bands(target.float(), window)
                logs = one.clamp(min=self._floor).log10() - two.clamp(min=self._floor).log10()
                total = total + functional.l1_loss(one, two) + logs.square().mean()
            return total / (2 * len(windows))


def doubted(real: Sequence[Tensor], made: Sequence[Tensor]) -> Tensor:
    """The judges' loss: hinges, averaged over judges."""
    parts = [functional.relu(1 - r).mean() + functional.relu(1 + m).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(parts).mean()


def believed(made: Sequence[Tensor]) -> Tensor:
    """The codec's loss to the judges, averaged over them."""
    return torch.stack([functional.relu(1 - scores).mean() for scores in made]).mean()


def matching(real: Sequence[Sequence[Tensor]], made: Sequence[Sequence[Tensor]]) -> Tensor:
    """How differently the judges' layers see two sounds; the real one is what the other goes to."""
    parts = [
        functional.l1_loss(m.float(), r.detach().float())
        for rs, ms in zip(real, made, strict=True)
        for r, m in zip(rs, ms, strict=True)
    ]
    return torch.stack(parts).mean()


class Balancer:
    """Losses that pull as hard as their weights say: each gradient is divided by its running size.

    Source: Defossez et al. 2022, section 3.4, equation 5.

    Args:
        weights: by the name of a loss.
        decay: of running sizes.
    """

    def __init__(self, weights: Mapping[str, float], decay: float = 0.999) -> None:
        self._weights, self._decay = dict(weights), decay
        self._sizes: dict[str, tuple[float, float]] = {}

    def pull(self, losses: Mapping[str, Tensor], made: Tensor, mean: Callable[[Tensor], float]) -> Tensor:
        """The gradient of all losses together, for what was made.

        Args:
            losses: by names among the weights; what is absent pulls nothing.
            made: ``[B, ...]``, what they were worked out from.
            mean: averages a number over processes.
        Returns:
            Shaped as `made`; its size an item is about 1.
        """
        total = torch.zeros_like(made)
        weights = sum(self._weights[name] for name in losses)
        for name, loss in losses.items():
            (gradient,) = torch.autograd.grad(loss, made, retain_graph=True)
            size = mean(gradient.flatten(1).norm(dim=1).mean())
            seen, count = self._sizes.get(name, (0.0, 0.0))
            seen, count = (self._decay * old + (1.0 - self._decay) * new for old, new in ((seen, size), (count, 1.0)))
            self._sizes[name] = (seen, count)
            total = total + gradient * (self._weights[name] / weights / (_EPS + seen / count))
        return total

    def state(self) -> dict[str, float]:
        """Running sizes as plain numbers."""
        return {
            f"{name}.{part}": value
            for name, pair in self._sizes.items()
            for part, value in zip(("size", "count"), pair, strict=True)
        }

    def load_state(self, state: Mapping[str, float]) -> None:
        """Take back what `state` gave."""
        names = {name.rpartition(".")[0] for name in state}
        self._sizes = {name: (float(state[f"{name}.size"]), float(state[f"{name}.count"])) for name in names}
