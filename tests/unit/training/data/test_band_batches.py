"""Windows, keys, masks and batches of grids: nothing leaks, nothing is asked twice, nothing leaves the dictionary."""

from pathlib import Path

import numpy as np
import pytest

from engine.music.bandfeatures import BAND_FEATURES, UNKNOWN
from engine.music.score import ROLES
from engine.music.vocabulary import PAD
from tests.unit.training.band import chords, dictionary, grid, write_store
from training.data.band_batches import PartProfile, chord_vectors, live_batch, live_example, stream_places, stream_view
from training.data.corpus import DataError
from training.data.grids import Grids, StoreEntry, Transposer, Window
from training.data.masks import Chances, choose_rows, choose_targets, hide, published

WORDS = dictionary()
ALWAYS = Chances(alone=0, absent=0, from_lead=1, next_bar=0, unknown=0, spans=0, chord_drop=0, chord_ahead=1)


def window(bars: int = 8, seed: int = 0, **more) -> Window:
    made = grid(WORDS, bars, seed, **more)
    return Window(made, chords(made, WORDS), StoreEntry("n", "u", "CC0", "", 100.0, 0, 16 * bars, False), 0)


def test_a_store_reads_back_what_was_written(tmp_path: Path) -> None:
    grids = Grids(write_store(tmp_path))
    assert len(grids.entries) == 12
    assert grids.pieces(held_out=True) == (0, 4, 8)
    assert np.array_equal(grids.whole(7).grid, grid(WORDS, 8, 8))
    assert np.array_equal(grids.whole(1).grid, grid(WORDS, 3, 2, empty=("string",)))


def test_windows_begin_with_bars_and_never_cross_sides(tmp_path: Path) -> None:
    grids = Grids(write_store(tmp_path))
    rng = np.random.default_rng(0)
    for held_out in (False, True):
        drawn = [grids.draw(64, rng, held_out=held_out) for _ in range(200)]
        assert {each.entry.held_out for each in drawn} == {held_out}
        assert all(each.first % 16 == 0 and each.grid.shape == (14, 64) for each in drawn)
        assert len({(each.entry.name, each.first) for each in drawn}) > 10


def test_past_the_end_everybody_rests_and_the_absent_stay_absent(tmp_path: Path) -> None:
    long = Grids(write_store(tmp_path)).window(1, 0, 128).grid
    assert (long[:10, 48:] == PAD).all()
    assert (long[10:12] == WORDS.empty).all()
    assert (long[12:, 48:] == long[12:, 47:48]).all()


def test_a_folder_without_a_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no grids"):
        Grids(tmp_path)


def test_transposed_grids_sound_transposed_and_come_back() -> None:
    mover, source = Transposer(WORDS), window()
    for shift in range(-6, 6):
        moved = mover.moved(source, shift)
        for track, role in enumerate(ROLES):
            for before, after in zip(source.grid[2 * track], moved.grid[2 * track], strict=True):
                up = 0 if role == "drum" else shift
                assert WORDS.pitches(int(after)) == tuple(pitch + up for pitch in WORDS.pitches(int(before)))
        assert np.array_equal(moved.grid[1:12:2], source.grid[1:12:2])
        roots = moved.grid[12] - WORDS.roots.start
        assert np.array_equal(roots, (source.grid[12] - WORDS.roots.start + shift) % 12)
        assert np.array_equal(moved.chords[0], (source.chords[0].astype(int) + shift) % 12)
        chroma, _ = chord_vectors(moved, WORDS)
        assert np.array_equal(chroma, np.roll(chord_vectors(source, WORDS)[0], shift, axis=0))


def test_what_the_dictionary_lacks_keeps_its_outer_voice_when_moved() -> None:
    mover, source = Transposer(WORDS), window()
    far = mover.moved(mover.moved(source, 5), 5)
    used = [int(token) for token in far.grid[8] if token != PAD]
    assert all(token in WORDS.ranges["piano"] for token in used)
    # Ten semitones up most triads are unknown: their highest note is left.
    assert {len(WORDS.pitches(token)) for token in used} >= {1}


