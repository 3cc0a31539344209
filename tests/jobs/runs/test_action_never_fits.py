"""A run whose parts can never be staged fails when it is planned, and does not wait for room."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from action_house import ActionYard, lasting_yard

STAGE_BYTES = 60_000_000
"""Less than what is reserved for the outputs of a part of which the contract says nothing."""


@pytest.fixture
def yard(database_server: str, database_template: str) -> Iterator[ActionYard]:
    with lasting_yard(database_server, database_template, stage_bytes=STAGE_BYTES) as made:
        yield made


def test_a_run_that_never_has_room_fails_at_the_plan_with_the_words_of_the_dry_run(yard):
    yard.add_action("measure_all")
    run_id = yard.act("measure_all")
    yard.hurry(run_id)
    (plan,) = [task for task in yard.database.runs.show(run_id).tasks if task.step == "plan"]
    assert plan.state == "failed" and plan.attempt == 1, yard.story(run_id)
    assert "never fits into the stage: one part needs" in plan.error
    assert f"the stage may hold {STAGE_BYTES:,}" in plan.error
    assert yard.state(run_id) == "failed"
