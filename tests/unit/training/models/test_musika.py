"""Networks of Musika: published sizes, padding, noise, coordinates, files."""

from pathlib import Path

import pytest
import torch
from torch import nn

from training.models.layers import AdaIN, Noise, SameConv, init_he, pixel_shuffle, same_padding, time_major
from training.models.musika import (
    M22,
    M44,
    M44_SMALL,
    NETWORKS,
    MusikaConfig,
    build,
    interpolate,
    load,
    patch_positions,
    save,
    training_coordinates,
)
from training.models.musika22 import Reconstructor

TOY = MusikaConfig(
    hop=8,
    level1=8,
    latent=8,
    encoder=(16, 16),
    encoder2=(16, 16, 16, 16, 16, 16, 16),
    decoder2=(16, 16, 16, 16, 16, 16, 16),
    decoder=(16, 16, 16, 16),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24),
)
TOY_22 = MusikaConfig(
    variant="m22",
    hop=8,
    level1=8,
    latent=8,
    condition=1,
    critic_condition=1,
    encoder=(16, 16),
    encoder2=(16, 16, 16, 16, 16, 16),
    decoder2=(16, 16, 16, 16, 16),
    decoder=(16, 16, 16, 16, 24),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24, 28),
)

PUBLISHED = [
    (M44, "encoder", 4_790_336),
    (M44, "encoder2", 3_984_960),
    (M44, "decoder2", 6_639_303),
    (M44, "decoder", 12_673_291),
    (M44, "generator", 15_499_530),
    (M44, "critic", 20_786_689),
    (M44_SMALL, "generator", 12_009_738),
    (M44_SMALL, "critic", 16_770_817),
    (M22, "encoder", 2_066_880),
    (M22, "encoder2", 4_539_968),
    (M22, "decoder2", 6_683_781),
    (M22, "decoder", 7_409_226),
    (M22, "generator", 14_059_018),
    (M22, "critic", 15_854_849),
]


