"""Published folders are read in both layouts, and what is not such a folder is refused in one sentence."""

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from torch import Tensor

from export.errors import WeightsError
from export.rename.musicgen.files import convert
from tests.tiny_musicgen import TOKENIZER, tiny_parts
from training.models.encodec import Encodec
from training.models.musicgen import LM
from training.models.musicgen_files import load_musicgen
from training.models.t5 import T5Encoder

CONFIG = {"sample_rate": 32000, "channels": 1, "transformer_lm": {"n_q": 4, "card": 32}}
CODEC_CONFIG = {
    "sample_rate": 32000,
    "channels": 1,
    "seanet": {"pad_mode": "reflect", "causal": False, "norm": "weight_norm", "decoder": {"trim_right_ratio": 1.0}},
}


def lm_spelt(lm: LM) -> dict[str, Tensor]:
    """A language model's weights as the release names them."""
    rules = (
        (r"^embeddings\.", "emb."), (r"^blocks\.", "transformer.layers."), (r"^heads\.", "linears."),
        (r"\.up\.", ".linear1."), (r"\.down\.", ".linear2."),
        (r"\.attention\.qkv$", ".self_attn.in_proj_weight"), (r"\.attention\.out\.", ".self_attn.out_proj."),
        (r"\.cross\.qkv$", ".cross_attention.in_proj_weight"), (r"\.cross\.out\.", ".cross_attention.out_proj."),
        (r"^norm\.", "out_norm."), (r"^text\.", "condition_provider.conditioners.description.output_proj."),
        (r"^melody\.", "condition_provider.conditioners.self_wav.output_proj."),
    )  # fmt: skip
    made = {}
    for name, value in lm.state_dict().items():
        for pattern, theirs in rules:
            name = re.sub(pattern, theirs, name)
        made[name] = value.half()
    return made


def codec_spelt(codec: Encodec) -> dict[str, Tensor]:
    """A codec's weights as the release names them."""
    made: dict[str, Tensor] = {}
    for name, value in codec.state_dict().items():
        if name == "quantiser.books":
            for k, book in enumerate(value):
                made[f"quantizer.vq.layers.{k}._codebook.embed"] = book
                made[f"quantizer.vq.layers.{k}._codebook.inited"] = torch.ones(1)
            continue
        side, _, rest = name.partition(".")
        kind = "convtr" if side == "decoder" and rest.split(".")[0] in ("3", "6", "9", "12") else "conv"
        rest = rest.replace("conv.parametrizations.weight.original0", f"{kind}.{kind}.weight_g")
        rest = rest.replace("conv.parametrizations.weight.original1", f"{kind}.{kind}.weight_v")
        made[f"{side}.model.{rest.replace('conv.bias', f'{kind}.{kind}.bias')}"] = value
    return made


