"""EnCodec's judge: one small network for each of several spectrograms, complex, so that phases are judged too.

Source: Defossez et al., "High Fidelity Neural Audio Compression", 2022, section 3.4 and figure 2, and MusicGen's
release (kernels of nine bins by three frames, dilated over time by 1, 2 and 4).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["MultiStftCritic", "StftCritic"]


class StftCritic(nn.Module):
    """Judges one spectrogram.

    Args:
        window: samples of its frames, four times their distance.
        width: channels of its layers. channels: of the sound.
    """

    window: Tensor

    def __init__(self, window: int, width: int, channels: int = 1) -> None:
        super().__init__()
        self._hop = window // 4
        hann = torch.hann_window(window)
        self.register_buffer("window", hann / hann.square().sum().sqrt(), persistent=False)
        layers: list[nn.Module] = [nn.Conv2d(2 * channels, width, (3, 9), padding=(1, 4))]
        for dilation in (1, 2, 4):
            padding = (dilation, 4)
            layers.append(weight_norm(nn.Conv2d(width, width, (3, 9), (1, 2), padding, (dilation, 1))))
        layers.append(weight_norm(nn.Conv2d(width, width, 3, padding=1)))
        self.layers = nn.ModuleList(layers)
        self.score = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``[B, channels, N]`` -> scores ``[B, 1, frames, bins]`` and what each layer made on the way."""
        with torch.autocast(audio.device.type, enabled=False):
            flat = audio.float().flatten(0, 1)
            size = self.window.shape[0]
            spectrum = torch.stft(flat, size, self._hop, window=self.window, center=False, return_complex=True)
            parts = torch.view_as_real(spectrum)
            parts = parts.reshape(*audio.shape[:2], *parts.shape[1:])  # [B, channels, bins, frames, 2]
        x = parts.permute(0, 4, 1, 3, 2).flatten(1, 2)
        made = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.3)
            made.append(x)
        return self.score(x), made


class MultiStftCritic(nn.Module):
    """Judges of several windows; the defaults are the published ones."""

    def __init__(
        self, windows: Sequence[int] = (1024, 2048, 512, 256, 128), width: int = 32, channels: int = 1
    ) -> None:
        super().__init__()
        self.critics = nn.ModuleList(StftCritic(window, width, channels) for window in windows)

    def forward(self, audio: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """``[B, channels, N]`` -> for each judge its scores, and what its layers made."""
        judged = [critic(audio) for critic in self.critics]
        return [scores for scores, _ in judged], [made for _, made in judged]
