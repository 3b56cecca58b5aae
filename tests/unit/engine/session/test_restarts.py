"""A worker that ends is followed by another: from its last state, unless that may be what ended it."""

from typing import Any

import pytest

from engine.session.restarts import Restarts
from engine.session.slot import Slot


class _Ended:
    """A worker that has ended and saved a state, or none."""

    def __init__(self, saved: tuple[int, bytes] | None) -> None:
        self.ring, self.saved = self, saved

    def load(self) -> tuple[int, bytes] | None:
        return self.saved


def slot(
    number: int = 1, *, begun_s: float = 0.0, resumed: bool = False, ready: bool = True,
    saved: tuple[int, bytes] | None = (7, b"state"),
) -> Slot:  # fmt: skip
    worker: Any = _Ended(saved)
    return Slot(number, worker, "tone", 0, begun_s, {}, resumed, controls=object() if ready else None)


def test_the_next_worker_begins_with_the_state_of_the_one_that_ended() -> None:
    restarts = Restarts()
    restarts.ended(slot(3), 100.0)
    assert restarts.snapshot == (3, 7, b"state")
    restarts.ended(slot(4, begun_s=100.0, resumed=True, saved=(9, b"later")), 105.0)
    assert restarts.snapshot == (4, 9, b"later")


@pytest.mark.parametrize("saved", [(9, b"later"), None])
def test_a_worker_that_dies_soon_after_it_was_resumed_is_followed_by_one_from_its_seed(saved: Any) -> None:
    """Its snapshot, or what it saved from there, may be what ended it."""
    restarts = Restarts()
    restarts.ended(slot(3), 100.0)
    restarts.ended(slot(4, begun_s=100.0, resumed=True, saved=saved), 104.9)
    assert restarts.snapshot is None


def test_a_worker_that_cannot_open_its_snapshot_is_followed_by_one_from_its_seed() -> None:
    restarts = Restarts()
    restarts.ended(slot(3), 100.0)
    restarts.ended(slot(4, begun_s=100.0, resumed=True, ready=False, saved=None), 100.5)
    assert restarts.snapshot is None
    assert restarts.due_s is not None


def test_a_worker_from_its_seed_that_dies_early_keeps_what_it_saved() -> None:
    restarts = Restarts()
    restarts.ended(slot(3, begun_s=100.0), 100.6)
    assert restarts.snapshot == (3, 7, b"state")


def test_it_is_started_again_later_and_later_and_then_given_up() -> None:
    restarts, waits = Restarts(), []
    for number in range(6):
        restarts.ended(slot(number), 100.0)
        assert restarts.due_s is not None
        waits.append(restarts.due_s - 100.0)
    assert waits == [0.0, 0.0, 0.5, 1.0, 2.0, 4.0]
    assert not restarts.due(103.99)
    assert restarts.due(104.0)
    restarts.ended(slot(6), 100.0)
    assert (restarts.due_s, restarts.failures) == (None, 7)


def test_failures_of_more_than_a_minute_ago_do_not_count() -> None:
    restarts = Restarts()
    for number in range(6):
        restarts.ended(slot(number), 100.0)
    restarts.ended(slot(6), 160.0)
    assert (restarts.failures, restarts.due_s) == (1, 160.0)


def test_a_bundle_that_was_never_open_is_not_tried_again() -> None:
    restarts = Restarts()
    restarts.ended(slot(ready=False, saved=None), 100.0)
    assert (restarts.due_s, restarts.failures) == (None, 1)
    assert not restarts.due(1e9)


def test_an_unloaded_voice_is_not_started_again_and_another_bundle_begins_anew() -> None:
    restarts = Restarts()
    for number in range(6):
        restarts.ended(slot(number), 100.0)
    restarts.cancel()
    assert (restarts.due_s, restarts.snapshot, restarts.failures) == (None, None, 6)
    restarts.reset()
    assert restarts.failures == 0
