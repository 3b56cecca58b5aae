"""The language model's graph says what torch says, step after step onto a cache that stays where it is."""

import numpy as np
import onnxruntime
import pytest
import torch

from export.graphs.musicgen.network import Condition, condition_graph, lm_graph
from export.parity import run_graph
from training.models.musicgen import LM, MusicgenConfig, init_weights

CONFIGS = {
    "added positions": MusicgenConfig(width=128, layers=2, entries=64, text=32),
    "conducted": MusicgenConfig(width=128, layers=2, entries=64, text=32, rotary=True, features=5),
    "narrow": MusicgenConfig(width=128, layers=2, entries=64, text=32, rotary=True, features=5, window=6),
}
CAPACITY, STEPS, TEXT = 32, 16, 7


def _model(name: str) -> LM:
    torch.manual_seed(0)
    model = LM(CONFIGS[name]).eval()
    init_weights(model)
    return model


class _Player:
    """The graph with its cache bound once, as the engine runs it."""

    def __init__(self, model: LM, text: torch.Tensor, bits: int = 0) -> None:
        graph = lm_graph(model, bits)
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        self.config, self.count, batch = model.config, 0, len(text)
        shape, layers = (batch, model.config.heads, CAPACITY, 64), range(model.config.layers)
        self.state = {f"{part}.{i}": np.zeros(shape, np.float32) for i in layers for part in "kv"}
        names = [f"{part}.{i}" for i in layers for part in ("ck", "cv")]
        with torch.no_grad():
            told = Condition(model)(text, torch.ones(text.shape[:2]))
        self.told = dict(zip(names, (value.numpy().copy() for value in told), strict=True))

    def __call__(self, codes: torch.Tensor, features: torch.Tensor | None) -> np.ndarray:
        steps = codes.shape[2]
        feeds = {"codes": codes.numpy().copy(), **self.told, **self.state}
        if not self.config.rotary:
            feeds["position"] = np.arange(self.count, self.count + steps)
        if features is not None:
            feeds["features"] = features.numpy().copy()
        self.count += steps
        feeds["last"] = np.full(len(codes), self.count - 1, np.int32)
        feeds["total"] = np.array(self.count, np.int32)
        binding = self.session.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, value)
        binding.bind_output("logits", "cpu")
        for name, value in self.state.items():
            binding.bind_output(f"{name}_next", "cpu", 0, np.float32, value.shape, value.ctypes.data)
        self.session.run_with_iobinding(binding)
        logits: np.ndarray = binding.get_outputs()[0].numpy()
        return logits


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", CONFIGS)
def test_prompt_and_steps_give_the_logits_of_torch(name: str, batch: int) -> None:
    model = _model(name)
    codes, text = torch.randint(0, 65, (batch, 4, STEPS)), torch.randn(batch, TEXT, 32)
    features = torch.randn(batch, STEPS, 5) if model.config.features else None
    with torch.no_grad():
        wanted = model(codes, model.condition(text), features=features).numpy()
    player, at = _Player(model, text), 0
    for count in (9, 1, 1, 1, 1, 1, 1, 1):
        part = None if features is None else features[:, at : at + count]
        got = player(codes[:, :, at : at + count], part)
        at += count
        assert np.abs(got - wanted[:, :, at - 1]).max() < 2e-5
    assert player.state["k.0"][:, :, :STEPS].any()
    assert not player.state["k.0"][:, :, STEPS:].any()


@pytest.mark.parametrize(("bits", "limit"), [(8, 0.05), (4, 0.5)])
def test_fewer_bits_say_nearly_the_same(bits: int, limit: float) -> None:
    model = _model("added positions")
    codes, text = torch.randint(0, 65, (1, 4, STEPS)), torch.randn(1, TEXT, 32)
    with torch.no_grad():
        wanted = model(codes, model.condition(text)).numpy()[:, :, -1]
    got = _Player(model, text, bits)(codes, None)
    assert 0 < np.sqrt(np.mean((got - wanted) ** 2)) < limit * wanted.std()


def test_condition_is_worked_out_once_and_nothing_without_words() -> None:
    model = _model("added positions")
    graph = condition_graph(model)
    text, mask = torch.randn(2, TEXT, 32), torch.tensor([[1.0] * TEXT, [0.0] * TEXT])
    with torch.no_grad():
        wanted = Condition(model)(text, mask)
    got = run_graph(graph, {"text": text.numpy(), "mask": mask.numpy()})
    assert len(got) == 2 * model.config.layers
    assert all(np.abs(a - b.numpy()).max() < 1e-5 for a, b in zip(got, wanted, strict=True))
    assert not got[0][1].any()
