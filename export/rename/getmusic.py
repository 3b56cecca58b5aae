"""GETMusic's published checkpoint as ours, and back.

The file is a pickled dict. Its weights, 221 tensors at the published sizes, are under ``ema`` (their running average,
which the release plays with) and, with the prefix ``rfm.``, under ``model``. Twelve tensors are not weights: the tables
of the diffusion, of the rotary embedding, and the head's second name for the embedding. They are not kept but checked
against what they must be. Only tensors and plain values are unpickled: nothing in the file is run.
"""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from engine.music.absorbing import log_buffers
from engine.music.files import sha256_of
from engine.music.vocabulary import Dictionary, VocabularyError
from export.errors import WeightsError
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges, rotary
from training.models.getmusic_files import save

__all__ = ["convert", "names", "ours_from", "published_from", "read", "sizes"]

_PREFIX: Final = "rfm."
_BODY: Final = "roformer.input_transformers."

_OUTER: Final[Mapping[str, str]] = {
    "tokens": "embeddings.word_embeddings",
    "flags": "embeddings.token_type_embeddings",
    "time.0": "embeddings.time_embeddings.0",
    "time.2": "embeddings.time_embeddings.2",
    "norm": "embeddings.LayerNorm",
    "inward.0": "embeddings_project.0",
    "inward.2": "embeddings_project.2",
    "outward.0": "outputs_project.0",
    "last": "outputs_project.2",
}
_LAYER: Final[Mapping[str, str]] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
"""Our modules to theirs; both have ``weight`` and ``bias``, embeddings only ``weight``."""

_EMBEDDINGS: Final = ("tokens", "flags")
_NUMBER: Final = re.compile(rf"{re.escape(_BODY)}encoder\.layer\.(\d+)\.")
_HEAD: Final = f"{_BODY}lm_head.weight"
_PLACES: Final = f"{_BODY}encoder.embed_positions.weight"
_WORDS: Final = f"{_BODY}embeddings.word_embeddings.weight"


def names(layers: int) -> dict[str, str]:
    """Our name of every tensor that is kept to theirs, without prefix."""
    table = {"bias": f"{_BODY}lm_head.bias", "losses": "Lt_history", "draws": "Lt_count"}
    modules = {ours: f"{_BODY}{theirs}" for ours, theirs in _OUTER.items()}
    for index in range(layers):
        for ours, theirs in _LAYER.items():
            modules[f"layers.{index}.{ours}"] = f"{_BODY}encoder.layer.{index}.{theirs}"
    for ours, theirs in modules.items():
        for kind in ("weight",) if ours in _EMBEDDINGS else ("weight", "bias"):
            table[f"{ours}.{kind}"] = f"{theirs}.{kind}"
    return table


