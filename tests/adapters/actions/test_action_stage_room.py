"""Parts are cut to the room of the stage; what never fits fails at once, with the same sentence."""

from __future__ import annotations

import os
from pathlib import Path

import action_contracts
import pytest
from action_stage_world import IMAGES, World, load, make_world, picture
from ingest_harness import House
from store_harness import with_quota

from adapters.actions import (
    declare_contract,
    dry_run_action,
    make_batch,
    plan_parts,
    release_part,
    stage_limit_bytes,
    stage_part,
)
from adapters.actions.stage.parts import cut_for
from adapters.records.errors import SpaceError
from base.errors import UsageError

MB = 1_000_000
QUOTA_BYTES = 8 * MB


@pytest.fixture
def house(houses) -> House:
    """A house whose stage holds 8 MB."""
    made = houses()
    made.store.stop()
    made.store.config = with_quota(made.store.root, stage_bytes=QUOTA_BYTES)
    made.store.start()
    return made


def contract(tmp_path: Path, written_bytes: int = MB):
    text = action_contracts.AC2.replace(
        "  runner: shell", f"  runner: shell\n  output_bytes_max: {written_bytes}"
    )
    return load(tmp_path, text, f"written-{written_bytes}")


def world(house: House, sizes_bytes: list[int]) -> World:
    files = {f"p{n}.png": picture(n).ljust(size, b"x") for n, size in enumerate(sizes_bytes)}
    return make_world(house, files, {})


def test_a_batch_larger_than_the_stage_goes_through_it_two_parts_at_a_time(house, tmp_path):
    made, loaded = world(house, [MB] * 12), contract(tmp_path)
    client, database = house.store.client, house.database
    declare_contract(database, loaded)
    told = dry_run_action(client, database, loaded, IMAGES)
    assert told.room is not None and told.room.verdict == "fits", told.room
    batch = make_batch(database, IMAGES, contract=loaded)
    # As it was until now: one part, which waits for ever.
    [whole] = plan_parts(database, loaded, batch, {})
    with pytest.raises(UsageError, match="part 0 never fits: one part needs"):
        stage_part(client, database, loaded, batch, whole, {})
    parts = plan_parts(database, loaded, batch, {}, stage_limit_bytes(client))
    assert len(parts) == told.parts > 2
    assert sorted(made.ids[f"p{n}.png"] for n in range(12)) == sorted(
        node for part in parts for node in part.node_ids
    )
    before = stage_part(client, database, loaded, batch, parts[0], {})
    for part in parts[1:]:
        staged = stage_part(client, database, loaded, batch, part, {})
        release_part(client, before)
        before = staged
    release_part(client, before)


def test_what_other_work_takes_is_waited_for(house, tmp_path):
    world(house, [MB] * 4)
    loaded, client, database = contract(tmp_path), house.store.client, house.database
    declare_contract(database, loaded)
    batch = make_batch(database, IMAGES, contract=loaded)
    client.stage_output("other", "work/0", QUOTA_BYTES // 2)
    parts = plan_parts(database, loaded, batch, {}, stage_limit_bytes(client))
    stage_part(client, database, loaded, batch, parts[0], {})
    with pytest.raises(SpaceError):
        stage_part(client, database, loaded, batch, parts[1], {})


@pytest.mark.parametrize(
    ("sizes_bytes", "written_bytes"), [([100, 9 * MB, 100], MB), ([100], 9 * MB)]
)
def test_what_never_fits_is_refused_by_the_plan_in_the_words_of_the_dry_run(
    house, tmp_path, sizes_bytes: list[int], written_bytes: int
):
    world(house, sizes_bytes)
    loaded, client, database = contract(tmp_path, written_bytes), house.store.client, house.database
    declare_contract(database, loaded)
    told = dry_run_action(client, database, loaded, IMAGES)
    assert told.room is not None and told.room.verdict == "never"
    batch = make_batch(database, IMAGES, contract=loaded)
    with pytest.raises(UsageError, match=r"node \d+ never fits into the stage: one part needs"):
        plan_parts(database, loaded, batch, {}, stage_limit_bytes(client))
    [part] = plan_parts(database, loaded, batch, {})
    with pytest.raises(UsageError, match="never fits"):
        stage_part(client, database, loaded, batch, part, {})
    assert not os.path.exists(os.path.join(house.area("3c"), str(batch)))


def test_a_large_output_that_is_reserved_in_any_case_does_not_make_a_part_of_every_node(tmp_path):
    nodes = [(number, 1_000) for number in range(1_000)]
    for written_bytes, parts in ((MB, 2), (5 * MB, 3), (7 * MB, 26)):
        loaded = contract(tmp_path, written_bytes)
        made = list(cut_for(loaded.contract, nodes, QUOTA_BYTES))
        assert len(made) == parts
        assert sum(len(part.node_ids) for part in made) == len(nodes)
    assert len(list(cut_for(loaded.contract, nodes, 0))) == 1
