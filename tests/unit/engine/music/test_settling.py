"""A chord stays while it is let go, in any order, and the next one is known as soon as its keys are at rest."""

from itertools import combinations, permutations, product

import pytest

from engine.music.harmony import QUALITIES, Chord, recognise
from engine.music.settling import LONGEST_S, REST_S, SETTLE_S, SettledKeys

TRIADS = ("maj", "min", "dim", "aug")
SEVENTHS = ("7", "maj7", "min7", "min7b5", "dim7")
ROOTS = range(48, 60)


class Hand:
    """Moves keys in simulated time, polled every 5 ms as a port does, and notes each chord."""

    def __init__(self) -> None:
        self.keys, self.held, self.now_s = SettledKeys(), set[int](), 0.0
        self.chords: list[tuple[float, Chord]] = []

    def _take(self, changes: list[tuple[int, ...]]) -> None:
        for pitches in changes:
            chord = recognise(pitches)
            if chord is not None:
                self.chords.append((self.now_s, chord))

    def wait(self, seconds: float) -> "Hand":
        end = self.now_s + seconds
        while self.now_s < end:
            self.now_s += 0.005
            if self.now_s >= self.keys.due_s:
                self._take(self.keys.poll(self.now_s))
        return self

    def move(self, keys: tuple[int, ...], gap_s: float, *, down: bool) -> "Hand":
        for key in keys:
            (self.held.add if down else self.held.discard)(key)
            self._take(self.keys.feed(tuple(sorted(self.held)), self.now_s))
            self.wait(gap_s)
        return self

    @property
    def chord(self) -> Chord | None:
        return self.chords[-1][1] if self.chords else None


def _keys(quality: str, root: int) -> tuple[int, ...]:
    return tuple(root + step for step in QUALITIES[quality])


@pytest.mark.parametrize("quality", [q for q in (*TRIADS, *SEVENTHS) if q in QUALITIES])
@pytest.mark.parametrize("gap_s", [0.0, 0.005, 0.015, 0.04])
def test_letting_go_in_any_order_leaves_the_chord(quality: str, gap_s: float) -> None:
    for root in ROOTS:
        keys = _keys(quality, root)
        for order in permutations(keys):
            hand = Hand().move(keys, 0.004, down=True).wait(0.4)
            meant = recognise(keys)
            assert hand.chord == meant
            hand.move(order, gap_s, down=False).wait(1.0)
            assert [chord for _, chord in hand.chords] == [meant], (quality, root, order)


@pytest.mark.parametrize("gap_s", [0.0, 0.015, 0.03])
def test_a_short_chord_counts_although_it_is_let_go_at_once(gap_s: float) -> None:
    for order in permutations((60, 64, 67)):
        hand = Hand().move((60, 64, 67), 0.0, down=True).wait(0.02).move(order, gap_s, down=False).wait(1.0)
        assert [str(chord) for _, chord in hand.chords] == ["C"], order


@pytest.mark.parametrize("gap_s", [0.005, 0.02, 0.04])
@pytest.mark.parametrize("late_s", [0.0, 0.02, 0.04, 0.1])
def test_legato_gives_the_new_chord_within_60_ms_of_its_last_key(gap_s: float, late_s: float) -> None:
    for low, high in combinations([_keys(q, r) for q in ("maj", "min", "7") for r in (48, 50, 55)], 2):
        if set(low) <= set(high) or set(high) <= set(low):
            continue
        hand = Hand().move(low, 0.0, down=True).wait(0.8)
        fresh, stale = tuple(k for k in high if k not in low), tuple(k for k in low if k not in high)
        hand.move(fresh, gap_s, down=True).wait(late_s)
        for key in stale[:-1]:
            hand.move((key,), gap_s, down=False)
        hand.move(stale[-1:], 0.0, down=False)
        last_s = hand.now_s
        hand.wait(0.061)
        assert hand.chord == recognise(high), (low, high)
        assert hand.chords[-1][0] <= last_s + 0.060
        quick = late_s + gap_s < SETTLE_S and last_s - 0.8 < LONGEST_S
        assert not quick or len(hand.chords) == 2, "no third chord on the way"