def _derived(config: GetdiffConfig) -> dict[str, Tensor]:
    """Their tensors that follow from the sizes alone."""
    tables = {name: torch.from_numpy(table) for name, table in log_buffers(config.vocabulary.size + 1).items()}
    return {**tables, _PLACES: rotary(config.places, config.width // config.heads)}


def read(path: Path) -> dict[str, Tensor]:
    """Averaged weights of a published file, else its plain ones, by their names without prefix.

    Raises:
        WeightsError: not such a file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of another age: what cannot be read is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()
        raise WeightsError(
            f"{path} is not a checkpoint of tensors and plain values ({reason[0][:160] if reason else 'damaged'})"
        ) from None
    for part in ("ema", "model"):
        weights = content.get(part) if isinstance(content, Mapping) else None
        if isinstance(weights, Mapping) and weights:
            wrong = [key for key, value in weights.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
            if wrong:
                raise WeightsError(f"{path}: '{part}' holds {wrong[0]!r}, which is not a named tensor")
            return {key.removeprefix(_PREFIX): value for key, value in weights.items()}
    raise WeightsError(f"{path}: neither 'ema' nor 'model' holds weights; wanted a checkpoint of GETMusic")


def sizes(weights: Mapping[str, Tensor], dictionary: Dictionary) -> GetdiffConfig:
    """The sizes of a network with these weights.

    Raises:
        WeightsError: the tensors that tell them are not there, or the dictionary is another's.
    """
    first = f"{_BODY}encoder.layer.0.intermediate.dense.weight"
    missing = [key for key in (_WORDS, _PLACES, first) if key not in weights or weights[key].ndim != 2]
    if missing:
        raise WeightsError(f"no matrix '{missing[0]}' among {len(weights)} tensors; wanted a checkpoint of GETMusic")
    (lines, cell), (places, head), (ff, width) = (weights[key].shape for key in (_WORDS, _PLACES, first))
    if lines != dictionary.size + 2:
        raise WeightsError(
            f"the checkpoint knows {lines - 2} tokens, the dictionary has {dictionary.size}: take the dictionary that "
            "it was trained with"
        )
    if not head or width % head:
        raise WeightsError(f"layers are {width} wide and heads {head}: they do not fit")
    layers = {found[1] for key in weights if (found := _NUMBER.match(key))}
    return GetdiffConfig(
        vocabulary=TokenRanges.of(dictionary),
        cell=cell,
        width=width,
        layers=len(layers),
        heads=width // head,
        ff=ff,
        places=places,
    )


def ours_from(weights: Mapping[str, Tensor], config: GetdiffConfig) -> GETDiff:
    """The network with their weights, every one of which is used or checked.

    Raises:
        WeightsError: one is missing, too many, of another shape, or not what it must be.
    """
    table, derived = names(config.layers), _derived(config)
    wanted = {*table.values(), *derived, _HEAD}
    missing, unknown = sorted(wanted - set(weights)), sorted(set(weights) - wanted)
    if missing or unknown:
        raise WeightsError(f"not GETMusic's network: lacks {missing[:3]}, has also {unknown[:3]}")
    network = GETDiff(config)
    own = network.state_dict()
    for ours, theirs in table.items():
        if weights[theirs].shape != own[ours].shape:
            shapes = f"{tuple(weights[theirs].shape)}, wanted {tuple(own[ours].shape)}"
            raise WeightsError(f"'{theirs}' for '{ours}' has shape {shapes}")
    if weights[_WORDS][config.vocabulary.size].any():
        raise WeightsError("the vector of EMPTY is not zero, as it is in GETMusic: another network's weights")
    if not torch.equal(weights[_HEAD], weights[_WORDS]):
        raise WeightsError("the head is not the embedding, as it is in GETMusic: another network's weights")
    for name, values in derived.items():
        same = weights[name].shape == values.shape and torch.allclose(weights[name].float(), values, 1e-4, 1e-4)
        if not same:
            raise WeightsError(f"'{name}' is not the published table: trained for another diffusion")
    network.load_state_dict({ours: weights[theirs].float() for ours, theirs in table.items()})
    return network.eval()


def published_from(network: GETDiff) -> dict[str, Tensor]:
    """All tensors of a published checkpoint of `network`, by their names without prefix."""
    own = network.state_dict()
    made = {theirs: own[ours] for ours, theirs in names(network.config.layers).items()}
    return {**made, **_derived(network.config), _HEAD: own["tokens.weight"]}


def convert(source: Path, dictionary: Path, out: Path) -> tuple[GetdiffConfig, tuple[str, ...]]:
    """Read a published checkpoint and its dictionary, write ``out`` (``.safetensors``).

    Returns:
        The sizes, and the names of what was found.
    Raises:
        WeightsError: a file is not what it should be.
    """
    try:
        words = Dictionary.load(dictionary)
    except VocabularyError as error:
        raise WeightsError(f"{dictionary}: {error}") from None
    weights = read(source)
    config = sizes(weights, words)
    network = ours_from(weights, config)
    digest = sha256_of(source)
    notes: dict[str, Any] = {
        "source": f"GETMusic, {source.name} sha256 {digest}",
        "licence": "weights: none stated; code and dictionary: MIT",
        "lagged_chords": True,
        "key_shift": "down",
    }
    save(out, network, words, notes)
    return config, (f"network of {len(weights)} tensors",)
