"""Keras files of Musika: read as they are, refused when they are not what they seem."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from export.__main__ import main
from export.errors import WeightsError
from export.rename.musika import POSITIONS_22, POSITIONS_44, convert, names_44, read
from training.models.musika import NETWORKS, MusikaConfig, build, load

FILE = {"encoder": "enc", "encoder2": "enc2", "decoder2": "dec2", "decoder": "dec", "critic": "critic"}
TOY = MusikaConfig(
    hop=8,
    level1=8,
    latent=8,
    condition=1,
    critic_condition=1,
    encoder=(16, 16, 16, 16, 16),
    encoder2=(16, 16, 16, 16, 16, 16, 16),
    decoder2=(20, 16, 16, 12, 12, 8, 8),
    decoder=(24, 20, 16, 12),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24),
)
TOY_22 = MusikaConfig(
    variant="m22",
    sample_rate=22050,
    hop=8,
    level1=8,
    latent=8,
    condition=1,
    critic_condition=1,
    encoder=(16, 20, 24, 28, 32),
    encoder2=(16, 16, 16, 16, 16, 16),
    decoder2=(20, 16, 16, 12, 12),
    decoder=(24, 20, 16, 12, 28),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24, 28),
)
Layer = tuple[str, dict[str, np.ndarray]]


def _theirs(config: MusikaConfig, name: str, network: nn.Module) -> list[Layer]:
    """Our weights as layers of a Keras file, under automatic names with arbitrary numbers, or fixed ones."""
    named = config.variant == "m44" and name in ("generator", "critic")
    table = names_44(name, config.seq_len == 64)
    plan = (POSITIONS_22 if config.variant == "m22" else POSITIONS_44).get(name, [])
    words = {"conv": "conv2d", "noise": "add_noise", "norm": "batch_normalization"}
    rows = list(table.items()) if named else [(f"{words[k]}_{37 + i}", (o, k)) for i, (o, k) in enumerate(plan)]
    layers: list[Layer] = []
    for label, (ours, kind) in rows:
        state = {key: value.numpy() for key, value in network.state_dict().items()}
        if "&" in ours:
            parts = [ours.replace("magnitude&phase", half) for half in ("magnitude", "phase")]
            for leaf in ("weight", "bias"):
                state[f"{ours}.{leaf}"] = np.concatenate([state[f"{part}.{leaf}"] for part in parts])
        own = {leaf: state[f"{ours}.{leaf}"] for leaf in _LEAVES[kind] if f"{ours}.{leaf}" in state}
        up = kind == "conv" and "&" not in ours and isinstance(network.get_submodule(ours), nn.ConvTranspose1d)
        layers.append((label.replace("conv2d", "conv2d_transpose") if up else label, _keras(own, kind)))
    return layers


_LEAVES = {
    "conv": ("weight", "bias"),
    "noise": ("gain",),
    "norm": ("weight", "bias", "running_mean", "running_var"),
}
_KERAS = {
    "conv": {"weight": "kernel", "bias": "bias"},
    "noise": {"gain": "noise_weight"},
    "norm": {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"},
}


def _keras(own: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    made = {}
    for leaf, values in own.items():
        name = _KERAS[kind][leaf]
        turned = values.T if values.ndim == 2 else values.transpose(2, 1, 0)[None] if values.ndim == 3 else values
        made[name] = turned
    return made


def _write(path: Path, layers: Sequence[Layer], split: bool = False, extra: bool = False) -> None:
    """A file as Keras writes it: weightless layers in between, groups in alphabetical order."""
    everything: list[Layer] = [("input_1", {})]
    for index, layer in enumerate(layers):
        everything += [layer, (f"tf.nn.silu_{index}", {})]
    with h5py.File(path, "w") as file:
        names = [name.encode() for name, _ in everything]
        if split:
            file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:3], names[3:]
        else:
            file.attrs["layer_names"] = names
        if extra:
            file.create_group("top_level_model_weights").attrs["weight_names"] = np.zeros(0)
        for name, weights in sorted(everything):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{w}:0".encode() for w in weights] if weights else np.zeros(0)
            for weight, values in weights.items():
                group[f"{name}/{weight}:0"] = values


def _folder(path: Path, config: MusikaConfig, names: Sequence[str] = NETWORKS) -> dict[str, nn.Module]:
    torch.manual_seed(5)
    networks = {name: build(config, name).eval() for name in names}
    for name, network in networks.items():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.randn_like(value))
        _write(path / f"{FILE.get(name, 'gen_ema')}.h5", _theirs(config, name, network))
    return networks


@pytest.mark.parametrize("config", [TOY, TOY_22], ids=lambda config: config.variant)
def test_all_files_come_over_whole(config: MusikaConfig, tmp_path: Path) -> None:
    wanted = _folder(tmp_path, config)
    found, names = convert(tmp_path, tmp_path / "ours.safetensors")
    assert (found, names) == (config, NETWORKS)
    _, networks, notes = load(tmp_path / "ours.safetensors")
    for name, network in wanted.items():
        ours = networks[name].state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())
    assert "gen_ema.h5 sha256" in notes["source"]


def test_small_generator_is_recognised(tmp_path: Path) -> None:
    small = MusikaConfig(**{**vars(TOY), "seq_len": 64})
    _folder(tmp_path, small, ("generator", "critic"))
    assert convert(tmp_path, tmp_path / "ours.safetensors")[0].seq_len == 64


def test_long_lists_of_layers_come_in_parts_and_extra_groups_are_ignored(tmp_path: Path) -> None:
    layers = _theirs(TOY, "encoder", build(TOY, "encoder"))
    _write(tmp_path / "one.h5", layers)
    _write(tmp_path / "two.h5", layers, split=True, extra=True)
    assert [name for name, _ in read(tmp_path / "one.h5")] == [name for name, _ in read(tmp_path / "two.h5")]


def _pointer(path: Path) -> None:
    (path / "enc.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _text(path: Path) -> None:
    (path / "enc.h5").write_text("hello")


def _change(name: str, edit: Callable[[list[Layer]], list[Layer]]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        layers = _theirs(TOY, name, build(TOY, name).eval())
        _write(path / f"{FILE.get(name, 'gen_ema')}.h5", edit(layers))

    return spoil


def _short(layers: list[Layer]) -> list[Layer]:
    name, weights = layers[1]
    return [layers[0], (name, {**weights, "bias": weights["bias"][:-1]}), *layers[2:]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: None, "none of enc.h5"),
        (_pointer, "Git LFS pointer"),
        (_text, "not an HDF5 file"),
        (_change("encoder", lambda layers: layers[:-1]), "5 layers with weights"),
        (_change("encoder", _short), "has shape"),
        (_change("decoder", lambda layers: [layers[1], layers[0], *layers[2:]]), "has a 'noise_weight'"),
        (_change("decoder2", lambda layers: [layers[2], layers[1], layers[0], *layers[3:]]), "has shape"),
        (_change("encoder", lambda layers: [(n, {"kernel": w["kernel"]}) for n, w in layers]), "nothing for"),
        (_change("generator", lambda layers: layers[:-4] + layers[-3:]), r"lacks \['8c'\]"),
        (_change("generator", lambda layers: [*layers, ("zz", layers[0][1])]), r"has also \['zz'\]"),
    ],
)
def test_wrong_files_are_refused_with_one_clear_message(
    spoil: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    spoil(tmp_path)
    with pytest.raises(WeightsError, match=message):
        convert(tmp_path, tmp_path / "ours.safetensors")
    assert not (tmp_path / "ours.safetensors").exists()


def test_two_variants_are_not_mixed(tmp_path: Path) -> None:
    _folder(tmp_path, TOY, ("encoder",))
    _folder(tmp_path, TOY_22, ("decoder",))
    with pytest.raises(WeightsError, match="mixed"):
        convert(tmp_path, tmp_path / "ours.safetensors")


def test_commands_import_then_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _folder(tmp_path, TOY, ("decoder2", "decoder"))
    assert main(["import", "musika", str(tmp_path), str(tmp_path / "a.safetensors")]) == 0
    assert main(["export", "musika", str(tmp_path / "a.safetensors"), str(tmp_path / "bundle"), "--fp16"]) == 0
    out = capsys.readouterr().out
    assert "decoder2, decoder" in out
    assert "largest difference from torch" in out
    assert (tmp_path / "bundle" / "decoder.onnx").is_file()


def test_commands_fail_with_a_message_and_a_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "musika", str(tmp_path), str(tmp_path / "a.safetensors")]) == 1
    assert main(["export", "musika", str(tmp_path / "a.safetensors"), str(tmp_path / "b")]) == 1
    assert main([]) == 2
    assert "none of enc.h5" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["import", "musika", str(tmp_path), str(tmp_path / "a.onnx")])
    assert stop.value.code == 2


def test_sources_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources"]) == 0
    assert "musika-techno" in capsys.readouterr().out