def test_taken_out_rows_are_empty_in_both_and_somebody_stays() -> None:
    rng = np.random.default_rng(1)
    alone = 0
    for _ in range(300):
        made = choose_rows(grid(WORDS, 2), WORDS.empty, Chances(alone=0.1, absent=0.5), rng)
        empty = (made[:12] == WORDS.empty).all(axis=1)
        assert np.array_equal(empty[::2], empty[1::2])
        assert empty[::2].sum() <= 5
        assert not (made[12:] == WORDS.empty).any()
        alone += empty[::2].sum() == 5
    assert 15 < alone < 60


def test_targets_are_whole_onsets_of_tracks_that_are_there() -> None:
    rng = np.random.default_rng(2)
    seen = set()
    for _ in range(300):
        made = choose_rows(grid(WORDS, 2), WORDS.empty, Chances(), rng)
        targets = choose_targets(made, WORDS.empty, Chances(), rng)
        assert np.array_equal(targets[:12:2], targets[1:12:2])
        assert not targets[12:].any()
        assert targets.any()
        assert not (targets & (made == WORDS.empty)).any()
        seen.add(("past" if not targets[:, :16].any() else "all", bool(targets[0].any()), bool(targets[0].all())))
    assert {("past", True, False), ("all", False, False), ("all", True, True), ("all", True, False)} <= seen


def test_from_a_lead_everybody_else_is_open() -> None:
    targets = choose_targets(grid(WORDS, 2), WORDS.empty, ALWAYS, np.random.default_rng(0))
    assert not targets[:2].any()
    assert targets[2:12].all()


def test_the_next_bar_is_open_and_the_player_half_known() -> None:
    chances = Chances(alone=0, absent=0, from_lead=1, next_bar=1, unknown=1, spans=0)
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(100):
        targets = choose_targets(grid(WORDS, 2), WORDS.empty, chances, rng)
        assert not targets[2:12, :16].any()
        assert targets[2:12, 16:].all()
        columns = np.nonzero(targets[0])[0]
        assert len(columns)
        assert np.array_equal(columns, np.arange(columns[0], 32))
        starts.add(int(columns[0]))
    assert len(starts) > 15


def test_hidden_cells_are_masked_and_only_targets_are_hidden() -> None:
    rng = np.random.default_rng(3)
    made = grid(WORDS, 2)
    targets = choose_targets(made, WORDS.empty, ALWAYS, rng)
    for share in (0.0, 0.3, 1.0):
        shown = hide(made, targets, share, WORDS.mask, rng)
        assert (shown.tokens[shown.hidden] == WORDS.mask).all()
        assert np.array_equal(shown.tokens[~shown.hidden], made[~shown.hidden])
        assert not (shown.hidden & ~targets).any()
        assert not (shown.given & targets).any()
        assert np.array_equal(shown.hidden[:12:2], shown.hidden[1:12:2])
        assert shown.hidden.sum() == pytest.approx(share * targets.sum(), abs=max(2.0, 0.15 * targets.sum()))
        assert shown.hidden.any()
    apart = hide(made, targets, 0.5, WORDS.mask, rng, together=False)
    assert not np.array_equal(apart.hidden[2:12:2], apart.hidden[3:12:2])


def test_the_published_choice_is_of_whole_rows_and_drops_most_chords() -> None:
    rng = np.random.default_rng(4)
    dropped, counts = 0, np.zeros(7)
    for _ in range(400):
        made, targets = published(grid(WORDS, 2), WORDS.empty, rng)
        rows = targets.any(axis=1)
        assert np.array_equal(rows[:12:2], rows[1:12:2])
        assert (targets[rows] == (made[rows] != WORDS.empty)).all()
        counts[rows[:12:2].sum()] += 1
        dropped += (made[12:] == WORDS.empty).all()
    assert 260 < dropped < 340
    assert counts[0] == 0
    assert (counts[1:] > 20).all()


def test_chords_of_the_piece_go_before_those_of_the_rows() -> None:
    plain = window()
    told, bass = chord_vectors(plain, WORDS)
    unknown = Window(plain.grid, np.tile(np.array([[0], [22], [0]], np.uint8), (1, 128)), plain.entry, 0)
    from engine.music.harmony import QUALITIES

    assert tuple(QUALITIES)[22] == "none"
    read, read_bass = chord_vectors(unknown, WORDS)
    assert np.array_equal(told, read)
    assert np.array_equal(bass, read_bass)
    assert set(np.nonzero(told[:, 0])[0]) == {0, 4, 7}
    silent = unknown.grid.copy()
    silent[12:] = WORDS.empty
    nothing, _ = chord_vectors(Window(silent, unknown.chords, plain.entry, 0), WORDS)
    assert not nothing.any()


