"""Sizes of published language models, codecs and text encoders, read off their weights."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from export.errors import WeightsError
from training.models.encodec import EncodecConfig
from training.models.musicgen import MusicgenConfig
from training.models.t5 import T5Config

__all__ = ["codec_sizes", "lm_sizes", "text_sizes"]

_TABLES = re.compile(r"^(?:emb|decoder\.model\.decoder\.embed_tokens)\.(\d+)\.weight$")
_LAYERS = re.compile(r"^(?:transformer|decoder\.model\.decoder)\.layers\.(\d+)\.")
_TEXT = ("condition_provider.conditioners.description.output_proj.weight", "enc_to_dec_proj.weight")
_MELODY = ("condition_provider.conditioners.self_wav.output_proj.weight", "audio_enc_to_dec_proj.weight")
_CROSS = re.compile(r"\.(?:cross_attention|encoder_attn)\.")

_CODEC_CONV = re.compile(
    r"^(encoder|decoder)\.(?:layers|model)\.(\d+)\.(?:conv|convtr)\.(?:(?:conv|convtr)\.)?"
    r"(?:weight_v|weight|parametrizations\.weight\.original1)$"
)
_CODEC_LSTM = re.compile(r"^encoder\.(?:layers|model)\.\d+\.lstm\.weight_hh_l(\d+)$")
_BOOK = re.compile(r"^quantizer\.(?:vq\.)?layers\.(\d+)\.(?:_codebook|codebook)\.embed$")


def lm_sizes(weights: Mapping[str, Tensor]) -> MusicgenConfig:
    """Of a language model, either layout.

    Raises:
        WeightsError: the weights that tell them are not there, or no such model has them.
    """
    tables = {int(m[1]): value for name, value in weights.items() if (m := _TABLES.match(name))}
    layers = {int(m[1]) for name in weights if (m := _LAYERS.match(name))}
    if 0 not in tables or not layers or tables[0].ndim != 2:
        raise WeightsError(f"no embeddings and layers among {len(weights)} weights; wanted a MusicGen checkpoint")
    rows, width = tables[0].shape
    try:
        return MusicgenConfig(
            width=width,
            layers=max(layers) + 1,
            codebooks=max(tables) + 1,
            entries=rows - 1,
            text=_width(weights, _TEXT),
            chroma=_width(weights, _MELODY),
            cross=any(_CROSS.search(name) for name in weights),
        )
    except ValueError as error:
        raise WeightsError(f"a language model of these weights cannot be: {error}") from None


def _width(weights: Mapping[str, Tensor], names: tuple[str, ...]) -> int:
    """Inputs of a layer under either name; 0 without it."""
    return next((int(weights[name].shape[-1]) for name in names if name in weights), 0)


def codec_sizes(weights: Mapping[str, Tensor], published: Mapping[str, Any]) -> EncodecConfig:
    """Of a codec, either layout.

    Args:
        published: its configuration in Hugging Face's words; padding, causality and sample rate are taken from there.
    Raises:
        WeightsError: something is missing, or such a codec is not played here.
    """
    convs: dict[str, dict[int, Tensor]] = {"encoder": {}, "decoder": {}}
    for name, value in weights.items():
        if (found := _CODEC_CONV.match(name)) and value.ndim == 3:
            convs[found[1]][int(found[2])] = value
    books = {int(m[1]): value for name, value in weights.items() if (m := _BOOK.match(name))}
    lstm = {int(m[1]) for name in weights if (m := _CODEC_LSTM.match(name))}
    if len(convs["encoder"]) < 3 or 0 not in convs["encoder"] or 0 not in books or not lstm:
        raise WeightsError(f"no EnCodec among {len(weights)} weights; wanted the codec that MusicGen speaks")
    numbers = sorted(convs["encoder"])
    strides = [int(convs["encoder"][number].shape[2]) // 2 for number in numbers[1:-1]]
    rate, channels = published.get("sampling_rate"), published.get("audio_channels", 1)
    if type(rate) is not int or rate <= 0 or type(channels) is not int:
        raise WeightsError(f"the codec's configuration gives the sample rate {rate!r}; wanted a number of Hz")
    if published.get("norm_type", "weight_norm") != "weight_norm" or published.get("normalize"):
        raise WeightsError("the codec hears all of a sound at once (normalised over time): it cannot be streamed")
    padding = published.get("pad_mode", "reflect")
    if padding not in ("reflect", "constant", "zeros"):
        raise WeightsError(f"the codec pads with '{padding}'; reflect and constant are known")
    first = convs["encoder"][0]
    return EncodecConfig(
        sample_rate=rate,
        channels=channels,
        ratios=tuple(reversed(strides)),
        filters=int(first.shape[0]),
        width=int(books[0].shape[1]),
        lstm=max(lstm) + 1,
        codebooks=max(books) + 1,
        entries=int(books[0].shape[0]),
        causal=bool(published.get("use_causal_conv", False)),
        reflect=padding == "reflect",
        shortcut=any(".shortcut." in name for name in weights),
        trim_right=float(published.get("trim_right_ratio", 1.0)),
    )


def text_sizes(weights: Mapping[str, Tensor]) -> T5Config:
    """Of T5's encoder.

    Raises:
        WeightsError: the weights that tell them are not there.
    """
    table = weights.get("shared.weight", weights.get("encoder.embed_tokens.weight"))
    near = weights.get("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
    q = weights.get("encoder.block.0.layer.0.SelfAttention.q.weight")
    wi = weights.get("encoder.block.0.layer.1.DenseReluDense.wi.weight")
    if table is None or near is None or q is None or wi is None:
        raise WeightsError(f"no T5 encoder of the first kind among {len(weights)} weights; wanted t5-base")
    layers = {int(name.split(".")[2]) for name in weights if name.startswith("encoder.block.")}
    heads = int(near.shape[1])
    return T5Config(
        pieces=int(table.shape[0]),
        width=int(table.shape[1]),
        heads=heads,
        head=int(q.shape[0]) // heads,
        inner=int(wi.shape[0]),
        layers=len(layers),
    )
