"""Published MusicGen checkpoints, as folders, to one file of ours (see `training.models.musicgen_files`).

Two layouts are read. The release's: ``state_dict.bin`` and ``compression_state_dict.bin``, the second perhaps only a
pointer to a published codec, which then lies in a folder of that name inside; T5 in a folder ``t5-base`` or ``t5``
inside, since the release does not hold it. Hugging Face's: ``config.json`` and safetensors, text encoder included.
Sizes are read off the weights; what weights cannot tell (padding, causality, sample rate) off the configuration.

Pickles are read as tensors and plain values only: nothing in them is run.
"""

import hashlib
import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor

from engine.music.codes import MONO_DELAYS, STEREO_DELAYS
from export.errors import WeightsError
from export.rename import encodec as encodec_names
from export.rename import t5 as t5_names
from export.rename.musicgen import names as lm_names
from export.rename.musicgen.sizes import codec_sizes, lm_sizes, text_sizes
from training.models.codecs import build_codec
from training.models.musicgen import LM
from training.models.musicgen_files import Sizes, save_weights
from training.models.t5 import T5Encoder

__all__ = ["LICENCE", "Imported", "convert"]

Weights = dict[str, Tensor]

LICENCE: Final = "CC-BY-NC-4.0: not for commercial use, nor is sound made with it"
"""Of the published weights."""

_LM, _CODEC = "state_dict.bin", "compression_state_dict.bin"
_T5: Final = ("t5-base", "t5")
_WINDOW_S: Final = 30.0  # that the published models have learned to hear at once
_KEPT_S: Final = 12.0  # of which a next window begins with, as the release does


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found."""

    sizes: Sizes
    notes: Mapping[str, Any]

    def to_json(self) -> str:
        """Sizes and notes in one line."""
        return json.dumps({**self.sizes.as_dict(), "notes": dict(self.notes)}, sort_keys=True)


@dataclass(slots=True)
class _Found:
    """Weights by part under their own names, and what the configuration says."""

    lm: Weights
    codec: Weights
    text: Weights
    codec_config: Mapping[str, Any]
    sample_rate: int
    hugging_face: bool
    tokenizer: str = ""


def convert(source: Path, out: Path) -> tuple[Imported, tuple[str, ...]]:
    """Read a published checkpoint, write ``out`` (``.safetensors``).

    Returns:
        What was found, and lines about it for people.
    Raises:
        WeightsError: a file is missing, or not what it should be.
    """
    if not source.is_dir():
        raise WeightsError(f"{source} is no folder; give the folder that holds the files of one model")
    found = _release(source) if (source / _LM).exists() else _hugging_face(source)
    sizes = Sizes(
        codec_sizes(found.codec, found.codec_config),
        lm_sizes(found.lm),
        text_sizes(found.text) if found.text and found.tokenizer else None,
    )
    streams = _streams(sizes, found.sample_rate)
    weights = _renamed(found, sizes)
    frame_rate = sizes.codec.frame_rate
    notes = {
        "source": f"MusicGen, {source.name}, sha256 {_digest(weights['lm'])}",
        "licence": LICENCE,
        "delays": list(MONO_DELAYS if streams == 1 else STEREO_DELAYS),
        "streams": streams,
        "frames": round(_WINDOW_S * frame_rate),
        "keep": round(_KEPT_S * frame_rate),
        "guidance": 3.0,
        "text_length": 0,
    }
    save_weights(out, sizes, weights, found.tokenizer if sizes.text is not None else "", notes)
    words = "words" if sizes.text is not None else f"no words (no T5 with its tokenizer.json in {' or '.join(_T5)})"
    lines = (f"language model {sizes.lm.width} wide, {sizes.lm.layers} layers", words, f"licence {LICENCE}")
    return Imported(sizes, notes), lines


def _renamed(found: _Found, sizes: Sizes) -> dict[str, Mapping[str, Tensor]]:
    """All weights under our names, every one of them used."""
    with torch.device("meta"):  # only names and shapes are wanted
        lm, codec = LM(sizes.lm).state_dict(), build_codec(sizes.codec).state_dict()
        text = None if sizes.text is None else T5Encoder(sizes.text).state_dict()
    named = lm_names.from_hugging_face if found.hugging_face else lm_names.from_release
    made: dict[str, Mapping[str, Tensor]] = {
        "lm": named(found.lm, lm),
        "codec": encodec_names.renamed(found.codec, codec),
    }
    if text is not None:
        made["text"] = t5_names.renamed(found.text, text)
    return made


def _streams(sizes: Sizes, sample_rate: int) -> int:
    """Codec streams that the language model speaks: 1, or 2 for stereo."""
    if sizes.codec.sample_rate != sample_rate:
        raise WeightsError(
            f"the language model is of {sample_rate} Hz, the codec of {sizes.codec.sample_rate}: take the codec that "
            "it was trained with"
        )
    streams, over = divmod(sizes.lm.codebooks, sizes.codec.codebooks)
    if over or streams not in (1, 2) or sizes.lm.entries != sizes.codec.entries:
        raise WeightsError(
            f"the language model says {sizes.lm.codebooks} codebooks of {sizes.lm.entries} codes, the codec has "
            f"{sizes.codec.codebooks} of {sizes.codec.entries}: take the codec that it was trained with"
        )
    if sizes.lm.codebooks not in (len(MONO_DELAYS), len(STEREO_DELAYS)):
        raise WeightsError(f"{sizes.lm.codebooks} codebooks are there, published models have 4, or 8 in stereo")
    return streams


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].detach().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _release(folder: Path) -> _Found:
    package = _pickled(folder / _LM)
    settings = _settings(package, folder / _LM)
    lm = _state(package, folder / _LM)
    packed = _pickled(folder / _CODEC)
    pointer = packed.get("pretrained")
    if pointer is not None:
        inside = folder / str(pointer).rsplit("/", 1)[-1]
        if not (inside / "config.json").exists():
            raise WeightsError(
                f"{folder / _CODEC} points to the codec '{pointer}': put its files into {inside} and import again"
            )
        config = _json(inside / "config.json")
        codec = _tensors(inside)
    else:
        about = _settings(packed, folder / _CODEC)
        codec, config = _state(packed, folder / _CODEC), _as_hugging_face(about)
    text, tokenizer = _t5(folder)
    rate = settings.get("sample_rate")
    if type(rate) is not int:
        raise WeightsError(f"{folder / _LM} does not state its sample rate; fetch the file again")
    return _Found(lm, codec, text, config, rate, False, tokenizer)


def _as_hugging_face(about: Mapping[str, Any]) -> dict[str, Any]:
    """The release's configuration of a codec in Hugging Face's words."""
    net = about.get("seanet")
    net = net if isinstance(net, Mapping) else {}
    decoder = net.get("decoder")
    trim = decoder.get("trim_right_ratio") if isinstance(decoder, Mapping) else None
    made = {
        "sampling_rate": about.get("sample_rate"),
        "audio_channels": about.get("channels"),
        "use_causal_conv": net.get("causal"),
        "pad_mode": net.get("pad_mode"),
        "norm_type": net.get("norm"),
        "trim_right_ratio": trim,
    }
    return {name: value for name, value in made.items() if value is not None}


def _hugging_face(folder: Path) -> _Found:
    if not (folder / "config.json").exists():
        raise WeightsError(
            f"{folder} holds neither {_LM} nor config.json; give the folder with the files of one published model"
        )
    config = _json(folder / "config.json")
    audio = config.get("audio_encoder")
    if not isinstance(audio, Mapping):
        raise WeightsError(f"{folder / 'config.json'} says nothing of an audio_encoder; is this a MusicGen?")
    parts = lm_names.parts_of(_tensors(folder))
    path = folder / "tokenizer.json"
    tokenizer = path.read_text("utf-8") if path.exists() else ""
    rate = config.get("sampling_rate", audio.get("sampling_rate"))
    rate = rate if isinstance(rate, int) else 0
    return _Found(parts["lm"], parts["audio_encoder"], parts["text_encoder"], audio, rate, True, tokenizer)


def _t5(folder: Path) -> tuple[Weights, str]:
    """T5's weights and tokenizer, where they have been put beside the release's files; else nothing."""
    for name in _T5:
        inside = folder / name
        if (inside / "tokenizer.json").exists():
            return _tensors(inside), (inside / "tokenizer.json").read_text("utf-8")
    return {}, ""


def _tensors(folder: Path) -> Weights:
    """The weights in a folder of Hugging Face's, whatever number of files they are in."""
    files = sorted(folder.glob("model*.safetensors"))
    made: Weights = {}
    for file in files:
        try:
            made |= safetensors.torch.load_file(file)
        except (OSError, safetensors.SafetensorError) as error:
            raise WeightsError(f"{file} is not readable as a safetensors file ({error})") from None
    index = folder / "model.safetensors.index.json"
    if index.exists():
        missing = sorted(set(_json(index).get("weight_map", {})) - set(made))
        if missing:
            raise WeightsError(f"{folder} lacks {len(missing)} weights of its index ({missing[0]}); fetch all files")
    if not files:
        if not (folder / "pytorch_model.bin").exists():
            raise WeightsError(f"{folder} holds no model.safetensors; fetch it from the model's page")
        return _named_tensors(_pickled(folder / "pytorch_model.bin"), folder / "pytorch_model.bin")
    return made