@pytest.mark.parametrize("lifted_s", [0.0, 0.015, 0.03, 0.04])
def test_legato_is_known_within_60_ms_of_the_last_key_pressed_without_a_third_chord(lifted_s: float) -> None:
    wrong = []
    for before, after in product((*TRIADS, *SEVENTHS), repeat=2):
        for root in ROOTS:
            low, high = _keys(before, root), _keys(after, 48 + (7 * root + len(before)) % 12)
            if set(low) <= set(high) or set(high) <= set(low) or recognise(low) == recognise(high):
                continue
            hand = Hand().move(low, 0.0, down=True).wait(0.4)
            fresh, stale = [k for k in high if k not in low], [k for k in low if k not in high]
            hand.move(tuple(fresh), 0.0, down=True)
            pressed_s = hand.now_s
            hand.wait(lifted_s).move(tuple(stale), 0.0, down=False).wait(0.061)
            known_s = hand.chords[-1][0] - pressed_s
            if len(high) > len(low) and len(fresh) < len(high):  # keys may have been added: the hand is waited for
                known_s -= lifted_s
            if [c for _, c in hand.chords] != [recognise(low), recognise(high)] or known_s > 0.06:
                wrong.append((low, high, [str(c) for _, c in hand.chords], known_s))
    assert not wrong, wrong[:5]


def test_a_chord_rolled_slowly_is_not_taken_for_a_change_when_it_is_let_go_slowly() -> None:
    for keys, gap_s in product(((60, 64, 67), (60, 64, 67, 71)), (0.05, 0.1, 0.14)):
        for order in permutations(keys):
            hand = Hand().move(keys, gap_s, down=True).wait(0.01)
            hand.move(order, 0.06, down=False).wait(1.0)
            assert hand.chord == recognise(keys), (keys, gap_s, order, [str(c) for _, c in hand.chords])


def test_common_tones_of_a_legato_change_may_be_let_go_first() -> None:
    hand = Hand().move((60, 64, 67), 0.0, down=True).wait(0.5)
    hand.move((59, 62), 0.0, down=True).wait(0.04).move((60, 64), 0.0, down=False).wait(0.2)
    assert str(hand.chord) == "G/B"
    hand.move((67, 59, 62), 0.015, down=False).wait(1.0)
    assert str(hand.chord) == "G/B"


def test_a_hand_that_rests_on_fewer_keys_means_them() -> None:
    hand = Hand().move((60, 64, 67, 70), 0.0, down=True).wait(0.5)
    assert str(hand.chord) == "C7"
    hand.move((70,), 0.0, down=False).wait(REST_S - 0.02)
    assert str(hand.chord) == "C7"
    hand.wait(0.04)
    assert str(hand.chord) == "C"


def test_keys_pressed_without_end_are_taken_as_they_are() -> None:
    hand = Hand().move((60, 64, 67, 72, 76, 79), 0.03, down=True)
    assert hand.chords
    assert hand.chords[0][0] <= LONGEST_S + 0.031


def test_a_grazed_key_changes_nothing() -> None:
    hand = Hand().move((60, 64, 67), 0.0, down=True).wait(0.5)
    hand.move((66,), 0.02, down=True).move((66,), 0.0, down=False).wait(1.0)
    assert [str(chord) for _, chord in hand.chords] == ["C"]


def test_when_no_key_is_held_that_is_known_at_once() -> None:
    keys = SettledKeys()
    keys.feed((60, 64, 67), 0.0)
    assert keys.poll(0.05) == [(60, 64, 67)]
    assert keys.feed((), 0.06) == [()]
    assert keys.pitches == ()
