"""The absorbing diffusion of GETMusic: how likely a cell is hidden at each of 100 steps, and how it comes back.

A cell is kept, hidden (MASK), or, with a chance of 1e-6 at most, replaced by another token. Steps are counted from 0;
step 0 hides almost nothing, step 99 almost everything.

Source: Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", 2021 (D3PM); the linear
schedule and its constants are those of microsoft/muzic/getmusic, after VQ-Diffusion (Gu et al., 2022).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import F32, F64

__all__ = ["STEPS", "Schedule", "hidden_share", "log_buffers", "returns", "schedule", "step_of"]


STEPS: Final = 100

_KEEP: Final = (0.99999, 0.000009)
_HIDE: Final = (0.000009, 0.99999)
_TINY: Final = 1e-40
"""Put under a logarithm by the original, so that its float32 tables have no infinities where it matters."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Chances of one cell in double precision.

    Args:
        keep, replace, hide: [100] of one step: to stay, to become one certain other token, to become MASK.
        kept, replaced, hidden: [101] of all steps up to and with t; entry 100 stands for the time before step 0.
    """

    keep: F64
    replace: F64
    hide: F64
    kept: F64
    replaced: F64
    hidden: F64


def hidden_share() -> F64:
    """[100] chance that a cell is hidden at step t."""
    return np.asarray(np.arange(STEPS) / (STEPS - 1) * (_HIDE[1] - _HIDE[0]) + _HIDE[0], np.float64)


def schedule(classes: int) -> Schedule:
    """The published schedule.

    Args:
        classes: tokens that a cell may hold besides MASK, 11880 with the published dictionary (its lines and EMPTY).
    """
    kept = np.concatenate([[1.0], np.arange(STEPS) / (STEPS - 1) * (_KEEP[1] - _KEEP[0]) + _KEEP[0]])
    hidden = np.concatenate([[0.0], hidden_share()])
    keep = kept[1:] / kept[:-1]
    shown = 1.0 - hidden
    hide = 1.0 - shown[1:] / shown[:-1]
    later = np.append(np.arange(1, STEPS + 1), 0)
    kept, hidden = kept[later], hidden[later]
    return Schedule(keep, (1.0 - keep - hide) / classes, hide, kept, (1.0 - kept - hidden) / classes, hidden)


def log_buffers(classes: int) -> Mapping[str, F32]:
    """The eight tables that a published checkpoint carries, by their names there."""
    made = schedule(classes)
    with np.errstate(divide="ignore"):
        tables = {
            "log_at": np.log(made.keep),
            "log_bt": np.log(made.replace),
            "log_ct": np.log(made.hide),
            "log_cumprod_at": np.log(made.kept),
            "log_cumprod_bt": np.log(made.replaced),
            "log_cumprod_ct": np.log(made.hidden),
            "log_1_min_ct": np.log(1.0 - made.hide + _TINY),
            "log_1_min_cumprod_ct": np.log(1.0 - made.hidden + _TINY),
        }
    return {name: table.astype(np.float32) for name, table in tables.items()}


def returns(t: int) -> float:
    """Chance that a cell hidden at step t is shown at step t - 1: a draw from what the network says; 1 at step 0.

    Source:
        The posterior of a chain that only hides, (hidden(t) - hidden(t - 1)) / hidden(t); about 1 / t.
    """
    share = hidden_share()
    return 1.0 if t == 0 else float((share[t] - share[t - 1]) / share[t])


def step_of(share: float) -> int:
    """The step at which this share of the targets, 0..1, is hidden."""
    return round((STEPS - 1) * min(max(share, 0.0), 1.0))
