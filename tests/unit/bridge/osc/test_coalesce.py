"""Of many values in a short time the last is taken."""

from bridge.osc.coalesce import TICK_S, Coalescer
from engine.messages.session import Set


def change(name: str, value: float) -> Set:
    return Set(("tone", name), value)


def test_a_single_change_goes_at_once() -> None:
    held: Coalescer[str] = Coalescer()
    assert held.offer([change("gain", -1.0)], "me", 5.0) == [(change("gain", -1.0), "me")]
    assert held.wait_s(5.0) is None


def test_of_many_changes_in_a_tick_the_last_is_made_at_its_end() -> None:
    held: Coalescer[str] = Coalescer()
    held.offer([change("gain", 0.0)], "me", 5.0)
    for step in range(1, 10):
        assert held.offer([change("gain", -float(step))], "me", 5.0 + step * 1e-4) == []
    assert held.take_due(5.0 + 0.9 * TICK_S) == []
    assert held.wait_s(5.001) is not None
    assert held.take_due(5.0 + TICK_S) == [(change("gain", -9.0), "me")]
    assert held.coalesced == 8
    assert held.take_due(6.0) == []


def test_controls_change_in_the_order_they_were_sent() -> None:
    held: Coalescer[str] = Coalescer()
    held.offer([change("gain", 0.0)], "me", 5.0)
    assert held.offer([change("gain", -1.0)], "me", 5.0005) == []
    assert held.offer([change("click", 1.0)], "me", 5.0006) == []  # though nobody touched it lately
    assert held.offer([change("gain", -2.0)], "me", 5.0007) == []
    assert held.flush(5.001) == [(change("click", 1.0), "me"), (change("gain", -2.0), "me")]


def test_changes_of_one_packet_stay_together() -> None:
    held: Coalescer[str] = Coalescer()
    held.offer([change("gain", 0.0)], "me", 5.0)
    pair = [change("click", 0.1), change("gain", -3.0)]
    assert held.offer(pair, "me", 5.0001) == []
    assert [each for each, _ in held.take_due(5.1)] == pair


def test_after_the_tick_a_change_goes_at_once_again() -> None:
    held: Coalescer[str] = Coalescer()
    held.offer([change("gain", 0.0)], "me", 5.0)
    assert len(held.offer([change("gain", -1.0)], "me", 5.0 + 1.01 * TICK_S)) == 1
