"""Tasks that are pushed while Redis is away, or is asked again: none is taken for delivered."""

from __future__ import annotations

import os

import pytest
from jobs_harness import Yard

from base.network.breaker import FAILURES_MAX, Breaker
from jobs.core.errors import RedisUnavailableError
from jobs.queues import redis_server
from jobs.queues.queues import DEPTH, Deliverer
from jobs.queues.redis_server import connect


@pytest.mark.fault
def test_what_could_not_be_pushed_is_still_due(yard: Yard):
    now_s = 0.0
    deliverer = Deliverer(connect(yard.config), yard.config.queues)
    breaker = deliverer.breaker = Breaker(lambda: now_s)
    redis_server.stop(yard.config)
    yard.control.start("nothing", {"folder": os.path.join(yard.root, "traces")})
    for _ in range(FAILURES_MAX):
        assert breaker.state == "closed"
        with pytest.raises(RedisUnavailableError):
            deliverer.push_due(yard.database)
    assert breaker.state == "open"
    redis_server.start(yard.config)
    now_s = 10.0
    assert breaker.state == "half_open"
    with breaker.passing(AssertionError, lambda _: True), pytest.raises(RedisUnavailableError):
        deliverer.push_due(yard.database)  # Another asks just now.
    (due,) = yard.database.runs.due_tasks(yard.config.queues, DEPTH)
    assert deliverer.missing([due]) == [due]
