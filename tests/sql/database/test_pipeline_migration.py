"""A database of schema 9, in which pipelines guessed their batches, opens with the newest one."""

from __future__ import annotations

import database_harness
import psycopg
import pytest

from sql import Database, Selector, parse_selector
from sql.core import migrate
from sql.core.migrate import known_migrations

DETAIL = (
    "INSERT INTO action_event_detail VALUES (%s, %s, 1, decode(repeat('ab', 32), 'hex'), '{}', "
    "decode(repeat('ab', 32), 'hex'), %s)"
)


class Old:
    """A database as schema 9 left it: ten nodes, and the pipeline `line` of the actions 1, 2, 3."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        run = connection.execute
        for number in range(1, 11):
            run(
                "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
                "VALUES (sha256(%s), true, %s, %s)",
                [str(number).encode(), number, number],
            )
        for action in (1, 2, 3):
            run("INSERT INTO action VALUES (%s, %s, 'AC2')", [action, f"a{action}"])
        run("INSERT INTO pipeline (name) VALUES ('line'), ('single')")
        run("INSERT INTO pipeline_stage VALUES (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 1)")
        run(
            "INSERT INTO pipeline_document (pipeline_id, document, declare_time) "
            "VALUES (1, '', '2024-05-02Z'), (2, '', '2024-05-02Z')"
        )

    def batch(self, *nodes: int) -> int:
        row = self.connection.execute(
            "INSERT INTO action_batch (create_date) VALUES ('2024-05-01Z') "
            "RETURNING action_batch_id"
        ).fetchone()
        assert row is not None
        for node in nodes:
            self.connection.execute(
                "INSERT INTO action_batch_node (action_batch_id, node_id) VALUES (%s, %s)",
                [row[0], node],
            )
        self.connection.execute(
            "UPDATE action_batch SET seal_date = '2024-05-01Z' WHERE action_batch_id = %s",
            [row[0]],
        )
        return row[0]

    def event(self, action: int, batch: int, time: str, status: str = "done") -> int:
        row = self.connection.execute(
            "INSERT INTO action_event (action_id, action_batch_id, status, start_time) "
            "VALUES (%s, %s, %s, %s) RETURNING id",
            [action, batch, status, time],
        ).fetchone()
        assert row is not None
        return row[0]

    def outcome(self, event: int, node: int, outcome: str) -> None:
        self.connection.execute(
            "INSERT INTO action_node VALUES (%s, %s, 1, %s)", [event, node, outcome]
        )


@pytest.fixture
def old(database_server):
    """The connection string of an empty database of schema 9, and its maker's hands."""
    with (
        database_harness.new_database(database_server) as url,
        psycopg.connect(url) as connection,
    ):
        migrate.migrate(connection, known_migrations()[:9])
        yield url, Old(connection)


def selected(database: Database, condition: str) -> set[int]:
    selector: Selector = parse_selector(f"{{version: 1, where: {condition}}}")
    return {row.node_id for row in database.query_nodes(selector)}


def test_only_what_really_ran_in_a_pipeline_stays_in_it(old):
    url, world = old
    # It went on to the second stage after the pipeline was declared.
    went_on = world.batch(1, 2)
    world.event(1, went_on, "2024-05-03Z")
    world.event(2, went_on, "2024-05-04Z", "failed")
    # The same two actions, before there was a pipeline; it got the third by itself, without the
    # second; one of them only; and a batch without nodes.
    before, skipped, once, empty = (
        world.batch(3), world.batch(4), world.batch(5), world.batch(),
    )  # fmt: skip
    for batch, action, time in (
        (before, 1, "2024-05-01T10:00Z"), (before, 2, "2024-05-01T11:00Z"),
        (skipped, 1, "2024-05-03Z"), (skipped, 3, "2024-05-04Z"), (once, 1, "2024-05-03Z"),
        (empty, 1, "2024-05-03Z"), (empty, 2, "2024-05-04Z"),
    ):  # fmt: skip
        world.event(action, batch, time)
    # A run and a schedule that name it; in the run of `noise` the words stand in a text.
    named, planned, noise = world.batch(6), world.batch(7), world.batch(8)
    asked = [
        ("run", f'{{"action": "a1", "pipeline": "single", "action_batch_id": {named}}}'),
        ("schedule", f'{{"action_batch_id": {planned}, "pipeline": "line"}}'),
        (
            "run",
            f'{{"action_batch_id": {noise}, "pipeline": null, '
            '"selector": "\\"pipeline\\": \\"line\\" \\u0000"}',
        ),
    ]
    for kind, parameters in asked:
        if kind == "run":
            query = "INSERT INTO run (workflow, run_key, parameters) VALUES ('ua_2', 'k', %s)"
            if parameters.startswith('{"action_batch_id"'):
                query = query.replace("'k'", "'noise'")
        else:
            query = (
                "INSERT INTO schedule (name, workflow, parameters, cron, zone) "
                "VALUES ('s', 'ua_2', %s, '@daily', 'UTC')"
            )
        world.connection.execute(query, [parameters])
    world.connection.commit()
    with Database.connect(url) as database:
        enrolled = {
            (name, one.action_batch_id)
            for name in ("line", "single")
            for one in database.pipelines.state(name).batches
        }
        assert enrolled == {("line", went_on), ("single", named), ("line", planned)}
        (place,) = database.actions.pipeline_state(went_on).pipelines
        assert (place.current_stage, place.stages[0].nodes_done) == (2, 2)
        # What was left out is put in by hand, where somebody wants it.
        assert database.pipelines.enrol("line", [before]) == 1


def test_what_was_done_stays_done(old):
    url, world = old
    # By history alone; by a run that says so of each node; by one that found half of it done.
    plain, run, half = world.batch(1, 2), world.batch(3, 4), world.batch(4, 5)
    world.event(1, plain, "2024-05-03Z")
    first, second, partial = (
        world.event(1, run, "2024-05-03Z"), world.event(1, half, "2024-05-04Z"),
        world.event(2, plain, "2024-05-04Z", "failed"),
    )  # fmt: skip
    for event, state in ((first, "done"), (second, "done"), (partial, "partial")):
        world.connection.execute(DETAIL, [event, f"run:{event}", state])
    for event, node, outcome in (
        (first, 3, "done"), (first, 4, "done"), (second, 5, "done"),
        (partial, 1, "done"), (partial, 2, "missing"),
    ):  # fmt: skip
        world.outcome(event, node, outcome)
    world.connection.commit()
    with Database.connect(url) as database:
        assert selected(database, "{action: {name: a1}}") == {1, 2, 3, 4, 5}
        # New: what a partial run did is done.
        assert selected(database, "{action: {name: a2}}") == {1}
        assert database.actions.outcome_counts(second) == {"done": 1}, "node 4 is the first one's"
