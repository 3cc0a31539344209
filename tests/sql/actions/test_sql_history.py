"""Action batches, events and pipelines: sealed is sealed, and stages follow from what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from base.errors import UsageError
from sql import Database
from sql.actions.history import (
    ActionHistory,
    add_to_action_batch,
    change_action_history,
    create_action_batch,
    declare_pipeline,
    record_action_history,
    seal_action_batch,
)
from sql.core.errors import NotFoundError, SqlError, StatementError
from sql.intent.intent import VirtualNode, WriteIntent

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def nodes(database: Database) -> list[int]:
    """The ids of ten nodes, and two actions."""
    nodes = tuple(VirtualNode(description=f"n{number}") for number in range(10))
    database.apply_intent(WriteIntent(intent_id="nodes", virtual_nodes=nodes))
    with database.connection() as connection:
        inside(connection).declare_action(20, "hash", "AC2")
        inside(connection).declare_action(30, "ocr", "AC3")
        rows = connection.execute("SELECT node_id FROM node ORDER BY node_id").fetchall()
    return [row[0] for row in rows]


class OneTransaction:
    """What a repository works in, when all of it is the transaction of a test."""

    def __init__(self, open_one: psycopg.Connection[Any]) -> None:
        self._open = open_one

    def connection(self) -> AbstractContextManager[psycopg.Connection[Any]]:
        return nullcontext(self._open)

    reading = connection


def inside(connection: psycopg.Connection[Any]) -> ActionHistory:
    return ActionHistory(OneTransaction(connection))  # pyright: ignore


def sealed_batch(connection: psycopg.Connection[Any], nodes: list[int]) -> int:
    batch = create_action_batch(connection)
    add_to_action_batch(connection, batch, nodes)
    seal_action_batch(connection, batch)
    return batch


@contextmanager
def refused(database: Database, error: type[SqlError], match: str) -> Iterator[Any]:
    with pytest.raises(error, match=match), database.connection() as connection:
        yield connection


def test_a_batch_is_filled_and_sealed(database: Database, nodes: list[int]):
    with database.connection() as connection:
        batch = create_action_batch(connection)
        assert add_to_action_batch(connection, batch, nodes[:5]) == 5
        assert add_to_action_batch(connection, batch, iter(nodes[3:7] * 2)) == 2
        first = seal_action_batch(connection, batch)
    with database.connection() as connection:
        assert seal_action_batch(connection, batch) == first
        state = inside(connection).pipeline_state(batch)
    assert (state.node_count, state.seal_date) == (7, first)
    assert state.seal_date >= state.create_date
    assert state.pipelines == state.events == ()


def test_nothing_enters_a_sealed_batch(database: Database, nodes: list[int]):
    with database.connection() as connection:
        batch = sealed_batch(connection, nodes[:5])
    with refused(database, UsageError, "was sealed at .*; make another batch") as connection:
        add_to_action_batch(connection, batch, nodes)
    # Not by hand either: the trigger says so.
    for statement in (
        f"INSERT INTO action_batch_node (action_batch_id, node_id) VALUES ({batch}, {nodes[9]})",
        f"DELETE FROM action_batch_node WHERE action_batch_id = {batch}",
        f"UPDATE action_batch SET seal_date = NULL WHERE action_batch_id = {batch}",
    ):
        with (
            pytest.raises(StatementError, match="sealed"),
            database.connection() as connection,
        ):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "call",
    [
        lambda connection: seal_action_batch(connection, 99),
        lambda connection: inside(connection).pipeline_state(99),
        lambda connection: record_action_history(connection, 20, 99, "done"),
        lambda connection: add_to_action_batch(connection, 99, []),
        lambda connection: change_action_history(connection, 99, "done"),
        lambda connection: add_to_action_batch(connection, create_action_batch(connection), [99]),
        lambda connection: record_action_history(
            connection, 99, sealed_batch(connection, []), "done"
        ),
    ],
)
def test_what_does_not_exist(
    database: Database, nodes: list[int], call: Callable[[psycopg.Connection[Any]], object]
):
    with refused(database, NotFoundError, "there (is|are) no") as connection:
        call(connection)


def test_only_a_sealed_batch_runs(database: Database, nodes: list[int]):
    with refused(database, UsageError, "seal it") as connection:
        record_action_history(connection, 20, create_action_batch(connection), "running")


@pytest.mark.parametrize(
    ("status", "start", "end"),
    [
        ("finished", None, None),
        ("done", NOON, NOON - timedelta(seconds=1)),
        ("done", NOON.replace(tzinfo=None), None),
    ],
)
def test_wrong_events(database: Database, nodes: list[int], status: Any, start: Any, end: Any):
    with refused(database, UsageError, ".") as connection:
        batch = sealed_batch(connection, nodes)
        record_action_history(connection, 20, batch, status, start, end)


def test_a_run_from_waiting_to_done(database: Database, nodes: list[int]):
    with database.connection() as connection:
        batch = sealed_batch(connection, nodes)
        event = record_action_history(connection, 20, batch, "waiting")
        change_action_history(connection, event, "running", start_time=NOON)
        change_action_history(connection, event, "done", end_time=NOON + timedelta(hours=1))
        (found,) = inside(connection).pipeline_state(batch).events
    assert (found.event_id, found.action, found.status) == (event, "hash", "done")
    assert (found.start_time, found.end_time) == (NOON, NOON + timedelta(hours=1))
    with refused(database, UsageError, "ended before it began") as connection:
        change_action_history(connection, event, "done", end_time=NOON - timedelta(hours=1))


def test_a_stage_is_done_when_every_node_is(database: Database, nodes: list[int]):
    with database.connection() as connection:
        pipeline = declare_pipeline(connection, "texts", [20, 30])
        whole = sealed_batch(connection, nodes)
        half, rest = sealed_batch(connection, nodes[:6]), sealed_batch(connection, nodes[6:])
    database.pipelines.enrol("texts", [whole, half])
    with database.connection() as connection:
        record_action_history(connection, 20, whole, "running")
        record_action_history(connection, 20, half, "done")

        def stages(batch: int) -> tuple[int | None, list[int], list[bool]]:
            (progress,) = inside(connection).pipeline_state(batch).pipelines
            assert (progress.pipeline_id, progress.pipeline) == (pipeline, "texts")
            counts = [stage.nodes_done for stage in progress.stages]
            return progress.current_stage, counts, [stage.done for stage in progress.stages]

        assert stages(whole) == (1, [6, 0], [False, False])
        assert stages(half) == (2, [6, 0], [True, False])
        record_action_history(connection, 20, rest, "failed")
        assert stages(whole) == (1, [6, 0], [False, False])
        # An action that was done elsewhere needs no second run.
        record_action_history(connection, 20, rest, "done")
        assert stages(whole) == (2, [10, 0], [True, False])
        record_action_history(connection, 30, whole, "done")
        assert stages(whole) == (None, [10, 10], [True, True])
        assert stages(half) == (None, [6, 6], [True, True])


def test_only_what_can_go_through_a_pipeline_is_enrolled(database: Database, nodes: list[int]):
    with database.connection() as connection:
        declare_pipeline(connection, "texts", [20, 30])
        empty, full = sealed_batch(connection, []), sealed_batch(connection, nodes)
        unsealed = create_action_batch(connection)
    book = database.pipelines
    for batch, words, error in (
        (empty, "has no nodes", UsageError),
        (unsealed, "is not sealed", UsageError),
        (99, "there is no action batch 99", NotFoundError),
    ):
        with pytest.raises(error, match=words):
            book.enrol("texts", [full, batch])
    assert book.state("texts").batches == (), "all or none"
    with pytest.raises(NotFoundError, match="no pipeline 'text'; did you mean texts"):
        book.enrol("text", [full])
    assert book.enrol("texts", [full, full], "ann") == 1 and book.enrol("texts", [full]) == 0
    (one,) = book.state("texts").batches
    assert (one.action_batch_id, one.enrolled_by, one.node_count) == (full, "ann", 10)
    book.withdraw("texts", [full])
    with pytest.raises(UsageError, match=f"batch {full} is not in pipeline texts"):
        book.withdraw("texts", [full])
    assert database.actions.pipeline_state(full).pipelines == ()


def test_both_sides_of_a_pipeline_say_the_same(database: Database, nodes: list[int]):
    with database.connection() as connection:
        declare_pipeline(connection, "texts", [20, 30])
        first, second = sealed_batch(connection, nodes[:4]), sealed_batch(connection, nodes[2:])
        record_action_history(connection, 20, first, "done")
    database.pipelines.enrol("texts", [first, second])
    of_pipeline = {one.action_batch_id: one for one in database.pipelines.state("texts").batches}
    assert list(of_pipeline) == [second, first]
    for batch, place, done in ((first, 2, [4, 0]), (second, 1, [2, 0])):
        (of_batch,) = database.actions.pipeline_state(batch).pipelines
        assert of_batch.current_stage == of_pipeline[batch].current_stage == place
        assert of_batch.stages == of_pipeline[batch].stages
        assert [stage.nodes_done for stage in of_batch.stages] == done


@pytest.mark.parametrize("ended", ["done", "failed", "cancelled"])
def test_a_run_that_ended_stays_so(database: Database, nodes: list[int], ended: Any):
    with database.connection() as connection:
        batch = sealed_batch(connection, nodes)
        event = record_action_history(connection, 20, batch, ended)
    others: list[Any] = ["waiting", "running", "done", "failed", "cancelled"]
    for status in set(others) - {ended}:
        with refused(database, UsageError, f"is {ended} and cannot become") as connection:
            change_action_history(connection, event, status)
    with database.connection() as connection:
        change_action_history(connection, event, ended, end_time=NOON)
        (found,) = inside(connection).pipeline_state(batch).events
    assert (found.status, found.end_time) == (ended, NOON)


def test_actions_and_pipelines_are_declared_once(database: Database, nodes: list[int]):
    with database.connection() as connection:
        assert not inside(connection).declare_action(20, "hash", "AC2")
        assert inside(connection).declare_action(21, "blur", "AC2")
        first = declare_pipeline(connection, "p", [20, 30])
        assert declare_pipeline(connection, "p", [20, 30]) == first
    wrong: list[Callable[[Any], object]] = [
        lambda connection: inside(connection).declare_action(20, "hash", "AC3"),
        lambda connection: inside(connection).declare_action(22, "hash", "AC2"),
        lambda connection: inside(connection).declare_action(23, "", "AC2"),
        lambda connection: inside(connection).declare_action(23, "x", "AC9"),  # pyright: ignore
        lambda connection: declare_pipeline(connection, "p", [30, 20]),
        lambda connection: declare_pipeline(connection, "q", []),
        lambda connection: declare_pipeline(connection, "q", [20, 20]),
        lambda connection: declare_pipeline(connection, "q", [99]),
    ]
    for call in wrong:
        with refused(database, UsageError, ".") as connection:
            call(connection)
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM pipeline").fetchone() == (1,)
