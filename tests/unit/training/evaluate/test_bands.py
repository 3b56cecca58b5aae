"""What is measured of a band, and what simple players do."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine.music.score import ROLES
from engine.music.vocabulary import PAD
from tests.unit.training.band import TRIADS, dictionary, grid, write_store
from training.data.grids import Grids
from training.evaluate.band_baselines import BarLibrary, chord_random, copy_bar
from training.evaluate.bands import ACCOMPANIMENT, Bands, compare, divergence
from training.evaluate.sampler import Question, draw_classes, fill

WORDS = dictionary()
BANDS = Bands(WORDS)


def row(role: str) -> int:
    return 2 * ROLES.index(role)


def test_divergence_is_of_made_from_real() -> None:
    one, two = np.array([3.0, 1.0]), np.array([1.0, 1.0])
    assert divergence(one, two) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), abs=1e-5)
    assert divergence(two, one) == pytest.approx(0.5 * np.log(2 / 3) + 0.5 * np.log(2.0), abs=1e-5)
    assert divergence(one, one) == 0.0
    assert divergence(np.array([1.0, 0.0]), np.array([0.0, 1.0])) > 13
    assert divergence(np.zeros(4), np.zeros(4)) == 0.0


def test_histograms_count_what_is_written() -> None:
    made = grid(WORDS, 4)
    assert BANDS.onsets(made, "bass").sum() == 4
    assert {p for p in range(128) if BANDS.pitches(made, "piano")[p]} == {60 + step for t in TRIADS for step in t}
    assert BANDS.pitches(made, "drum")[[36, 38, 42]].tolist() == [8, 8, 16]
    assert BANDS.durations(made, "piano").tolist() == [0] * 5 + [4] + [0] * 9
    assert BANDS.gaps(made, "lead").tolist() == [0] * 4 + [15] + [0] * 60
    low_long = made.copy()
    low_long[row("piano") + 1, 0] = WORDS.length(8, 3)
    assert BANDS.durations(low_long, "piano").tolist() == [0, 0, 0, 0.5, 0, 3, 0, 0, 0.5, *[0] * 6]
    far = np.full((14, 160), PAD)
    far[2, [0, 150]] = WORDS.ranges["bass"].start + 40
    assert BANDS.gaps(far, "bass")[64] == 1


def test_the_real_playing_differs_in_nothing_from_itself() -> None:
    songs = [grid(WORDS, 8, seed) for seed in range(1, 5)]
    same = compare(songs, songs, BANDS)
    numbers = same.numbers()
    assert all(numbers[name] == 0.0 for name in numbers if "kl" in name or name in ("density_error", "out_of_key"))
    assert same.chord_accuracy > 0.7  # a bass alone may be heard as another chord of the same root
    assert same.density == pytest.approx((1 + 4 + 1 + 1 + 1) / 5)
    assert same.pad_share == pytest.approx(1 - 1.6 / 16)


def test_wrong_chords_lengths_and_rhythms_are_seen_by_their_own_measure() -> None:
    real = [grid(WORDS, 8, 1)]
    same = compare(real, real, BANDS)
    moved = real[0].copy()
    moved[row("piano"), moved[row("piano")] != PAD] = WORDS.token("piano", (60 + 1, 64 + 1, 67 + 1))
    wrong = compare(real, [moved], BANDS)
    assert wrong.chord_accuracy < same.chord_accuracy
    assert wrong.kl_pitch > 0
    assert wrong.kl_duration == wrong.kl_ioi == 0.0
    assert wrong.out_of_key > 0
    longer = real[0].copy()
    longer[row("piano") + 1, longer[row("piano") + 1] != PAD] = 11
    assert compare(real, [longer], BANDS).kl_duration > 0
    late = real[0].copy()
    late[:12] = np.roll(late[:12], 3, axis=1)
    late[row("drum") : row("drum") + 2, 3::8] = PAD
    busy = compare(real, [late], BANDS)
    assert busy.kl_ioi > 0
    silent = real[0].copy()
    silent[2:12] = PAD
    nothing = compare(real, [silent], BANDS)
    assert nothing.pad_share == 1.0
    assert nothing.density == 0.0
    assert nothing.chord_accuracy == 0.0


def test_copying_repeats_one_bar_and_leaves_the_lead() -> None:
    song = grid(WORDS, 6, 3)
    made = copy_bar(song, 32, song[:, 16:32])
    assert np.array_equal(made[:, :32], song[:, :32])
    assert np.array_equal(made[[0, 1, 12, 13]], song[[0, 1, 12, 13]])
    for bar in range(2, 6):
        assert np.array_equal(made[2:12, 16 * bar : 16 * bar + 16], song[2:12, 16:32])


def test_random_chord_tones_are_chord_tones_as_dense_as_asked() -> None:
    song = grid(WORDS, 40, 4)
    rates = dict.fromkeys(ACCOMPANIMENT, 0.25)
    made = chord_random(song, 0, rates, WORDS, np.random.default_rng(0))
    for role in ACCOMPANIMENT:
        assert BANDS.onsets(made, role).mean() == pytest.approx(0.25, abs=0.06)
        if role == "drum":
            continue
        for column in np.nonzero(BANDS.onsets(made, role))[0]:
            number = (0, 5, 7, 9).index(int(song[12, column]) - WORDS.roots.start)
            classes = {step % 12 for step in TRIADS[number]}
            assert {pitch % 12 for pitch in WORDS.pitches(int(made[row(role), column]))} <= classes


def test_retrieved_bars_are_of_the_training_side_and_have_the_chord(tmp_path: Path) -> None:
    store = Grids(write_store(tmp_path))
    library = BarLibrary(store)
    assert library.rates["bass"] == pytest.approx(1 / 16)
    song = store.whole(0).grid
    made = library.retrieve(song, 0, np.random.default_rng(1))
    known = set()
    for index in store.pieces(held_out=False):
        whole = store.whole(index).grid
        known |= {whole[2:12, at : at + 16].tobytes() for at in range(0, whole.shape[1], 16)}
    for bar in range(8):
        assert np.ascontiguousarray(made[2:12, 16 * bar : 16 * bar + 16]).tobytes() in known
        number = (0, 5, 7, 9).index(int(song[12, 16 * bar]) - WORDS.roots.start)
        assert WORDS.pitches(int(made[2, 16 * bar])) == (36 + TRIADS[number][0],)
    assert np.array_equal(made[[0, 1, 12, 13]], song[[0, 1, 12, 13]])


def test_classes_are_drawn_as_often_as_they_are_likely() -> None:
    logits = np.tile(np.log(np.array([[0.7, 0.2, 0.1]], np.float32)), (20000, 1))
    shares = np.bincount(draw_classes(logits, np.random.default_rng(0)), minlength=3) / 20000
    assert np.allclose(shares, [0.7, 0.2, 0.1], atol=0.015)
    cold = np.bincount(draw_classes(logits, np.random.default_rng(0), 0.1), minlength=3) / 20000
    assert cold[0] > 0.99
    assert len(draw_classes(np.zeros((0, 5), np.float32), np.random.default_rng(0))) == 0


@pytest.mark.parametrize("steps", [1, 3, 12])
def test_filling_finds_all_targets_and_touches_nothing_else(steps: int) -> None:
    """A network that knows the truth: what comes out is the truth, whatever the number of passes."""
    truth = np.stack([grid(WORDS, 2, 5), grid(WORDS, 2, 6)])
    truth[:, row("piano") + 1, 0] = WORDS.length(8, 3)
    targets = np.zeros((2, 6, 32), bool)
    targets[:, 1:] = True
    targets[0, 3, :7] = False
    shares = []

    def predict(question: Question):
        shares.append(question.share)
        assert (question.tokens[:, :12:2][question.asked] == WORDS.mask).all()
        assert not (question.given[:, :12:2] & targets).any()
        pitch = []
        for track, role in enumerate(ROLES):
            span = WORDS.ranges[role]
            held = truth[:, 2 * track][question.asked[:, track]]
            logits = np.full((len(held), len(span) + 1), -50.0, np.float32)
            logits[np.arange(len(held)), np.where(held == PAD, len(span), held - span.start)] = 50.0
            pitch.append(logits)
        held = truth[:, 1:12:2][question.asked]
        duration = np.full((len(held), len(WORDS.lengths)), -50.0, np.float32)
        duration[np.arange(len(held)), WORDS.length_classes[held]] = 50.0
        return tuple(pitch), duration

    spoiled = truth.copy()
    spoiled[:, :12][np.repeat(targets, 2, axis=1)] = PAD
    features = np.zeros((2, 56, 32), np.float32)
    made = fill(spoiled, targets, features, predict, WORDS, steps=steps, rng=np.random.default_rng(0))
    assert np.array_equal(made, truth)
    assert len(shares) == steps
    assert shares[0] == 1.0
    assert all(a > b for a, b in pairwise(shares))


def test_a_pull_brings_chord_tones_and_leaves_rests_as_they_are() -> None:
    song = grid(WORDS, 40, 7)[None]
    targets = np.zeros((1, 6, 640), bool)
    targets[:, ROLES.index("bass")] = True
    tones = np.zeros((1, 640, 12), bool)
    tones[:, :, [0, 4, 7]] = True

    def predict(question: Question):
        """All pitches alike, as often as rests."""
        pitch = []
        for track, role in enumerate(ROLES):
            count = len(WORDS.ranges[role])
            logits = np.zeros((int(question.asked[:, track].sum()), count + 1), np.float32)
            logits[:, -1] = np.log(count)
            pitch.append(logits)
        return tuple(pitch), np.zeros((int(question.asked.sum()), len(WORDS.lengths)), np.float32)

    made = fill(
        song, targets, np.zeros((1, 56, 640), np.float32), predict, WORDS, steps=1, rng=np.random.default_rng(0),
        tones=tones, pull=20.0,
    )[0]  # fmt: skip
    played = BANDS.onsets(made, "bass")
    assert played.mean() == pytest.approx(0.5, abs=0.08)
    assert {pitch % 12 for token in made[2][played] for pitch in WORDS.pitches(int(token))} == {0, 4, 7}
    assert len(set(made[3][played].tolist())) == len(WORDS.lengths) - 1
