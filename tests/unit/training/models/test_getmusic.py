"""GETDiff has the published shape, the live network's past never changes, and cells can be asked for one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.music.bandfeatures import BAND_FEATURES
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary
from tests.tiny_getmusic import dictionary_text
from training.models.getmusic import (
    CELL_ROWS,
    OFFICIAL,
    Cells,
    GETDiff,
    GetdiffConfig,
    TokenRanges,
    as_cells,
    rotary,
    rotate,
)
from training.models.getmusic_files import load, save
from training.models.getmusic_live import GetmusicLive, GetmusicLiveConfig, bars_before

DICTIONARY = Dictionary.read(dictionary_text())
WORDS = TokenRanges.of(DICTIONARY)
TINY = GetdiffConfig(vocabulary=WORDS, cell=8, width=16, layers=2, heads=2, ff=24, dropout=0.1)
SMALL = GetmusicLiveConfig(cell=8, width=16, layers=2, heads=2, ff=24, window=32, context=64)


def grids(batch: int, length: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(DICTIONARY.size + 2, (batch, 14, length), generator=rng)
    return tokens, torch.randint(2, (batch, 14, length), generator=rng)


def told(batch: int, length: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(batch, BAND_FEATURES, length, generator=rng) * 2 - 1


def some(batch: int, length: int, share: float = 0.4) -> np.ndarray:
    return np.random.default_rng(0).random((batch, CELL_ROWS, length)) < share


def live() -> GetmusicLive:
    torch.manual_seed(0)
    return GetmusicLive(DICTIONARY, SMALL).eval()


def test_the_published_sizes_give_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = GETDiff(GetdiffConfig())
    assert sum(p.numel() for p in network.parameters()) == 90_696_265
    assert OFFICIAL.size == 11879


def test_the_live_network_stays_small() -> None:
    assert sum(p.numel() for p in GetmusicLive(DICTIONARY, GetmusicLiveConfig()).parameters()) < 8_000_000


def test_turning_keeps_lengths_and_depends_on_distance_only() -> None:
    angles = rotary(32, 8).chunk(2, dim=1)
    a, b = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    at = [rotate(x.expand(1, 1, 32, 8), *angles)[0, 0] for x in (a, b)]
    torch.testing.assert_close(at[0].norm(dim=1), a.norm().expand(32))
    torch.testing.assert_close(at[0][3] @ at[1][7], at[0][20] @ at[1][24])


def test_cells_asked_for_are_those_of_the_whole_answer() -> None:
    """What a row may hold is a part of what the published head says of it."""
    torch.manual_seed(0)
    network = GETDiff(TINY).eval()
    tokens, given = grids(2, 24)
    asked = some(2, 24)
    t = torch.tensor([5, 80])
    with torch.no_grad():
        got = network(tokens, given, t, Cells.of(asked))
        whole = network.all_logits(network.vectors(network.hidden(tokens, given, t)))
    for track, role in enumerate(ROLES):
        items, columns = np.nonzero(asked[:, 2 * track])
        wanted = whole[items, 2 * track, columns][:, WORDS.choices(track)]
        torch.testing.assert_close(got[role], wanted, atol=1e-5, rtol=1e-4)
    items, tracks, columns = np.nonzero(asked[:, 1::2])
    wanted = whole[items, 2 * tracks + 1, columns][:, : PAD + 1]
    torch.testing.assert_close(got["duration"], wanted, atol=1e-5, rtol=1e-4)


def test_nothing_asked_is_answered_with_nothing() -> None:
    tokens, given = grids(1, 16)
    cells = Cells.of(np.zeros((1, CELL_ROWS, 16), bool))
    made = GETDiff(TINY).eval()(tokens, given, torch.zeros(1, dtype=torch.int64), cells)
    assert [len(made[name]) for name in (*ROLES, "duration")] == [0] * 7
    made = live()(tokens, given, tokens[:, 0] * 0, told(1, 16), torch.arange(16), None, cells)
    assert [tuple(made[name].shape)[1] for name in ROLES] == [count + 1 for count in WORDS.counts]


def test_an_empty_cell_says_nothing_and_stays_so_in_training() -> None:
    network = GETDiff(TINY)
    tokens, given = grids(1, 16)
    tokens[0, :, 0] = torch.arange(14) % 2 + WORDS.size  # EMPTY and MASK by turns
    made = network(tokens, given, torch.tensor([50]), Cells.of(some(1, 16)))
    sum(part.square().sum() for part in made.values()).backward()
    gradient = network.tokens.weight.grad
    assert gradient is not None
    assert not network.tokens.weight[WORDS.size].any()
    assert not gradient[WORDS.size].any()
    assert gradient[WORDS.size + 1].any()


def test_beyond_512_columns_sight_is_cut_as_the_release_cuts_it() -> None:
    network = GETDiff(TINY).eval()
    assert network.seen(512) is None
    seen = network.seen(600)
    assert seen is not None
    assert (seen[0, 255], seen[0, 256], seen[599, 344], seen[599, 343]) == (0.0, -10_000.0, 0.0, -10_000.0)
    assert network.train().seen(600) is None


def test_a_kept_past_gives_what_reading_everything_gives() -> None:
    network, (tokens, given), features = live(), grids(2, 64), told(2, 64)
    asked = some(2, 64)
    asked[:, :, :32] = False
    t = torch.tensor([40, 90])
    allowed = torch.cat([bars_before(64)[:32], torch.ones(32, 64, dtype=torch.bool)])
    steps = torch.cat([torch.zeros(2, 32, dtype=torch.int64), t[:, None].expand(2, 32)], dim=1)
    with torch.no_grad():
        whole = network(tokens, given, steps, features, torch.arange(64), allowed, Cells.of(asked))
        past = network.past(tokens[:, :, :32], given[:, :, :32], features[:, :, :32])
        cells = Cells.of(asked[:, :, 32:])
        cut = network.window(tokens[:, :, 32:], given[:, :, 32:], t, features[:, :, 32:], past, cells)
    for name, values in whole.items():
        assert len(values)
        torch.testing.assert_close(cut[name], values, atol=1e-4, rtol=0)


def test_a_finished_bar_does_not_depend_on_what_comes_after() -> None:
    network, (tokens, given), features = live(), grids(1, 48), told(1, 48)
    other = tokens.clone()
    other[:, :, 32:] = DICTIONARY.mask
    with torch.no_grad():
        first, second = (network.past(each, given, features) for each in (tokens, other))
    for one, two in zip(first, second, strict=True):
        torch.testing.assert_close(one[:, :, :, :32], two[:, :, :, :32], atol=1e-6, rtol=0)
        assert not torch.allclose(one[:, :, :, 32:], two[:, :, :, 32:])


def test_wishes_that_nobody_has_differ_from_the_least_wish() -> None:
    network, (tokens, given) = live(), grids(1, 16)
    features = told(1, 16)
    t = torch.zeros(1, 16, dtype=torch.int64)
    made = []
    with torch.no_grad():
        for wish in (-1.0, -0.5, 0.0):
            features[:, -12:] = wish
            made.append(network.begin(tokens, given, t, features, network.table()))
    torch.testing.assert_close(made[0], made[1])
    assert not torch.allclose(made[0], made[2])


def test_a_seldom_chord_is_known_by_its_notes() -> None:
    network = live()
    tokens = [DICTIONARY.token("piano", pitches) for pitches in ((55, 60, 64), (60,))]
    with torch.no_grad():
        before = network.table()
        network.parts.weight[:, 60] += 1.0
        moved = (network.table() - before).abs().sum(dim=1)
    assert all(moved[token] > 0 for token in tokens)
    assert moved[DICTIONARY.token("drum", (60,))] == 0


@pytest.mark.parametrize("kind", ["official", "live"])
def test_a_checkpoint_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    network = live() if kind == "live" else GETDiff(TINY).eval()
    save(tmp_path / "a.safetensors", network, DICTIONARY, {"licence": "MIT", "lagged_chords": True})
    loaded = load(tmp_path / "a.safetensors")
    assert (loaded.kind, loaded.dictionary.text) == (kind, DICTIONARY.text)
    assert loaded.notes == {"licence": "MIT", "lagged_chords": True}
    assert loaded.network.config == network.config
    for name, value in network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], value)


def test_another_kind_of_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(tmp_path / "a.safetensors")


def test_named_cells_are_cells() -> None:
    cells = Cells.of(some(2, 8))
    parts = zip((*ROLES, "duration"), (*cells.pitch, cells.duration), strict=True)
    named = {f"cells_{name}": part for name, part in parts}
    assert as_cells(named).duration is cells.duration
    assert as_cells([*cells.pitch, cells.duration]).pitch == cells.pitch
