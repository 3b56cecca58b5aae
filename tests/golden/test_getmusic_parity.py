"""GETMusic's network against the authors' own program: random weights at toy width, through their code once, ours here.

The arrays were made with the release's PyTorch code and are kept beside the repository, in
``../shared/data/parity/getmusic``; its README says how. Measured: logits differ by 5e-6 in torch and in onnxruntime.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from engine.music.absorbing import log_buffers, returns
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from export.graphs.getmusic.bundle import graphs
from export.parity import run_graph
from export.rename.getmusic import convert, ours_from, published_from, read, sizes
from training.models.getmusic import OFFICIAL, Cells, GETDiff, TokenRanges
from training.models.getmusic_files import Loaded, load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "parity" / "getmusic"
TOLERANCE = 1e-4
CASES = [f"L{length}_t{t}" for length in (32, 96) for t in (0, 57, 99)]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"parity vectors are not at {DATA}")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> GETDiff:
    out = tmp_path_factory.mktemp("getmusic") / "toy.safetensors"
    convert(DATA / "checkpoint.pth", DATA / "dict.txt", out)
    made = load(out).network
    assert isinstance(made, GETDiff)
    return made


@pytest.fixture(scope="module")
def graph(network: GETDiff) -> onnx.ModelProto:
    return graphs(Loaded(network, Dictionary.load(DATA / "dict.txt"), {}))["network"][0]


@pytest.fixture(scope="module")
def arrays() -> dict[str, npt.NDArray[np.generic]]:
    return dict(np.load(DATA / "network.npz"))


def inputs(arrays: dict[str, npt.NDArray[np.generic]], case: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens, given = (torch.from_numpy(arrays[f"{case}/{name}"]) for name in ("tokens", "condition"))
    return tokens, given, torch.tensor([int(case.split("_t")[1])])


def test_the_dictionary_is_the_published_one() -> None:
    assert TokenRanges.of(Dictionary.load(DATA / "dict.txt")) == OFFICIAL


def test_every_key_is_used_and_comes_back() -> None:
    weights = read(DATA / "checkpoint.pth")
    network = ours_from(weights, sizes(weights, Dictionary.load(DATA / "dict.txt")))
    back = published_from(network)
    assert set(back) == set(weights)
    for name, values in weights.items():
        torch.testing.assert_close(back[name], values.float(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_theirs(network: GETDiff, arrays: dict[str, npt.NDArray[np.generic]], case: str) -> None:
    tokens, given, t = inputs(arrays, case)
    cells = torch.from_numpy(arrays[f"{case}/cells"])
    with torch.no_grad():
        vectors = network.vectors(network.hidden(tokens, given, t)).flatten(1, 2)[0, cells]
        logits = network.all_logits(vectors).numpy()
    assert np.abs(logits - arrays[f"{case}/logits"]).max() < TOLERANCE


@pytest.mark.parametrize("case", CASES[:1])
def test_cells_by_row_are_parts_of_their_logits(
    network: GETDiff, arrays: dict[str, npt.NDArray[np.generic]], case: str
) -> None:
    tokens, given, t = inputs(arrays, case)
    length = tokens.shape[2]
    compared = 0
    for index, cell in enumerate(arrays[f"{case}/cells"].tolist()):
        row, column = divmod(cell, length)
        if row >= 12:
            continue
        asked = np.zeros((1, 12, length), np.bool_)
        asked[0, row, column] = True
        with torch.no_grad():
            made = network(tokens, given, t, Cells.of(asked))
        name = "duration" if row % 2 else ROLES[row // 2]
        ids = torch.arange(16) if row % 2 else OFFICIAL.choices(row // 2)
        wanted = arrays[f"{case}/logits"][index][ids.numpy()]
        assert np.abs(made[name].numpy()[0] - wanted).max() < TOLERANCE
        compared += 1
    assert compared


@pytest.mark.parametrize("case", CASES)
def test_the_graph_says_what_they_say(
    graph: onnx.ModelProto, arrays: dict[str, npt.NDArray[np.generic]], case: str
) -> None:
    """Through the exported graph: every one of their cells that it can be asked for."""
    tokens, given, t = (value.numpy() for value in inputs(arrays, case))
    length = tokens.shape[2]
    cells = [divmod(cell, length) for cell in arrays[f"{case}/cells"].tolist()]
    feeds = {"tokens": tokens, "given": given, "t": t}
    for track, role in enumerate(ROLES):
        feeds[f"cells_{role}"] = np.array([c for r, c in cells if r == 2 * track], np.int64)
    durations = [(r, c) for r, c in cells if r % 2 and r < 12]
    feeds["cells_duration"] = np.array([r // 2 * length + c for r, c in durations], np.int64)
    said = dict(zip((*ROLES, "duration"), run_graph(graph, feeds), strict=True))
    for index, (row, column) in enumerate(cells):
        if row >= 12:
            continue  # chords are only ever given
        name, ids = ("duration", np.arange(16)) if row % 2 else (ROLES[row // 2], OFFICIAL.choices(row // 2).numpy())
        place = durations.index((row, column)) if row % 2 else [c for r, c in cells if r == row].index(column)
        assert np.abs(said[name][place] - arrays[f"{case}/logits"][index][ids]).max() < TOLERANCE


def test_the_schedule_is_theirs() -> None:
    tables = log_buffers(OFFICIAL.size + 1)
    theirs = np.load(DATA / "schedule.npz")
    assert set(tables) == set(theirs)
    for name, table in tables.items():
        known = np.isfinite(theirs[name])
        np.testing.assert_array_equal(np.isfinite(table), known)
        assert np.abs(table[known] - theirs[name][known]).max() < 1e-6


@pytest.mark.parametrize("case", ["L32_t57", "L96_t99"])
def test_the_bound_is_their_divergence(arrays: dict[str, npt.NDArray[np.generic]], case: str) -> None:
    """Their tables and their logits through the posterior of D3PM (equation 3), at cells that are hidden.

    Measured: 6e-6 of the divergence at step 57, 2.1e-4 at step 99, where few cells are shown.
    """
    tables = {name: values.astype(np.float64) for name, values in np.load(DATA / "schedule.npz").items()}
    t = int(case.split("_t")[1])
    logits = torch.from_numpy(arrays[f"{case}/logits"]).double().log_softmax(dim=1).numpy()
    kept, replaced, hidden = (np.exp(tables[f"log_cumprod_{name}"][t - 1]) for name in ("at", "bt", "ct"))
    hide = np.exp(tables["log_ct"][t])

    def before(start: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Of x_{t-1}, given that x_t is MASK: over the dictionary, and MASK, which stays."""
        made = np.append((kept * start + replaced) * hide, hidden)
        return made / made.sum()

    for row in logits:
        answer = int(row.argmax())
        truth = before(np.eye(len(row))[answer])
        divergence = float((truth * (np.log(truth) - np.log(before(np.exp(row))))).sum())
        assert divergence == pytest.approx(returns(t) * -row[answer], rel=1e-3)