def test_finished_bars_never_see_later_ones_nor_windows_the_present_truth() -> None:
    view, places = stream_view(128, 32), stream_places(128, 32)
    past = 96
    assert view.shape == (224, 224)
    assert places.shape == (224,)
    assert (places[past:] == np.arange(128)).all()
    for row in range(224):
        seen = np.nonzero(view[row])[0]
        if row < past:
            assert (seen < past).all()
            assert seen.max() == row // 16 * 16 + 15
            assert len(seen) == row // 16 * 16 + 16
        else:
            number = (row - past) // 32
            assert set(seen) == set(range(number * 32)) | set(range(past + number * 32, past + number * 32 + 32))


def test_what_is_hidden_is_nowhere_to_be_seen() -> None:
    """The truth of a hidden cell is not in its window, and its window sees no finished copy of itself."""
    rng = np.random.default_rng(5)
    example = live_example(window(), [1.0] * 4, WORDS, PartProfile(WORDS), ALWAYS, rng)
    assert (example.tokens[2:12, 96:] == WORDS.mask).all()
    assert (example.tokens[:2] == example.truth[:2]).all()
    assert not example.hidden[:, :96].any()
    assert (example.t[:96] == 0).all()
    assert (example.t[96:] == 99).all()


def test_unknown_chords_leave_no_trace() -> None:
    rng = np.random.default_rng(6)
    chances = Chances(**{**{n: getattr(ALWAYS, n) for n in ALWAYS.__dataclass_fields__}, "chord_drop": 1.0})
    example = live_example(window(), [0.5] * 4, WORDS, PartProfile(WORDS), chances, rng)
    assert (example.tokens[12:] == WORDS.empty).all()
    assert not example.features[8:44].any()
    ahead = Chances(**{**{n: getattr(ALWAYS, n) for n in ALWAYS.__dataclass_fields__}, "chord_ahead": 0.0})
    for _ in range(8):
        example = live_example(window(), [0.5] * 4, WORDS, PartProfile(WORDS), ahead, rng)
        assert (example.tokens[12:, 96:] == WORDS.empty).all()
        assert not example.features[8:44, 96:].any()


def test_wishes_are_told_of_targets_only() -> None:
    rng = np.random.default_rng(7)
    told = 0
    for _ in range(40):
        example = live_example(window(), [0.5] * 4, WORDS, PartProfile(WORDS), ALWAYS, rng)
        wishes = example.features[44:56, 96:]
        assert (wishes[[0, 6]] == UNKNOWN).all()
        told += (wishes != UNKNOWN).any()
        assert ((wishes == UNKNOWN) | ((wishes >= 0) & (wishes <= 1))).all()
    assert told > 10


def test_a_batch_asks_for_what_is_hidden_and_knows_the_answers() -> None:
    batch = live_batch(
        [window(), window(8, 3), window(8, 4, empty=("piano",))],
        32,
        WORDS,
        PartProfile(WORDS),
        Chances(),
        np.random.default_rng(8),
    )
    tokens = batch["tokens"]
    assert tokens.shape == (3, 14, 224)
    assert batch["features"].shape == (3, BAND_FEATURES, 224)
    masked = 0
    for track, role in enumerate(ROLES):
        items, columns = np.divmod(batch[f"cells_{role}"], 224)
        assert (tokens[items, 2 * track, columns] == WORDS.mask).all()
        masked += len(items)
        answers = batch[f"answer_{role}"]
        assert ((answers >= 0) & (answers <= len(WORDS.ranges[role]))).all()
        assert (batch[f"weight_{role}"] >= 1.0).all()
    assert masked == (tokens[:, :12:2] == WORDS.mask).sum()
    answers = batch["answer_duration"]
    assert ((answers >= 0) & (answers < PAD)).all()
    assert not (tokens[2, 8:10] == WORDS.mask).any()
    assert batch["targets"].min() > 0


def test_the_same_random_numbers_give_the_same_batch() -> None:
    one, two = (
        live_batch([window()] * 2, 32, WORDS, PartProfile(WORDS), Chances(), np.random.default_rng(9)) for _ in range(2)
    )
    assert all(np.array_equal(one[name], two[name]) for name in one)
