"""Codec, language model and text encoder do what Hugging Face's do, with random weights, through our importer."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from export.errors import WeightsError
from export.rename import encodec as encodec_names
from export.rename import t5 as t5_names
from export.rename.musicgen.names import from_hugging_face, from_release, parts_of
from training.models.encodec import ENCODEC_24, ENCODEC_32, ENCODEC_48, Encodec
from training.models.musicgen import LM, KeyValues, MusicgenConfig, guided
from training.models.t5 import T5Config, T5Encoder

transformers: Any = pytest.importorskip("transformers")

CODECS = {
    "32": (ENCODEC_32, {"sampling_rate": 32000, "target_bandwidths": [1.2], "use_conv_shortcut": False}),
    "24": (ENCODEC_24, {"sampling_rate": 24000, "target_bandwidths": [1.8], "use_causal_conv": True}),
    "48": (
        ENCODEC_48,
        {"sampling_rate": 48000, "target_bandwidths": [3.6], "audio_channels": 2, "norm_type": "time_group_norm"},
    ),
}
LENGTHS = (20 * 640, 7 * 640 + 123, 2 * 640 + 5)


def _theirs(values: dict[str, Any], ratios: tuple[int, ...]) -> Any:
    sizes = {"num_filters": 8, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64}
    rest = {"upsampling_ratios": list(ratios), "use_causal_conv": False, "pad_mode": "reflect", **sizes, **values}
    codec = transformers.EncodecModel(transformers.EncodecConfig(**rest)).eval()
    for layer in codec.quantizer.layers:
        layer.codebook.embed.normal_()
    return codec


@pytest.mark.parametrize("name", CODECS)
def test_codec_encodes_and_decodes_the_same(name: str) -> None:
    torch.manual_seed(1)
    config, values = CODECS[name]
    theirs = _theirs(values, config.ratios)
    ours = Encodec(replace(config, filters=8, width=16, entries=64, codebooks=4)).eval()
    ours.load_state_dict(encodec_names.renamed(theirs.state_dict(), ours.state_dict()))
    for samples in LENGTHS:
        sound = 0.1 * torch.randn(2, config.channels, samples)
        with torch.no_grad():
            latents, wanted = ours.encoder(sound), theirs.encoder(sound)
            assert (latents - wanted).abs().max() < 1e-4 * wanted.std()
            codes = ours.encode(sound)
            assert torch.equal(codes, theirs.quantizer.encode(wanted, values["target_bandwidths"][0]).transpose(0, 1))
            heard = theirs.decoder(theirs.quantizer.decode(codes.transpose(0, 1)))
            assert (ours.decode(codes) - heard).abs().max() < 1e-4 * heard.std()


def test_the_release_spells_the_same_codec_otherwise() -> None:
    ours = Encodec(replace(ENCODEC_24, filters=2, width=8, entries=16, codebooks=2)).state_dict()
    spelt = {}
    for name, value in ours.items():
        if name == "quantiser.books":
            spelt |= {f"quantizer.vq.layers.{k}._codebook.embed": book for k, book in enumerate(value)}
            spelt |= {f"quantizer.vq.layers.{k}._codebook.inited": torch.ones(1) for k in range(len(value))}
            continue
        side, _, rest = name.partition(".")
        kind = "convtr" if side == "decoder" and rest.split(".")[0] in ("3", "6", "9", "12") else "conv"
        rest = rest.replace("conv.parametrizations.weight.original0", f"{kind}.{kind}.weight_g")
        rest = rest.replace("conv.parametrizations.weight.original1", f"{kind}.{kind}.weight_v")
        spelt[f"{side}.model.{rest.replace('conv.bias', f'{kind}.{kind}.bias')}"] = value
    back = encodec_names.renamed(spelt, ours)
    assert set(back) == set(ours)
    assert all(torch.equal(back[name], value) for name, value in ours.items())


def _musicgen() -> Any:
    torch.manual_seed(2)
    text = transformers.T5Config(vocab_size=100, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    codec = transformers.EncodecConfig(num_filters=4, hidden_size=8, codebook_size=64, codebook_dim=8)
    kinds = transformers.models.musicgen.configuration_musicgen
    decoder = kinds.MusicgenDecoderConfig(
        vocab_size=64,
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=2,
        ffn_dim=512,
        activation_function="gelu",
        pad_token_id=63,
        bos_token_id=63,
    )
    parts = {"text_encoder": text.to_dict(), "audio_encoder": codec.to_dict(), "decoder": decoder.to_dict()}
    model = transformers.MusicgenForConditionalGeneration(transformers.MusicgenConfig(**parts)).eval()
    for value in model.parameters():
        value.data.normal_(0.0, 0.05)
    return model


@pytest.fixture(scope="module")
def both() -> tuple[Any, LM]:
    theirs = _musicgen()
    ours = LM(MusicgenConfig(width=128, layers=3, entries=64, text=32)).eval()
    ours.load_state_dict(from_hugging_face(parts_of(theirs.state_dict())["lm"], ours.state_dict()))
    return theirs, ours


def _asked(theirs: Any, codes: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    out = theirs.decoder(input_ids=codes.flatten(0, 1), encoder_hidden_states=context).logits
    logits: torch.Tensor = out.reshape(*codes.shape, -1)
    return logits


def test_language_model_gives_the_same_logits(both: tuple[Any, LM]) -> None:
    theirs, ours = both
    codes, text = torch.randint(0, 65, (2, 4, 20)), torch.randn(2, 7, 32)
    with torch.no_grad():
        context = ours.condition(text)
        assert context is not None
        wanted = _asked(theirs, codes, context)
        assert (ours(codes, context) - wanted).abs().max() < 1e-3 * wanted.std()
        cache = KeyValues()
        made = [ours(codes[:, :, at : at + 1], context if at == 0 else None, cache) for at in range(20)]
        assert (torch.cat(made, dim=2) - wanted).abs().max() < 1e-3 * wanted.std()


def test_greedy_codes_are_the_same_for_two_hundred_steps_guided(both: tuple[Any, LM]) -> None:
    theirs, ours = both
    told = ours.condition(torch.randn(1, 7, 32))
    assert told is not None
    context = torch.cat([told, torch.zeros_like(told)])
    codes, cache = torch.full((1, 4, 1), 64), KeyValues()
    with torch.no_grad():
        for step in range(200):
            logits = ours(codes[:, :, -1:].repeat(2, 1, 1), context if step == 0 else None, cache)
            codes = torch.cat([codes, guided(logits, 3.0).argmax(dim=3)], dim=2)
        whole = guided(_asked(theirs, codes[:, :, :-1].repeat(2, 1, 1), context), 3.0).argmax(dim=3)
    assert torch.equal(whole, codes[:, :, 1:])


def test_both_layouts_of_the_language_model_name_the_same_weights(both: tuple[Any, LM]) -> None:
    ours = both[1].state_dict()
    spelt = {}
    for name, value in ours.items():
        name = name.replace("embeddings.", "emb.").replace("blocks.", "transformer.layers.")
        name = name.replace("heads.", "linears.").replace(".up.", ".linear1.").replace(".down.", ".linear2.")
        name = name.replace(".attention.qkv", ".self_attn.in_proj_weight").replace(".attention.", ".self_attn.")
        name = name.replace(".cross.qkv", ".cross_attention.in_proj_weight").replace(".cross.", ".cross_attention.")
        name = name.replace(".out.weight", ".out_proj.weight")
        if name.startswith(("text.", "norm.")):
            name = name.replace("text.", "condition_provider.conditioners.description.output_proj.")
            name = name.replace("norm.", "out_norm.")
        spelt[name] = value
    back = from_release(spelt, ours)
    assert all(torch.equal(back[name], value) for name, value in ours.items())
    with pytest.raises(WeightsError, match="1 weights are missing"):
        from_release({name: value for name, value in spelt.items() if name != "emb.0.weight"}, ours)
    with pytest.raises(WeightsError, match="have no place"):
        from_release({**spelt, "stranger": torch.zeros(1)}, ours)


def test_text_encoder_gives_the_same(both: tuple[Any, LM]) -> None:
    theirs = both[0].text_encoder
    ours = T5Encoder(T5Config(pieces=100, width=32, heads=4, head=8, inner=64, layers=2)).eval()
    ours.load_state_dict(t5_names.renamed(theirs.state_dict(), ours.state_dict()))
    pieces, mask = torch.randint(0, 100, (2, 150)), torch.ones(2, 150)
    mask[1, 90:] = 0
    with torch.no_grad():
        wanted = theirs(input_ids=pieces, attention_mask=mask).last_hidden_state
        got = ours(pieces, mask)
    assert (got - wanted)[mask.bool()].abs().max() < 1e-4 * wanted.std()
