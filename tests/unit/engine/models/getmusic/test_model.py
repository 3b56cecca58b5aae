"""Filling: pitch and length together, the same notes in any company, quotas kept, limits kept, endings in time."""

import numpy as np
import pytest

from engine.errors import ControlError, ManifestError, ShapeError
from engine.graphs.graph import Graph
from engine.models.getmusic.board import Limits
from engine.models.getmusic.facts import GetmusicFacts
from engine.models.getmusic.model import Filled, FillSettings, Getmusic
from engine.models.getmusic.network import Network, Prediction, Rows
from engine.music.score import ROLES
from engine.music.vocabulary import PAD
from engine.protocols.streamer import finish, work
from tests.tiny_getmusic import facts as tiny_facts
from tests.tiny_getmusic import open_tiny_network, tiny_rows

ROWS = tiny_rows()
BASS, DRUM, PIANO = 1, 2, 4


def grid_of(columns: int, seed: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grid = np.full((14, columns), PAD)
    for track, (low, count) in enumerate(zip(ROWS.lows, ROWS.counts, strict=True)):
        onsets = rng.random(columns) < 0.3
        grid[2 * track] = np.where(onsets, low + rng.integers(0, count, columns), PAD)
        grid[2 * track + 1] = np.where(onsets, rng.integers(0, 15, columns), PAD)
    grid[12], grid[13] = ROWS.size - 20, ROWS.size - 8
    return grid


def targets_of(columns: int, *tracks: int, first: int = 0, last: int | None = None) -> np.ndarray:
    targets = np.zeros((6, columns), np.bool_)
    targets[list(tracks), first:last] = True
    return targets


class Watched:
    """A network that remembers what it was asked."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.rows, self.context, self.window = network.rows, network.context, network.window
        self.conducted = network.conducted
        self.asked: list[tuple[np.ndarray, np.ndarray, int, np.ndarray]] = []

    def predict(
        self, tokens: np.ndarray, given: np.ndarray, t: int, asked: np.ndarray, features: np.ndarray | None = None
    ) -> Prediction:
        self.asked.append((tokens.copy(), given.copy(), t, asked.copy()))
        return self._network.predict(tokens, given, t, asked, features)


@pytest.fixture(scope="module")
def network() -> Network:
    return open_tiny_network()


def filled(network: Network, columns: int = 48, settings: FillSettings | None = None, **more: object) -> Filled:
    targets = targets_of(columns, BASS, PIANO, first=16)
    return work(Getmusic(network).fill(grid_of(columns), targets, settings, **more))


def test_a_rest_has_no_length_and_a_note_has_one(network: Network) -> None:
    made = filled(network, settings=FillSettings(steps=4, variations=3))
    for track in (BASS, PIANO):
        pitch, length = made.grids[:, 2 * track, 16:], made.grids[:, 2 * track + 1, 16:]
        assert ((pitch == PAD) == (length == PAD)).all()
        assert (pitch != PAD).any()
        low, count = ROWS.lows[track], ROWS.counts[track]
        assert (((pitch >= low) & (pitch < low + count)) | (pitch == PAD)).all()
        assert ((length >= 0) & (length <= PAD)).all()


def test_a_variation_is_the_same_alone_and_in_company(network: Network) -> None:
    together = filled(network, settings=FillSettings(steps=6, variations=4, refine=0.2))
    for index in range(4):
        alone = filled(network, settings=FillSettings(steps=6, first=index, refine=0.2))
        assert np.array_equal(alone.grids[0], together.grids[index])
        assert np.allclose(alone.log_p[0], together.log_p[index])
    assert len({grid.tobytes() for grid in together.grids}) == 4


def test_another_seed_gives_other_notes(network: Network) -> None:
    grids = [filled(network, settings=FillSettings(seed=seed)).grids for seed in (1, 2, 1)]
    assert np.array_equal(grids[0], grids[2])
    assert not np.array_equal(grids[0], grids[1])


def test_what_targets_hold_is_not_looked_at(network: Network) -> None:
    other = grid_of(48)
    other[2:4, 16:] = ROWS.mask
    other[8:10, 16:] = 3
    targets = targets_of(48, BASS, PIANO, first=16)
    made = [work(Getmusic(network).fill(grid, targets)).grids for grid in (grid_of(48), other)]
    assert np.array_equal(*made)


def test_each_pass_decides_its_quota_of_each_track_and_is_told_how_much_is_open(network: Network) -> None:
    watched = Watched(network)
    targets = targets_of(48, BASS, first=16) | targets_of(48, PIANO, first=40)
    made = work(Getmusic(watched).fill(grid_of(48), targets, FillSettings(steps=8, variations=2, plan="linear")))
    open_ = np.array([[each[3][b, 2].sum() for b in range(2)] for each in watched.asked])
    assert (open_ == np.array([32, 28, 24, 20, 16, 12, 8, 4])[:, None]).all()
    assert [int(each[3][0, 8].sum()) for each in watched.asked] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert [each[2] for each in watched.asked] == [round(99 * (1 - k / 8)) for k in range(8)]
    assert made.passes == 8
    for tokens, given, _, asked in watched.asked:
        assert (tokens[:, :12][asked] == ROWS.mask).all()
        assert not given[:, :12][asked].any()
        assert given[:, 12:].all()


def test_conditions_are_flagged_and_absent_tracks_are_not(network: Network) -> None:
    watched = Watched(network)
    grid = grid_of(32)
    grid[6:8] = ROWS.empty  # no guitar
    grid[8:10, 20:] = ROWS.empty  # the piano ends early
    work(Getmusic(watched).fill(grid, targets_of(32, BASS, first=16), FillSettings(steps=1)))
    given = watched.asked[0][1][0]
    assert not given[6:8].any()
    assert given[8:10].all()
    assert given[2:4, :16].all()
    assert not given[2:4, 16:].any()


def test_a_fill_of_a_new_track_does_not_take_its_absence_for_a_wish(network: Network) -> None:
    watched = Watched(network)
    grid = grid_of(32)
    grid[2:4] = ROWS.empty
    work(Getmusic(watched).fill(grid, targets_of(32, BASS, first=16), FillSettings(steps=1)))
    assert not watched.asked[0][1][0, 2:4].any()


def test_random_order_differs_between_variations(network: Network) -> None:
    watched = Watched(network)
    work(Getmusic(watched).fill(grid_of(48), targets_of(48, BASS), FillSettings(steps=4, variations=2)))
    asked = watched.asked[2][3][:, 2]
    assert asked[0].sum() == asked[1].sum()
    assert not np.array_equal(asked[0], asked[1])


def test_ending_early_fills_the_rest_without_another_pass(network: Network) -> None:
    watched = Watched(network)
    job = Getmusic(watched).fill(grid_of(48), targets_of(48, BASS, PIANO), FillSettings(steps=16))
    for _ in range(3):
        next(job)
    made = finish(job)
    assert len(watched.asked) == made.passes == 3
    assert not made.complete
    assert np.array_equal(made.made, targets_of(48, BASS, PIANO))
    assert (made.grids < ROWS.mask).all()
    assert ((made.grids[:, 2] == PAD) == (made.grids[:, 3] == PAD)).all()


def test_what_was_decided_stays_when_a_job_ends_early(network: Network) -> None:
    """One more pass decides some cells anew, but none that was decided before."""
    watched = Watched(network)
    job = Getmusic(watched).fill(grid_of(48), targets_of(48, BASS), FillSettings(steps=4))
    for _ in range(4):
        next(job)
    decided = ~watched.asked[2][3][0, 2]
    early, whole = finish(job).grids[0, 2], filled_bass(network).grids[0, 2]
    assert np.array_equal(early[decided], whole[decided])


def filled_bass(network: Network) -> Filled:
    return work(Getmusic(network).fill(grid_of(48), targets_of(48, BASS), FillSettings(steps=4)))


def test_windows_that_were_not_reached_stay_as_they_were() -> None:
    network = open_tiny_network(context=64, window=64)
    job = Getmusic(network).fill(grid_of(256), targets_of(256, BASS), FillSettings(steps=4))
    for _ in range(2):
        next(job)
    made = finish(job)
    reached = np.flatnonzero(made.made[BASS])
    assert 0 < reached.size < 256
    assert np.array_equal(made.grids[0][2, reached[-1] + 1 :], grid_of(256)[2, reached[-1] + 1 :])


def test_later_windows_see_what_earlier_ones_decided() -> None:
    watched = Watched(open_tiny_network(context=64, window=64))
    made = work(Getmusic(watched).fill(grid_of(128), targets_of(128, BASS), FillSettings(steps=1)))
    tokens, given, _, asked = watched.asked[1]
    first = np.flatnonzero(asked[0, 2])[0]
    assert first >= 16
    assert given[0, 2, :first].all()
    place = next(p for p in range(0, 65, 16) if np.array_equal(tokens[0, 0], made.grids[0, 0, p : p + 64]))
    assert np.array_equal(tokens[0, 2, :first], made.grids[0, 2, place : place + first])


def test_a_kept_past_says_what_the_whole_says() -> None:
    settings = FillSettings(steps=5, variations=2)
    targets = targets_of(64, BASS, PIANO, first=32)
    made = [
        work(Getmusic(open_tiny_network(kind, context=64, window=window)).fill(grid_of(64), targets, settings))
        for kind, window in (("network", 64), ("window", 32))
    ]
    assert np.array_equal(made[0].grids, made[1].grids)


def test_a_past_is_read_once_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []
    run = Graph.run
    monkeypatch.setattr(Graph, "run", lambda self, feeds: (runs.append(self.manifest.role), run(self, feeds))[1])
    network = open_tiny_network("window", context=64, window=16)
    work(Getmusic(network).fill(grid_of(64), targets_of(64, BASS, first=48), FillSettings(steps=5)))
    assert runs == ["past", *["window"] * 5]


def test_limits_hold(network: Network) -> None:
    ever, classes = np.zeros(ROWS.counts[BASS], np.bool_), np.zeros((ROWS.counts[BASS], 12), np.bool_)
    ever[28:56] = True
    classes[np.arange(128), np.arange(128) % 12] = True
    classes[128, 0] = True
    tones = np.zeros((48, 12), np.bool_)
    tones[:32, [0, 4, 7]] = tones[32:, [9, 0, 4]] = True
    limits = Limits(rows=ROWS, ever={"bass": ever}, classes={"bass": classes}, tones=tones, strict=("bass",))
    made = filled(network, settings=FillSettings(variations=4, rests={"bass": -4.0}), limits=limits)
    pitches = made.grids[:, 2, 16:] - ROWS.lows[BASS]
    sounding = made.grids[:, 2, 16:] != PAD
    assert sounding.mean() > 0.3
    assert ((pitches[sounding] >= 28) & (pitches[sounding] < 56)).all()
    assert set(pitches[:, :16][sounding[:, :16]] % 12) <= {0, 4, 7}
    assert set(pitches[:, 16:][sounding[:, 16:]] % 12) <= {9, 0, 4}


def test_each_track_has_a_temperature_of_its_own(network: Network) -> None:
    usual = filled(network, settings=FillSettings(temperature=0.0))
    other = filled(network, settings=FillSettings(temperature=0.0, temperatures={"piano": 2.0}, top_ps={"piano": 1.0}))
    again = filled(network, settings=FillSettings(temperature=2.0, temperatures={"bass": 0.0}, steps=1))
    alone = filled(network, settings=FillSettings(temperature=0.0, steps=1))
    assert (usual.grids[:, 2 * PIANO] != other.grids[:, 2 * PIANO]).any()
    assert np.array_equal(again.grids[:, 2 * BASS], alone.grids[:, 2 * BASS])


def test_temperature_one_is_what_the_bundle_says(network: Network) -> None:
    def drawn(facts: dict[str, object], settings: FillSettings) -> bytes:
        job = Getmusic(network, GetmusicFacts.from_mapping({**tiny_facts(), **facts})).fill(
            grid_of(48), targets_of(48, BASS, PIANO, first=16), settings
        )
        return work(job).grids.tobytes()

    warm = FillSettings(temperature=1.5, temperatures={"piano": 0.75})
    asked = FillSettings(temperature=1.0, temperatures={"piano": 0.5})
    assert drawn({"warmth": 1.5}, asked) == drawn({}, warm) != drawn({}, asked)
    assert drawn({"warmth": 1.5}, FillSettings(temperature=0.0)) == drawn({}, FillSettings(temperature=0.0))
    for wrong in ("hot", 0.0, 1e9):
        with pytest.raises(ManifestError, match="warmth"):
            drawn({"warmth": wrong}, asked)


def test_rests_can_be_made_dearer_and_cheaper_track_by_track(network: Network) -> None:
    def onsets(**rests: float) -> list[int]:
        made = filled(network, settings=FillSettings(variations=8, rests=rests))
        return [int((made.grids[:, 2 * track, 16:] != PAD).sum()) for track in (BASS, PIANO)]

    plain, fewer, none = onsets(), onsets(bass=1.5), onsets(bass=1e9)
    assert fewer[0] < plain[0]
    assert none[0] == 0
    assert none[1] > 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.8, 1.0])
@pytest.mark.parametrize("steps", [1, 8])
def test_a_wanted_density_is_met(network: Network, share: float, steps: int) -> None:
    made = filled(network, settings=FillSettings(steps=steps, variations=16, densities={"bass": share}))
    onsets = (made.grids[:, 2, 16:] != PAD).mean()
    assert onsets == pytest.approx(share, abs=0.05)


def test_drawing_again_changes_only_the_oddest(network: Network) -> None:
    plain = filled(network, settings=FillSettings(steps=4))
    again = filled(network, settings=FillSettings(steps=4, refine=0.1))
    assert again.passes == plain.passes + 1
    changed = (plain.log_p != again.log_p)[0]
    assert 0 < changed.sum() <= 2 * 4  # a tenth of 32 cells, rounded up, of two tracks


def test_the_official_plan_makes_the_passes_of_the_release(network: Network) -> None:
    watched = Watched(network)
    made = work(Getmusic(watched).fill(grid_of(24), targets_of(24, BASS, first=8), FillSettings(plan="official")))
    assert made.passes == 31  # 16 columns are 32 cells
    times = [each[2] for each in watched.asked]
    assert times == sorted(times, reverse=True)
    assert times[0] == 99
    assert times[-1] == 0
    assert watched.asked[-1][3][0, 2:4, 8:].all(), "the last pass draws every cell again"
    assert not (watched.asked[-1][0] == ROWS.mask).any(), "and sees them all"
    assert (made.grids != ROWS.mask).all()


def test_the_official_plan_decides_pitch_and_duration_apart(network: Network) -> None:
    watched = Watched(network)
    work(Getmusic(watched).fill(grid_of(24), targets_of(24, BASS, first=8), FillSettings(plan="official")))
    assert any((each[3][0, 2] != each[3][0, 3]).any() for each in watched.asked)


def test_chords_are_never_made_nor_waited_for(network: Network) -> None:
    for plan in ("cosine", "official"):
        grid = grid_of(24)
        grid[12:] = ROWS.mask
        made = work(Getmusic(network).fill(grid, targets_of(24, DRUM), FillSettings(plan=plan, steps=3)))
        assert (made.grids[:, 12:] == ROWS.mask).all()


def test_a_bar_is_given_the_same_numbers_wherever_it_stands_in_the_grid(network: Network) -> None:
    made = []
    for first_bar in (3, 3, 4):
        job = Getmusic(network).fill(
            grid_of(32), targets_of(32, BASS, first=16), FillSettings(steps=1), first_bar=first_bar
        )
        made.append(work(job).grids)
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_nothing_to_fill_is_done_at_once(network: Network) -> None:
    made = work(Getmusic(network).fill(grid_of(32), targets_of(32)))
    assert made.passes == 0
    assert made.complete
    assert np.array_equal(made.grids[0], grid_of(32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0}, {"plan": "greedy"}, {"temperature": -1.0}, {"top_p": 0.0}, {"variations": 0}, {"seed": -1},
        {"refine": 2.0}, {"rests": {"flute": 1.0}}, {"plan": "official", "temperature": 0.5},
        {"densities": {"bass": 1.5}}, {"densities": {"flute": 0.5}}, {"plan": "official", "densities": {"bass": 0.5}},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ControlError):
        FillSettings(**wrong)


def test_grids_of_another_shape_are_refused(network: Network) -> None:
    with pytest.raises(ShapeError):
        Getmusic(network).fill(np.zeros((12, 32), np.int64), np.zeros((6, 32), np.bool_))
    with pytest.raises(ShapeError):
        Getmusic(network).fill(grid_of(32), np.zeros((6, 31), np.bool_))


def test_rows_name_the_tokens_of_each_track() -> None:
    rows = Rows((16, 144, 0, 0, 0, 0), (128, 2, 0, 0, 0, 0), 300)
    assert rows.tokens(1, np.array([0, 1, 2])).tolist() == [144, 145, PAD]
    assert (rows.empty, rows.mask) == (300, 301)
    assert len(ROLES) == 6
