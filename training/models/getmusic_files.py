"""GETMusic checkpoints of ours: one safetensors file that says what it is and carries its dictionary.

Its metadata: ``family`` (getmusic), ``kind`` (official or live), ``config`` (JSON), ``dictionary`` (the text of the
file), ``notes`` (JSON: source, licence, lagged_chords, key_shift and whatever else is worth keeping).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
from torch import Tensor

from engine.errors import EngineError
from engine.music.vocabulary import Dictionary
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_live import GetmusicLive, GetmusicLiveConfig

__all__ = ["FAMILY", "Loaded", "load", "metadata", "save"]

FAMILY: Final = "getmusic"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a file holds: the network in evaluation mode, its dictionary, its notes."""

    network: GETDiff | GetmusicLive
    dictionary: Dictionary
    notes: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """``official`` or ``live``."""
        return _kind(self.network)


def _kind(network: GETDiff | GetmusicLive) -> str:
    return "live" if isinstance(network, GetmusicLive) else "official"


def metadata(network: GETDiff | GetmusicLive, dictionary: Dictionary, notes: Mapping[str, Any]) -> dict[str, str]:
    """What `save` writes beside the weights."""
    config = asdict(network.config)
    config.pop("vocabulary", None)
    return {
        "family": FAMILY,
        "kind": _kind(network),
        "config": json.dumps(config, sort_keys=True),
        "dictionary": dictionary.text,
        "notes": json.dumps(dict(notes), sort_keys=True),
    }


def save(
    path: Path,
    network: GETDiff | GetmusicLive,
    dictionary: Dictionary,
    notes: Mapping[str, Any],
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint.

    Args:
        path: ends in ``.safetensors``.
        notes: plain JSON; the export reads ``source``, ``licence``, ``lagged_chords`` (bool) and ``key_shift``.
        weights: others than the network's own, such as their running average.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in (weights or network.state_dict()).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, path, metadata(network, dictionary, notes))


def load(path: Path) -> Loaded:
    """Read what `save` wrote.

    Raises:
        ValueError: not such a file, or its weights do not fit.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error})") from None
    if about.get("family") != FAMILY:
        raise ValueError(f"{path} is a checkpoint of '{about.get('family')}', not of {FAMILY}")
    try:
        dictionary = Dictionary.read(about["dictionary"])
        network = _build(about["kind"], json.loads(about["config"]), dictionary)
        network.load_state_dict(safetensors.torch.load_file(path))
        notes = json.loads(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError, EngineError) as error:
        raise ValueError(f"{path}: what it says of itself and its weights do not fit: {error}") from None
    return Loaded(network.eval(), dictionary, notes)


def _build(kind: str, config: Mapping[str, Any], dictionary: Dictionary) -> GETDiff | GetmusicLive:
    if kind == "live":
        return GetmusicLive(dictionary, GetmusicLiveConfig(**config))
    if kind == "official":
        return GETDiff(replace(GetdiffConfig(**config), vocabulary=TokenRanges.of(dictionary)))
    raise ValueError(f"no kind of network '{kind}', there are official and live")
