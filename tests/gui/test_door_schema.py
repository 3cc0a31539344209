"""What schemathesis asks of every route below /api/v1: right and wrong requests alike."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import schemathesis.specs.openapi.checks as openapi_checks
from far_harness import door_over, store_yard, token_of
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from selector_world import insert_world, make_world

from gui.door.tus import PIECE_TYPE

WANTED = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
AWAY = (503, 507)
"""What the engine's being away is: no fault of the port's."""
LEFT_OUT = {"/api/v1/events/follow"}
"""What has no end of its own."""
PATIENCE_S = 600.0

schemathesis.serializer.alias(PIECE_TYPE, "application/octet-stream")


@pytest.fixture
def described(store, database_url: str) -> Iterator[Any]:
    """The description of a port over a filled database, whose engine is away."""
    with store_yard(store(2, started=False), database_url, "trial_workflows") as yard:
        yard.start_redis()
        insert_world(yard.database, make_world(5))
        with door_over(yard) as app:
            token = token_of(yard, "admin")
            headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}
            schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=headers)
            schema.config.update(headers=headers, request_timeout=PATIENCE_S)
            yield schema


@pytest.mark.fault
@pytest.mark.seconds(60)
def test_schemathesis_finds_nothing(described: Any, pytestconfig: pytest.Config):
    long_s = pytestconfig.getoption("--door-seconds")
    deadline = time.monotonic() + long_s
    seen: Counter[tuple[str, int]] = Counter()
    begun, found = 1, []
    while begun == 1 or time.monotonic() < deadline:
        for result in described.get_all_operations():
            try:
                _ask(result.ok(), begun, seen)
            except (FailureGroup, AssertionError) as error:
                told = getattr(error, "exceptions", [error])
                found += [f"{result.ok().label}: {one!r} {one}" for one in told]
        begun += 1
    assert found == [], "\n".join(found)
    statuses = {status for _, status in seen}
    assert {200, 400, 404, 422, 503} <= statuses, statuses
    print(f"{sum(seen.values())} requests: {Counter(status for _, status in seen.elements())}")


def _ask(operation: Any, number: int, seen: Counter[tuple[str, int]]) -> None:
    if operation.path in LEFT_OUT:
        return
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    right, wrong = [operation.as_strategy(generation_mode=mode) for mode in modes]

    @seed(number)
    @settings(
        max_examples=2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong)
    def check(case: Any) -> None:
        response = case.call()
        seen[operation.label, response.status_code] += 1
        assert response.status_code < 500 or response.status_code in AWAY, response.text
        assert response.status_code != 503 or response.headers["retry-after"] == ["3"]
        case.validate_response(response, checks=WANTED)

    check()
