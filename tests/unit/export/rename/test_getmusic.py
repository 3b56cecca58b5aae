"""A published GETMusic checkpoint is read whole or refused in words, and nothing in it is run."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.music.vocabulary import Dictionary
from export.__main__ import main
from export.errors import WeightsError
from export.rename.getmusic import convert, names, ours_from, published_from, read, sizes
from tests.tiny_getmusic import dictionary_text
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_files import load

DICTIONARY = Dictionary.read(dictionary_text())
TINY = GetdiffConfig(
    vocabulary=TokenRanges.of(DICTIONARY), cell=8, width=16, layers=2, heads=2, ff=24, places=64
)  # fmt: skip
BODY = "roformer.input_transformers."


def network() -> GETDiff:
    torch.manual_seed(3)
    made = GETDiff(TINY).eval()
    made.losses.uniform_()
    return made


def publish(path: Path, weights: dict[str, Tensor], part: str = "ema") -> Path:
    prefix = "rfm." if part == "model" else ""
    torch.save({"last_epoch": 1, part: {prefix + key: value for key, value in weights.items()}}, path)
    return path


def test_the_published_sizes_have_221_tensors() -> None:
    with torch.device("meta"):
        own = set(GETDiff(GetdiffConfig()).state_dict())
    table = names(12)
    assert set(table) == own
    assert len({*table.values()}) + 8 + 2 == 221  # tables of the diffusion; of the rotary embedding, and the head


def test_there_and_back_is_the_same_network() -> None:
    ours = network()
    back = ours_from(published_from(ours), TINY)
    for name, value in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
    assert sizes(published_from(ours), DICTIONARY) == TINY


@pytest.mark.parametrize("part", ["ema", "model"])
def test_the_command_makes_a_checkpoint_of_ours(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = network()
    file = publish(tmp_path / "theirs.pth", published_from(ours), part)
    (tmp_path / "dict.txt").write_text(DICTIONARY.text)
    monkeypatch.chdir(tmp_path)
    assert main(["import", "getmusic", str(file), "dict.txt"]) == 0
    loaded = load(tmp_path / "theirs.safetensors")
    assert torch.equal(loaded.network.state_dict()["layers.1.up.weight"], ours.state_dict()["layers.1.up.weight"])
    assert (loaded.notes["lagged_chords"], loaded.notes["key_shift"]) == (True, "down")
    assert "theirs.safetensors" in capsys.readouterr().out


def test_averaged_weights_are_preferred(tmp_path: Path) -> None:
    weights = published_from(network())
    plain = {f"rfm.{key}": value + 1 for key, value in weights.items()}
    torch.save({"model": plain, "ema": weights}, tmp_path / "a.pth")
    assert torch.equal(read(tmp_path / "a.pth")["log_at"], weights["log_at"])


def _change(name: str, by: Callable[[Tensor], Tensor]) -> Callable[[dict[str, Tensor]], None]:
    def change(weights: dict[str, Tensor]) -> None:
        weights[name] = by(weights[name])

    return change


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda w: w.pop("log_at"), r"lacks \['log_at'\]"),
        (lambda w: w.update(extra=torch.zeros(1)), r"has also \['extra'\]"),
        (_change(f"{BODY}embeddings.word_embeddings.weight", lambda x: x + 1), "EMPTY is not zero"),
        (_change(f"{BODY}lm_head.weight", lambda x: x * 2), "head is not the embedding"),
        (_change("log_cumprod_ct", lambda x: x * 1.01), "'log_cumprod_ct' is not the published table"),
        (_change(f"{BODY}encoder.embed_positions.weight", lambda x: x.flip(1)), "is not the published table"),
        (_change(f"{BODY}outputs_project.0.bias", lambda x: x[:-1]), "outputs_project.0.bias' .* has shape"),
        (_change(f"{BODY}embeddings.word_embeddings.weight", lambda x: x[:-1]), "take the dictionary"),
        (lambda w: w.pop(f"{BODY}embeddings.word_embeddings.weight"), "no matrix"),
    ],
)
def test_what_does_not_fit_is_refused(spoil: Callable[[dict[str, Tensor]], None], words: str, tmp_path: Path) -> None:
    weights = published_from(network())
    spoil(weights)
    (tmp_path / "dict.txt").write_text(DICTIONARY.text)
    with pytest.raises(WeightsError, match=words):
        convert(publish(tmp_path / "a.pth", weights), tmp_path / "dict.txt", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("sprung"),))


def test_nothing_in_the_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"ema": {"log_at": Trap()}}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"ema": Trap()}))
    (tmp_path / "c.pth").write_bytes(b"no file of the kind")
    (tmp_path / "d.pth").write_bytes(b"")
    torch.save([1, 2], tmp_path / "e.pth")
    torch.save({"ema": {"x": 3}}, tmp_path / "f.pth")
    for name in "abcdef":
        with pytest.raises(WeightsError, match=f"{name}.pth"):
            read(tmp_path / f"{name}.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_text_that_is_no_dictionary_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = publish(tmp_path / "a.pth", published_from(network()))
    (tmp_path / "dict.txt").write_text("no\tdictionary\n")
    assert main(["import", "getmusic", str(file), str(tmp_path / "dict.txt"), str(tmp_path / "o.safetensors")]) == 1
    assert "dict.txt" in capsys.readouterr().err
