"""A breaker: who is let through to what fails, hangs, and comes back."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from base.network.breaker import FAILURES_MAX, HANG_S, HANGING_MAX, PAUSE_S, Breaker


class AwayError(Exception):
    """It did not answer."""


class RefusedError(Exception):
    """It was not asked."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def passing(breaker: Breaker):
    return breaker.passing(RefusedError, lambda error: isinstance(error, AwayError))


def ask(breaker: Breaker, error: Exception | None = None) -> None:
    with passing(breaker):
        if error is not None:
            raise error


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(AwayError):
            ask(breaker, AwayError())


def test_after_some_failures_nobody_passes_until_one_is_answered(breaker: Breaker, clock: Clock):
    fail(breaker, FAILURES_MAX - 1)
    ask(breaker)
    fail(breaker, FAILURES_MAX - 1)
    with pytest.raises(ValueError):  # A refusal is an answer.
        ask(breaker, ValueError())
    fail(breaker, FAILURES_MAX)
    assert breaker.state == "open"
    with pytest.raises(RefusedError):
        ask(breaker)
    clock.now_s += PAUSE_S
    assert breaker.state == "half_open"
    with passing(breaker):
        with pytest.raises(RefusedError):
            ask(breaker)
        assert breaker.state == "open", "one at a time"
    assert breaker.state == "closed"
    ask(breaker)


def test_a_try_that_fails_leaves_it_open(breaker: Breaker, clock: Clock):
    fail(breaker, FAILURES_MAX)
    for _ in range(3):
        clock.now_s += PAUSE_S
        fail(breaker, 1)
        with pytest.raises(RefusedError):
            ask(breaker)


def test_calls_that_hang_are_a_failure_unless_others_are_answered(breaker: Breaker, clock: Clock):
    with ExitStack() as stack:
        for _ in range(HANGING_MAX):
            stack.enter_context(passing(breaker))
        clock.now_s += HANG_S
        assert breaker.state == "closed"
        ask(breaker)
        clock.now_s += HANG_S
        assert breaker.state == "closed", "others are answered"
        clock.now_s += 1
        assert breaker.state == "half_open"
        stack.enter_context(passing(breaker))
        clock.now_s += PAUSE_S
        with pytest.raises(RefusedError):  # It would take a thread a second.
            ask(breaker)
        clock.now_s += HANG_S
        assert breaker.state == "half_open"
    assert breaker.state == "closed"