def text_spelt(text: T5Encoder) -> dict[str, Tensor]:
    """A text encoder's weights as Hugging Face names them."""
    rules = (
        (r"^embedding\.", "shared."),
        (r"^near\.", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias."),
        (r"^blocks\.(\d+)\.([qkvo])\.", r"encoder.block.\1.layer.0.SelfAttention.\2."),
        (r"^blocks\.(\d+)\.norm1\.", r"encoder.block.\1.layer.0.layer_norm."),
        (r"^blocks\.(\d+)\.norm2\.", r"encoder.block.\1.layer.1.layer_norm."),
        (r"^blocks\.(\d+)\.(w[io])\.", r"encoder.block.\1.layer.1.DenseReluDense.\2."),
        (r"^norm\.", "encoder.final_layer_norm."),
    )
    made = {}
    for name, value in text.state_dict().items():
        for pattern, theirs in rules:
            name = re.sub(pattern, theirs, name)
        made[name] = value
    return made


def release(folder: Path, kind: str = "plain", **changes: Any) -> Path:
    """A folder as the release's tools leave it; `changes` replace whole files' contents."""
    parts = tiny_parts(kind)
    assert parts.text is not None
    folder.mkdir(exist_ok=True)
    files: dict[str, Any] = {
        "state_dict.bin": {"best_state": lm_spelt(parts.lm), "xp.cfg": yaml.safe_dump(CONFIG), "version": "1.3"},
        "compression_state_dict.bin": {"best_state": codec_spelt(parts.codec), "xp.cfg": yaml.safe_dump(CODEC_CONFIG)},
    }
    for name, content in (files | {f"{key}.bin": value for key, value in changes.items()}).items():
        torch.save(content, folder / name)
    (folder / "t5-base").mkdir(exist_ok=True)
    safetensors.torch.save_file(text_spelt(parts.text), folder / "t5-base" / "model.safetensors")
    (folder / "t5-base" / "tokenizer.json").write_text(TOKENIZER)
    return folder


@pytest.mark.parametrize("kind", ["plain", "stereo", "melody"])
def test_the_releases_layout_becomes_ours(kind: str, tmp_path: Path) -> None:
    imported, told = convert(release(tmp_path / "a", kind), tmp_path / "ours.safetensors")
    ours, wanted = load_musicgen(tmp_path / "ours.safetensors"), tiny_parts(kind)
    assert ours.sizes.lm == wanted.sizes.lm
    assert ours.sizes.codec == wanted.sizes.codec
    assert ours.sizes.text == wanted.sizes.text
    for name, value in wanted.lm.state_dict().items():
        assert torch.equal(ours.lm.state_dict()[name], value.half().float()), name
    codes = torch.randint(0, 32, (1, 4, 9))
    with torch.no_grad():
        assert torch.equal(ours.codec.decode(codes), wanted.codec.decode(codes))
    assert ours.tokenizer == TOKENIZER
    assert ours.notes["delays"] == list(wanted.notes["delays"])
    assert "CC-BY-NC-4.0" in str(ours.notes["licence"])
    assert any("CC-BY-NC-4.0" in line for line in told)
    assert json.loads(imported.to_json())["lm"]["width"] == 128


@pytest.mark.parametrize(("padding", "reflect"), [("reflect", True), ("constant", False)])
def test_padding_is_read_and_not_guessed(padding: str, reflect: bool, tmp_path: Path) -> None:
    config = {**CODEC_CONFIG, "seanet": {**CODEC_CONFIG["seanet"], "pad_mode": padding}}  # type: ignore[dict-item]
    packed = {"best_state": codec_spelt(tiny_parts("plain").codec), "xp.cfg": yaml.safe_dump(config)}
    convert(release(tmp_path / "a", compression_state_dict=packed), tmp_path / "ours.safetensors")
    assert load_musicgen(tmp_path / "ours.safetensors").sizes.codec.reflect == reflect


def test_a_codec_that_is_only_pointed_to_is_taken_from_its_folder(tmp_path: Path) -> None:
    folder = release(tmp_path / "a", compression_state_dict={"pretrained": "facebook/encodec_32khz"})
    with pytest.raises(WeightsError, match=r"put its files into .*encodec_32khz and import again"):
        convert(folder, tmp_path / "ours.safetensors")
    inside = folder / "encodec_32khz"
    inside.mkdir()
    config = {"sampling_rate": 32000, "audio_channels": 1, "pad_mode": "reflect", "use_causal_conv": False}
    (inside / "config.json").write_text(json.dumps(config))
    safetensors.torch.save_file(codec_spelt(tiny_parts("plain").codec), inside / "model.safetensors")
    convert(folder, tmp_path / "ours.safetensors")
    assert load_musicgen(tmp_path / "ours.safetensors").sizes.codec == tiny_parts("plain").sizes.codec


def test_without_t5_there_are_no_words_and_one_is_told(tmp_path: Path) -> None:
    folder = release(tmp_path / "a")
    (folder / "t5-base" / "tokenizer.json").unlink()
    _, told = convert(folder, tmp_path / "ours.safetensors")
    assert load_musicgen(tmp_path / "ours.safetensors").text is None
    assert any("no words (no T5" in line for line in told)


def without(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(weights: dict[str, Tensor]) -> None:
        del weights[name]

    return change


def cut(name: str) -> Callable[[dict[str, Tensor]], None]:
    def change(weights: dict[str, Tensor]) -> None:
        weights[name] = weights[name][:-1]

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (without("emb.0.weight"), "no embeddings and layers"),
        (without("linears.2.weight"), "1 weights are missing"),
        (without("transformer.layers.1.norm1.bias"), "1 weights are missing"),
        (cut("linears.2.weight"), r"heads.2.weight' is \[31, 128\], wanted \[32, 128\]"),
        (cut("transformer.layers.0.linear1.weight"), r"is \[511, 128\], wanted \[512, 128\]"),
        (lambda w: w.update({"transformer.layers.0.odd": torch.zeros(1)}), "have no place"),
        (lambda w: w.update({"emb.0.weight": torch.zeros(33, 100)}), "multiple of 64"),
        (lambda w: w.update({"emb.4.weight": torch.zeros(33, 128)}), "codebooks"),
        (lambda w: w.update({"note": "text"}), "is not a named tensor"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    spoil: Callable[[dict[str, Any]], None], words: str, tmp_path: Path
) -> None:
    weights: dict[str, Any] = lm_spelt(tiny_parts("plain").lm)
    spoil(weights)
    package = {"best_state": weights, "xp.cfg": yaml.safe_dump(CONFIG)}
    refused(release(tmp_path / "a", state_dict=package), words)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**CODEC_CONFIG, "sample_rate": 44100}, "the language model is of 32000 Hz, the codec of 44100"),
        ({**CODEC_CONFIG, "sample_rate": "fast"}, "sample rate 'fast'"),
        ({**CODEC_CONFIG, "seanet": {"pad_mode": "mirror"}}, "pads with 'mirror'"),
        ({**CODEC_CONFIG, "seanet": {"norm": "time_group_norm"}}, "cannot be streamed"),
    ],
)
def test_a_codec_that_does_not_fit_is_refused(config: dict[str, Any], words: str, tmp_path: Path) -> None:
    packed = {"best_state": codec_spelt(tiny_parts("plain").codec), "xp.cfg": yaml.safe_dump(config)}
    refused(release(tmp_path / "a", compression_state_dict=packed), words)


