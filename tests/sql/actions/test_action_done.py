"""Done means one thing: every place that asks for it answers from the view node_action_done."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from test_action_book import World

from sql import Condition, Database, DatasetQuestion, PhysicalNode, Selector, WriteIntent, key_of
from sql.selector.selector import ActionState, PipelineState


@pytest.fixture
def world(database: Database) -> World:
    world = World(database)
    contents = tuple(
        PhysicalNode(key=key, size_bytes=1, extension="png") for key in world.keys
    )  # fmt: skip
    database.apply_intent(WriteIntent(intent_id="contents", physical_nodes=contents))
    database.action_context.declare_pipeline("looks", [50], "")
    return world


def places(world: World, batch: int) -> dict[str, set[str] | int | None]:
    """What each place says of a batch of all nodes: keys that are done, or how many."""
    database = world.database

    def selected(**condition: object) -> set[str]:
        found = Selector(version=1, where=Condition(is_physical=True, **condition))  # pyright: ignore[reportArgumentType]
        return {row.key for row in database.query_nodes(found)}

    def in_dataset(pipelines: tuple[str, ...] | None) -> set[str]:
        with database.datasets.candidates(
            "d", DatasetQuestion(Selector(version=1), pipelines)
        ) as one:
            group = np.unique(one.groups().group)
            one.assign(group, np.zeros(len(group), np.int64))
            return {row.key for row in one.rows()}

    (card,) = [one for one in database.run_summary.board() if one.action_batch_id == batch]
    (of_batch,) = database.actions.pipeline_state(batch).pipelines
    (of_pipeline,) = database.pipelines.state("looks").batches
    first_open = database.action_context.first_open_stage("looks", batch)
    assert of_batch.current_stage == of_pipeline.current_stage == first_open == card.stage_id
    return {
        "selector of the action": selected(action=ActionState(name="look")),
        "selector of the pipeline": selected(pipeline=PipelineState(name="looks")),
        "dataset of enrolled batches": in_dataset(None),
        "dataset that names the pipeline": in_dataset(("looks",)),
        "state of the batch": of_batch.stages[0].nodes_done,
        "state of the pipeline": of_pipeline.stages[0].nodes_done,
        "card of the board": card.nodes_done if card.stage_id else 10,
        "stage": first_open,
    }


def test_every_place_says_the_same_of_a_run_that_ended_partially(world: World):
    batch = world.batch(world.nodes)
    world.database.pipelines.enrol("looks", [batch])
    event = world.begin(batch, "run:1")
    world.finish(event, world.nodes[:6])
    world.finish(event, world.nodes[6:], "missing")
    done: set[str] | int
    for state in ("open", "partial"):
        if state == "partial":
            assert world.book.end_event(event) == state
        for place, found in places(world, batch).items():
            done = set(world.keys[:6]) if isinstance(found, set) else 6
            assert found == (1 if place == "stage" else done), (state, place)
    # The rest by another version over another batch: the event of the first one stays partial.
    other = world.batch(world.nodes[6:])
    again = world.begin(other, "run:2", version=2)
    world.finish(again, world.nodes[6:])
    assert world.book.end_event(again) == "done"
    for place, found in places(world, batch).items():
        done = set(world.keys) if isinstance(found, set) else 10
        assert found == (None if place == "stage" else done), place


@pytest.mark.parametrize("how", ["at once", "at its end"])
def test_an_event_without_nodes_of_its_own_is_done_for_all_of_its_batch(world: World, how: str):
    batch = world.batch(world.nodes[:3])
    world.database.pipelines.enrol("looks", [batch])
    if how == "at once":
        world.database.actions.record_action_history(50, batch, "done")
    else:
        event = world.database.actions.record_action_history(50, batch, "running")
        assert places(world, batch)["selector of the action"] == set()
        world.database.actions.change_action_history(event, "done")
    assert places(world, batch)["selector of the action"] == {key_of(f"n{n}") for n in range(3)}


def test_work_that_was_done_elsewhere_is_counted_where_it_was_done(world: World):
    first = world.batch(world.nodes[:4])
    world.finish(world.begin(first, "run:1"), world.nodes[:4])
    whole = world.batch(world.nodes)
    event = world.begin(whole, "run:2")
    world.finish(event, world.nodes[4:])
    assert world.book.end_event(event) == "done"
    assert world.book.outcome_counts(event) == {"done": 6}


@pytest.mark.parametrize("flag", ["is_delete", "in_black_list"])
def test_a_stage_does_not_wait_for_hidden_nodes(world: World, flag: str):
    batch = world.batch(world.nodes)
    world.database.pipelines.enrol("looks", [batch])
    world.finish(event := world.begin(batch, "run:1"), world.nodes[:9])
    (place,) = world.database.actions.pipeline_state(batch).pipelines
    assert (place.current_stage, place.stages[0].nodes_done, place.stages[0].done) == (1, 9, False)
    with world.database.connection() as connection:
        hide = f"UPDATE physical_content SET {flag} = true WHERE node_id = %s"
        connection.execute(hide, [world.nodes[9]])  # pyright: ignore[reportArgumentType]
    (place,) = world.database.actions.pipeline_state(batch).pipelines
    assert (place.current_stage, place.stages[0].nodes_done, place.stages[0].done) == (
        None,
        9,
        True,
    )
    (of_pipeline,) = world.database.pipelines.state("looks").batches
    assert (of_pipeline.current_stage, of_pipeline.stages) == (None, place.stages)
    # The run itself says that not every node was done.
    assert world.book.end_event(event) == "partial"


def test_who_enrols_the_same_batches_in_another_order_waits(world: World, database_url: str):
    first, second = world.batch(world.nodes[:5]), world.batch(world.nodes[5:])
    enrol = (
        "INSERT INTO pipeline_enrolment (pipeline_id, action_batch_id, enrolled_by)"
        " SELECT id, %s, 'other' FROM pipeline WHERE name = 'looks'"
    )
    waits = "SELECT FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
    with (
        ThreadPoolExecutor(1) as threads,
        psycopg.connect(database_url) as other,
        psycopg.connect(database_url, autocommit=True) as watcher,
    ):
        other.execute(enrol, [first])
        enrolled = threads.submit(world.database.pipelines.enrol, "looks", [second, first])
        while not watcher.execute(waits).rowcount:
            threading.Event().wait(0.01)
        other.execute(enrol, [second])
        other.commit()
        assert enrolled.result(60) == 0
