"""Checkpoints of language models: one reader and writer, whoever made the file."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from tests.tiny_musicgen import tiny_parts
from training.models.musicgen_files import load_musicgen, save_musicgen, save_weights


def _weights(kind: str) -> dict[str, dict[str, torch.Tensor]]:
    made = tiny_parts(kind)
    parts = {"codec": made.codec, "lm": made.lm, "text": made.text}
    return {name: part.state_dict() for name, part in parts.items() if part is not None}


@pytest.mark.parametrize("kind", ["plain", "conducted", "wordless"])
def test_parts_come_back_as_they_were_written(kind: str, tmp_path: Path) -> None:
    made = tiny_parts(kind)
    save_musicgen(tmp_path / "a.safetensors", made)
    back = load_musicgen(tmp_path / "a.safetensors")
    assert (back.sizes, back.tokenizer, back.notes) == (made.sizes, made.tokenizer, made.notes)
    assert back.lm.state_dict().keys() == made.lm.state_dict().keys()
    assert all(torch.equal(value, made.lm.state_dict()[key]) for key, value in back.lm.state_dict().items())
    assert not back.lm.training
    assert all(not parameter.is_meta for parameter in [*back.lm.parameters(), *back.lm.buffers()])


def test_weights_alone_make_the_same_file(tmp_path: Path) -> None:
    made = tiny_parts("plain")
    save_musicgen(tmp_path / "a.safetensors", made)
    save_weights(tmp_path / "b.safetensors", made.sizes, _weights("plain"), made.tokenizer, made.notes)
    one, two = (safetensors.safe_open(tmp_path / f"{name}.safetensors", "pt") for name in "ab")
    with one, two:
        assert one.metadata() == two.metadata()
        assert sorted(one.keys()) == sorted(two.keys())
        assert all(torch.equal(one.get_tensor(key), two.get_tensor(key)) for key in two.keys())  # noqa: SIM118


@pytest.mark.parametrize("kind", ["plain", "wordless"])
def test_files_of_before_are_read(kind: str, tmp_path: Path) -> None:
    """As training and imports wrote them: the same keys; without a text encoder the tokenizer was empty."""
    made, weights = tiny_parts(kind), _weights(kind)
    configs = {"codec": asdict(made.codec.config), "lm": asdict(made.lm.config)}
    configs |= {} if made.text is None else {"text": asdict(made.text.config)}
    tensors = {f"{name}.{key}": value.contiguous() for name, part in weights.items() for key, value in part.items()}
    about = {"family": "musicgen", "configs": json.dumps(configs), "notes": json.dumps(made.notes)}
    about |= {"tokenizer": made.tokenizer}
    safetensors.torch.save_file(tensors, tmp_path / "old.safetensors", about)
    assert load_musicgen(tmp_path / "old.safetensors").sizes == made.sizes
    with safetensors.safe_open(tmp_path / "old.safetensors", "pt") as file:
        old = file.metadata()
    save_musicgen(tmp_path / "new.safetensors", made)
    with safetensors.safe_open(tmp_path / "new.safetensors", "pt") as file:
        assert file.metadata().keys() == old.keys()


def test_a_model_without_words_says_so(tmp_path: Path) -> None:
    made = tiny_parts("wordless")
    with pytest.raises(ValueError, match="no text encoder"):
        _ = made.text_encoder
    with pytest.raises(ValueError, match="not a tokenizer of whole words"):
        _ = made.vocabulary
