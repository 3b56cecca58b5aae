"""The Job protocol as checks: each takes a way to begin a job, and fails with what was broken.

A new job proves itself by one line in test_jobs.py.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from engine.protocols.streamer import Job, Progress, finish, work


@dataclass(frozen=True)
class Case:
    """A job to be checked.

    Args:
        begin: makes the job anew, each time the same.
        same: whether two results are the same.
        untouched: whether a result left alone all that it was not asked to change.
    """

    begin: Callable[[], Job[Any]]
    same: Callable[[Any, Any], bool]
    untouched: Callable[[Any], bool]


CHECKS: list[Callable[[Case], None]] = []


def check(function: Callable[[Case], None]) -> Callable[[Case], None]:
    CHECKS.append(function)
    return function


@check
def progress_only_rises_and_arrives(case: Case) -> None:
    told: list[Progress] = []
    work(case.begin(), told.append)
    assert told, "a job says at least once how far it is"
    assert len({each.total for each in told}) == 1
    assert all(0 <= each.done <= each.total for each in told)
    assert all(a.done <= b.done for a, b in pairwise(told))
    assert told[-1].done == told[-1].total


@check
def the_same_job_gives_the_same_result(case: Case) -> None:
    assert case.same(work(case.begin()), work(case.begin()))


@check
def what_was_not_asked_for_is_left_alone(case: Case) -> None:
    assert case.untouched(work(case.begin()))


@check
def it_can_be_closed_at_any_moment(case: Case) -> None:
    whole: list[Progress] = []
    result = work(case.begin(), whole.append)
    for steps in range(len(whole) + 1):
        job = case.begin()
        for _ in range(steps):
            next(job)
        job.close()
        job.close()
    del job
    gc.collect()  # what a job let go of with a warning fails here
    assert case.same(work(case.begin()), result), "a cancelled job leaves nothing behind"


@check
def it_can_end_early_at_any_moment(case: Case) -> None:
    whole: list[Progress] = []
    work(case.begin(), whole.append)
    for steps in range(len(whole)):
        job = case.begin()
        told = [next(job) for _ in range(steps)]
        result = work(job, told.append, late=lambda: True)
        assert len(told) <= steps + 1, "asked to end, it does not go on working"
        assert case.untouched(result)
    assert case.untouched(finish(case.begin()))