def _size(network: nn.Module) -> int:
    return sum(value.numel() for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked"))


def _noise(network: nn.Module) -> int:
    lengths = network.noise_lengths
    assert isinstance(lengths, tuple)
    return sum(lengths)


@pytest.mark.parametrize(("config", "name", "count"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(config: MusikaConfig, name: str, count: int) -> None:
    with torch.device("meta"):
        network = build(config, name)
    assert _size(network) == count


def test_only_the_mixing_of_the_paper_critic_is_frozen() -> None:
    with torch.device("meta"):
        frozen = [p.numel() for p in build(M22, "critic").parameters() if not p.requires_grad]
    assert frozen == [32_768]


@pytest.mark.parametrize(
    ("config", "name", "shape", "wanted"),
    [
        (TOY, "encoder", (2, 17, 5), [(2, 8, 5)]),
        (TOY, "encoder2", (2, 8, 16), [(2, 8, 1)]),
        (TOY, "decoder2", (2, 8, 4), [(2, 8, 64)]),
        (TOY, "decoder", (2, 8, 64), [(2, 17, 64), (2, 17, 64)]),
        (TOY, "generator", (2, 16, 128), [(2, 16, 128)]),
        (TOY, "critic", (2, 16, 256), [(2, 1)]),
        (TOY_22, "encoder", (2, 17, 5), [(2, 8, 5)]),
        (TOY_22, "encoder2", (2, 8, 8), [(2, 8, 1)]),
        (TOY_22, "decoder2", (2, 8, 8), [(2, 8, 64)]),
        (TOY_22, "decoder", (2, 8, 64), [(2, 17, 64), (2, 17, 64)]),
        (TOY_22, "generator", (2, 17, 128), [(2, 16, 128)]),
        (TOY_22, "critic", (2, 17, 256), [(2, 1), (2, 28, 4)]),
    ],
)
def test_shapes(config: MusikaConfig, name: str, shape: tuple[int, ...], wanted: list[tuple[int, ...]]) -> None:
    got = build(config, name).eval()(torch.randn(shape))
    assert [tuple(out.shape) for out in ([got] if isinstance(got, torch.Tensor) else got)] == wanted


def test_reconstructor_brings_features_back_to_latents() -> None:
    out = Reconstructor(28, (24, 20, 16, 12, 8, 8), 16)(torch.randn(2, 28, 4))
    assert out.shape == (2, 16, 256)
    assert out.abs().max() <= 1


def test_same_padding_puts_the_odd_zero_right() -> None:
    assert [same_padding(k, s) for k, s in ((1, 1), (3, 1), (3, 2), (4, 1), (4, 2))] == [
        (0, 0),
        (1, 1),
        (0, 1),
        (1, 2),
        (1, 1),
    ]


def test_strided_convolution_starts_at_the_first_sample() -> None:
    layer = SameConv(1, 1, 3, 2, bias=False)
    nn.init.zeros_(layer.conv.weight)
    layer.conv.weight.data[0, 0, 0] = 1.0
    assert layer(torch.arange(8.0).reshape(1, 1, 8)).flatten().tolist() == [0.0, 2.0, 4.0, 6.0]


def test_pixel_shuffle_interleaves_neighbouring_channels() -> None:
    x = torch.tensor([[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0], [30.0, 31.0]]])
    assert pixel_shuffle(x).tolist() == [[[0.0, 10.0, 1.0, 11.0], [20.0, 30.0, 21.0, 31.0]]]


def test_flattening_runs_through_channels_first() -> None:
    assert time_major(torch.tensor([[[0.0, 1.0], [10.0, 11.0]]])).tolist() == [[0.0, 10.0, 1.0, 11.0]]


def test_adain_divides_by_the_population_deviation_and_keeps_the_mean() -> None:
    layer = AdaIN(1, 1, 0.0)
    nn.init.zeros_(layer.project.weight)
    assert layer.project.bias is not None
    nn.init.ones_(layer.project.bias)
    x = torch.tensor([[[1.0, 3.0]]])
    assert torch.allclose(layer(x, torch.zeros(1, 1, 2)), x)  # population deviation of 1 and 3 is 1; mean stays 2


def test_noise_is_shared_by_channels_and_silent_at_first() -> None:
    layer, x, n = Noise(), torch.zeros(1, 3, 4), torch.randn(1, 4)
    assert torch.equal(layer(x, n), x)
    layer.gain.data.fill_(2.0)
    assert torch.allclose(layer(x, n), (2 * n).expand(1, 3, 4))
    assert torch.equal(layer(x, None), x)


@pytest.mark.parametrize("config", [TOY, TOY_22])
@pytest.mark.parametrize(("name", "time"), [("generator", 128), ("decoder", 64)])
def test_noise_is_an_argument_and_repeats(config: MusikaConfig, name: str, time: int) -> None:
    network = build(config, name).eval()
    for module in network.modules():
        if isinstance(module, Noise):
            module.gain.data.fill_(0.5)
    channels = config.coordinates if name == "generator" else config.level1
    x, noise = torch.randn(1, channels, time), torch.randn(1, _noise(network))
    first, again, other = network(x, noise), network(x, noise), network(x, noise + 1)
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_noise_of_a_wrong_width_is_refused() -> None:
    with pytest.raises(RuntimeError, match="split"):
        build(TOY, "decoder2")(torch.zeros(1, 8, 4), torch.zeros(1, 3))


def test_he_bound_of_a_transposed_convolution_counts_outputs() -> None:
    layer = nn.ConvTranspose1d(64, 2, 4)
    init_he(layer)
    bound = (6 / (4 * 2)) ** 0.5
    assert 0.9 * bound < layer.weight.abs().max() <= bound
    assert layer.bias is not None
    assert not layer.bias.any()


def test_interpolation_meets_its_anchors_and_is_straight_between() -> None:
    anchors = torch.tensor([[[0.0], [3.0], [-3.0]]])
    line = interpolate(anchors, torch.tensor([0.0, 1.0, 3.0, 4.5, 6.0]), 3)
    assert torch.allclose(line, torch.tensor([[[0.0, 1.0, 3.0, 0.0, -3.0]]]))


def test_patches_of_m44_are_centred_a_third_between_anchors() -> None:
    centres = [float(patch_positions(M44, n).mean()) / M44.anchor_spacing for n in range(3)]
    assert centres == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert patch_positions(M44, 0)[0] == 64.5
    assert patch_positions(M22, 0)[0] == 0


@pytest.mark.parametrize("config", [TOY, TOY_22])
def test_training_coordinates_repeat_by_seed_and_hold_style(config: MusikaConfig) -> None:
    first, again = (training_coordinates(config, 3, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (3, 2 * config.latent, 2 * config.seq_len)
    assert (first[:, config.latent :].diff(dim=2) == 0).all()
    assert (first[:, : config.latent].diff(dim=2) != 0).any()


def test_training_windows_of_m44_lie_on_three_places() -> None:
    """Where the line bends tells where the window lies: the middle anchor is in two of the three."""
    bends = set()
    for seed in range(12):
        line = training_coordinates(TOY, 1, torch.Generator().manual_seed(seed))[0, 0].double()
        second = line.diff().diff().abs()
        bends.add(int(second.argmax()) if second.max() > 1e-4 else -1)
    assert bends == {-1, 190, 62}


def test_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    networks = {name: build(TOY_22, name) for name in NETWORKS}
    save(tmp_path / "a.safetensors", TOY_22, networks, {"source": "here"})
    config, loaded, notes = load(tmp_path / "a.safetensors")
    assert (config, notes) == (TOY_22, {"source": "here"})
    for name, network in networks.items():
        ours = loaded[name].state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())


def test_checkpoint_of_other_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(path, TOY, {"decoder2": build(TOY_22, "decoder2")}, {})
    with pytest.raises(ValueError, match="weights of the decoder2 do not fit"):
        load(path)


def test_there_is_no_small_paper_generator() -> None:
    with pytest.raises(ValueError, match="64 latents"):
        MusikaConfig(variant="m22", seq_len=64)