def _pickled(path: Path) -> dict[str, Any]:
    """A pickle of tensors and plain values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickles of another age: what cannot be read is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; put all files of the model into one folder") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()
        raise WeightsError(
            f"{path} is not a checkpoint of tensors and plain values, and nothing else is read "
            f"({reason[0][:120] if reason else 'damaged'})"
        ) from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise WeightsError(f"{path} holds no table of names; is this a published checkpoint?")
    return content


def _state(package: Mapping[str, Any], path: Path) -> Weights:
    state = package.get("best_state")
    if not isinstance(state, Mapping):
        raise WeightsError(f"{path} has no 'best_state'; wanted a file of the release")
    return _named_tensors(state, path)


def _named_tensors(state: Mapping[str, Any], path: Path) -> Weights:
    wrong = [key for key, value in state.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if wrong:
        raise WeightsError(f"{path} holds {str(wrong[0])[:60]!r}, which is not a named tensor")
    return dict(state)


def _settings(package: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The configuration inside a file of the release."""
    text = package.get("xp.cfg")
    try:
        settings = yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError:
        settings = None
    if not isinstance(settings, Mapping):
        raise WeightsError(f"{path} does not say how it was made ('xp.cfg'); fetch the file again")
    return settings


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is not readable as JSON ({error})") from None
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is not a configuration; fetch the file again")
    return content
