"""Codebooks that follow what is encoded: how EnCodec's quantiser learns, without gradients.

Source: van den Oord et al. 2017, appendix A.1 (running means), Zeghidour et al., "SoundStream", 2021, section III.C
(start by k-means, entries that nobody uses, quantiser dropout); constants are those of MusicGen's release.
"""

from dataclasses import dataclass
from typing import Final

import torch
import torch.distributed
from torch import Tensor, nn

from training.models.encodec import Quantiser, QuantiserSizes, nearest

__all__ = ["Followed", "Follower"]

_EPS: Final = 1e-5
_ROUNDS: Final = 50  # of k-means
_SEEN: Final = 4  # latents for each entry that k-means has at most


@dataclass(frozen=True, slots=True)
class Followed:
    """Latents through the codebooks.

    Args:
        latents: ``[B, width, T]``, the gradient going straight through.
        commitment: how far latents are from what stands for them, the mean of all codebooks; books are not pulled.
        used: as many entries, used equally often, would tell as much; a share of all, the mean of the codebooks.
    """

    latents: Tensor
    commitment: Tensor
    used: Tensor


class Follower(nn.Module):
    """Running numbers of what each entry stands for; the entries themselves are the quantiser's.

    Under torchrun all processes count together and stay equal.

    Args:
        decay: of running counts and sums.
        dead: an entry used less than this share of the mean is given a new place among the latents at hand.
    """

    sizes: Tensor
    sums: Tensor
    begun: Tensor
    seen: Tensor
    place: Tensor

    def __init__(self, config: QuantiserSizes, decay: float = 0.99, dead: float = 0.1) -> None:
        super().__init__()
        self._decay, self._dead = decay, dead
        self.register_buffer("sizes", torch.zeros(config.codebooks, config.entries))
        self.register_buffer("sums", torch.zeros(config.codebooks, config.entries, config.width))
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))
        self.register_buffer("seen", torch.zeros(_SEEN * config.entries, config.width))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def watch(self, latents: Tensor) -> None:
        """Keep latents ``[B, width, T]`` that are not quantised yet: codebooks will begin among the newest of them."""
        flat = latents.float().transpose(1, 2).flatten(0, 1)[: len(self.seen)]
        places = (self.place + torch.arange(len(flat), device=flat.device)) % len(self.seen)
        self.seen[places] = flat
        self.place += len(flat)

    def forward(
        self, quantiser: Quantiser, latents: Tensor, counts: Tensor, generator: torch.Generator | None
    ) -> Followed:
        """Quantise ``[B, width, T]``, and let the codebooks follow.

        Args:
            counts: int64 ``[B]``, how many codebooks each item goes through; the others neither say nor learn anything.
            generator: of new places for entries.
        """
        with torch.autocast(latents.device.type, enabled=False):
            x = latents.float().transpose(1, 2)
            if not bool(self.begun):
                known = self.seen[: int(self.place)]
                self._begin(quantiser, torch.cat([x.detach().flatten(0, 1), known]), generator)
            total, commitment = torch.zeros_like(x), []
            for index in range(len(quantiser.books)):
                used = counts > index
                rest = x - total  # what is quantised is no part of the graph: the gradient is that of `x` alone
                flat = rest.detach()[used].flatten(0, 1)
                code = nearest(flat, quantiser.books[index])
                quantised = torch.zeros_like(total)
                quantised[used] = quantiser.books[index][code].reshape(-1, *x.shape[1:])
                away = (rest - quantised)[used].square()
                commitment.append(away.sum() / max(1, away.numel()))
                total = total + quantised
                # Places for entries are sought among all latents: there are some although no item came this far.
                picked = _picked(rest.detach().flatten(0, 1), len(quantiser.books[index]), generator)
                self._follow(quantiser.books[index], index, flat, code, _shared(picked))
            through = x + (total - x).detach()
            return Followed(through.transpose(1, 2), torch.stack(commitment).mean(), self._used())

    @torch.no_grad()
    def _used(self) -> Tensor:
        share = self.sizes / self.sizes.sum(dim=1, keepdim=True)
        entropy = -(share * share.clamp(min=1e-12).log()).sum(dim=1)
        return (entropy.exp() / self.sizes.shape[1]).mean()

    @torch.no_grad()
    def _follow(self, book: Tensor, index: int, flat: Tensor, code: Tensor, picked: Tensor) -> None:
        """Move the entries of one codebook to the running mean of what they stood for, dead ones to `picked`."""
        entries = len(book)
        chosen = torch.zeros(len(flat), entries, device=flat.device)
        chosen.scatter_(1, code[:, None], 1.0)
        counts, sums = _summed(chosen.sum(dim=0)), _summed(chosen.T @ flat)
        sizes, running = self.sizes[index], self.sums[index]
        sizes.lerp_(counts, 1.0 - self._decay)
        running.lerp_(sums, 1.0 - self._decay)
        mean = sizes.mean()
        dead = sizes < self._dead * mean
        sizes.copy_(torch.where(dead, mean, sizes))
        running.copy_(torch.where(dead[:, None], picked * mean, running))
        smooth = (sizes + _EPS) / (sizes.sum() + entries * _EPS) * sizes.sum()
        book.copy_(running / smooth[:, None])

    @torch.no_grad()
    def _begin(self, quantiser: Quantiser, x: Tensor, generator: torch.Generator | None) -> None:
        """Place the entries by k-means of the first latents ``[n, width]``, and of what they leave over."""
        rest = _shared(x)
        for index, book in enumerate(quantiser.books):
            entries = len(book)
            place = _shared(_picked(rest, entries, generator))
            counts = torch.zeros(entries, device=rest.device)
            for _ in range(_ROUNDS):
                chosen = torch.zeros(len(rest), entries, device=rest.device)
                chosen.scatter_(1, nearest(rest, place)[:, None], 1.0)
                counts = chosen.sum(dim=0)
                place = torch.where(counts[:, None] > 0, (chosen.T @ rest) / counts.clamp(min=1)[:, None], place)
            book.copy_(place)
            counts = counts.clamp(min=1.0)
            self.sizes[index] = counts
            self.sums[index] = place * counts[:, None]
            rest = rest - book[nearest(rest, book)]
        self.begun.fill_(True)


def _picked(latents: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """``[count, width]`` of ``[n, width]``, by chance; one may come more than once."""
    return latents[torch.randint(len(latents), (count,), generator=generator, device=latents.device)]


def _summed(value: Tensor) -> Tensor:
    """Added up over all processes."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(value)
    return value


def _shared(value: Tensor) -> Tensor:
    """The first process's, for all."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        value = value.contiguous()
        torch.distributed.broadcast(value, 0)
    return value
