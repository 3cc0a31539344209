"""The page of schemas: a proposal is looked at and accepted; who may not decide sees no button."""

from __future__ import annotations

from collections.abc import Iterator

import gui_harness
import pytest
from gui_harness import Scene
from schema_world import bring_in, rows_of, write

PETS = [{"id": number, "name": f"Rex <b>{number}", "legs": 4} for number in range(25)]


@pytest.fixture
def scene(database_server: str, database_template: str) -> Iterator[Scene]:
    """A store of its own: what comes in here is counted nowhere else."""
    with gui_harness.scene(database_server, database_template) as made:
        yield made


@pytest.mark.asyncio
async def test_a_proposal_is_seen_and_accepted(scene: Scene, tmp_path):
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/schemas")
        await user.should_see("No JSON came in that nobody declared")
        folder = write(str(tmp_path / "pets"), {"pets.jsonl": PETS})
        assert bring_in(scene.database, folder, "pets")[1] == ["pets"]
        await user.open("/schemas?name=pets")
        await user.should_see("waits for an answer")
        await user.should_see('CREATE TABLE "meta_pets"')
        await user.should_see("Rex <b>3")
        await user.should_see("+ pets.own_id bigint")
    async with gui_harness.simulated(scene, "vera") as (user, _):
        await user.open("/schemas?name=pets")
        await user.should_see("Statements")
        await user.should_not_see("Reject")
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/schemas?name=pets")
        user.find("Accept").click()
        await user.should_see("Make the table of pets?")
        user.find("Accept it").click()
        await user.should_see("pets is accepted, 25 rows new")
        await user.should_see("Roll back")
    assert len(rows_of(scene.database, "meta_pets")) == 25
    async with gui_harness.simulated(scene, "ada") as (user, _):
        await user.open("/schemas?name='; DROP TABLE node")
        await user.should_see("Schemas")
        await user.should_not_see("Statements")
