"""Work beside a voice's sound is done once, and what goes wrong in it is told to who asks for its result."""

import threading

import pytest

from engine.worker.background import BackgroundTask


def test_without_time_it_is_done_when_its_result_is_wanted() -> None:
    asked: list[int] = []
    ahead = BackgroundTask(lambda: asked.append(1) or "made", threaded=False)
    assert ahead.done
    assert not asked
    assert [ahead.result(), ahead.result()] == ["made", "made"]
    assert asked == [1]


def test_with_time_it_is_done_in_another_thread() -> None:
    may_end, began = threading.Event(), threading.Event()

    def work() -> int:
        began.set()
        assert may_end.wait(30.0)
        return threading.get_ident()

    ahead = BackgroundTask(work, threaded=True)
    assert began.wait(30.0)
    assert not ahead.done
    may_end.set()
    while not ahead.done:
        pass
    assert ahead.result() != threading.get_ident()
    assert ahead.seconds > 0.0


@pytest.mark.parametrize("threaded", [False, True])
def test_what_goes_wrong_is_raised_where_the_result_is_asked_for(threaded: bool) -> None:
    ahead = BackgroundTask(lambda: 1 // 0, threaded=threaded)
    while not ahead.done:
        pass
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            ahead.result()
