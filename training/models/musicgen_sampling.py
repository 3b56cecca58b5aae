"""Codes drawn from a language model in torch, with a key-value cache: for previews and measurements."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.music.arrays import I64
from engine.music.codes import delayed
from training.models.musicgen import LM, KeyValues, guided

__all__ = ["sample_codes"]


@torch.no_grad()
def sample_codes(
    lm: LM,
    frames: int,
    *,
    context: Tensor | None = None,
    features: Tensor | None = None,
    prompt: I64 | None = None,
    delays: Sequence[int],
    generator: torch.Generator,
    guidance: float = 3.0,
    temperature: float = 1.0,
    top_k: int = 250,
    guided_features: int = 0,
) -> I64:
    """Draw codes.

    Args:
        frames: how many, the prompt's among them.
        context: ``[1, L, D]`` as `LM.condition` gives it. features: ``[1, features, frames]``.
        prompt: ``[K, T]``, codes to continue.
        delays: of the codebooks.
        guidance: classifier-free guidance scale; 1 runs the network once, more also runs it without `context`.
        top_k: codes are drawn among this many of the likeliest.
        guided_features: number of last features that the unconditional pass leaves out as well.
    Returns:
        ``[K, frames]``, the prompt unchanged.
    """
    plan, special = delayed(frames, delays), lm.config.entries
    device = next(lm.parameters()).device
    sequence = np.full((plan.codebooks, plan.length), special, np.int64)
    known = 0 if prompt is None else prompt.shape[1]
    if prompt is not None:
        np.put_along_axis(sequence, plan.steps[:, :known], prompt, axis=1)
    wanted, passes = plan.unknown(known), 2 if guidance != 1.0 and context is not None else 1
    contexts = context if context is None or passes == 1 else torch.cat([context, torch.zeros_like(context)])
    conditions = None
    if features is not None:
        # Behind the last frame only delayed codebooks are left; they keep the last frame's features.
        conditions = torch.cat([features, features[:, :, -1:].expand(-1, -1, plan.length - frames)], dim=2)
        conditions = conditions.transpose(1, 2).repeat(passes, 1, 1).to(device)
        if guided_features:
            conditions[1:, :, -guided_features:] = 0.0
    cache, fed = KeyValues(), 0
    for step in range(plan.first_unknown(known), plan.length):
        codes = torch.from_numpy(sequence[:, fed:step])[None].expand(passes, -1, -1).to(device)
        held = None if conditions is None else conditions[:, fed:step]
        logits = lm(codes, None if fed else contexts, cache, held)[:, :, -1]
        drawn = _draw((guided(logits, guidance) if passes == 2 else logits)[0], temperature, top_k, generator)
        sequence[:, step] = np.where(wanted[:, step], drawn.cpu().numpy(), sequence[:, step])
        fed = step
    return plan.codes(sequence)


def _draw(logits: Tensor, temperature: float, top_k: int, generator: torch.Generator) -> Tensor:
    """One code of each row of ``[K, entries]``."""
    values, places = (logits.float() / temperature).topk(min(top_k, logits.shape[1]), dim=1)
    return places.gather(1, torch.multinomial(values.softmax(dim=1), 1, generator=generator))[:, 0]