def test_a_codec_of_other_codes_is_refused(tmp_path: Path) -> None:
    codec = Encodec(replace(tiny_parts("plain").sizes.codec, entries=16))
    packed = {"best_state": codec_spelt(codec), "xp.cfg": yaml.safe_dump(CODEC_CONFIG)}
    refused(release(tmp_path / "a", compression_state_dict=packed), "the codec has 4 of 16")


def refused(folder: Path, words: str) -> None:
    out = folder.parent / "ours.safetensors"
    with pytest.raises(WeightsError, match=words) as error:
        convert(folder, out)
    assert len(str(error.value).splitlines()) == 1
    assert not out.exists()


class Trap:
    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (Path("sprung"),))


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
@pytest.mark.parametrize("as_torch", [True, False])
def test_nothing_in_a_pickle_is_run(name: str, as_torch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = release(tmp_path / "a")
    if as_torch:
        torch.save({"best_state": {"x": Trap()}, "xp.cfg": "{}"}, folder / name)
    else:
        (folder / name).write_bytes(pickle.dumps({"best_state": Trap()}))
    refused(folder, "nothing else is read")
    assert not Path("sprung").exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 half a zip"])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    folder = release(tmp_path / "a")
    (folder / "state_dict.bin").write_bytes(content)
    refused(folder, "is not a checkpoint of tensors")


def test_folders_of_something_else_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "is no folder")
    (tmp_path / "a").mkdir()
    refused(tmp_path / "a", "holds neither state_dict.bin nor config.json")
    (tmp_path / "a" / "config.json").write_text("{}")
    refused(tmp_path / "a", "nothing of an audio_encoder")
    (tmp_path / "a" / "config.json").write_text('{"audio_encoder": {}}')
    refused(tmp_path / "a", "holds no model.safetensors")
    (tmp_path / "a" / "model.safetensors").write_bytes(b"junk")
    refused(tmp_path / "a", "not readable as a safetensors file")
    folder = release(tmp_path / "b")
    (folder / "compression_state_dict.bin").unlink()
    refused(folder, "compression_state_dict.bin is missing")
    torch.save({"best_state": {}, "xp.cfg": "{"}, folder / "state_dict.bin")
    refused(folder, "does not say how it was made")


def test_shards_that_are_not_all_there_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / "config.json").write_text('{"audio_encoder": {"sampling_rate": 32000}}')
    safetensors.torch.save_file({"x": torch.zeros(1)}, folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"x": "1", "y": "2"}}')
    refused(folder, "lacks 1 weights of its index")


def test_a_checkpoint_of_another_family_is_no_parts(tmp_path: Path) -> None:
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "a.safetensors", {"family": "musika"})
    with pytest.raises(ValueError, match="checkpoint of 'musika'"):
        load_musicgen(tmp_path / "a.safetensors")
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "b.safetensors", {"family": "musicgen"})
    with pytest.raises(ValueError, match="do not fit"):
        load_musicgen(tmp_path / "b.safetensors")
