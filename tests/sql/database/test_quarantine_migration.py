"""A database of schema 14, with two quarantines, opens with one that has all of their rows."""

from __future__ import annotations

import database_harness
import psycopg

from sql import Database
from sql.core import migrate
from sql.core.migrate import known_migrations

FILL = (
    "INSERT INTO ingest_batch (name, adapter, folder, state, file_count, size_bytes) "
    "VALUES ('march', 'plain', '/inbox/march', 'packed', 2, 2)",
    "INSERT INTO quarantine (ingest_batch_id, path, record_number, reason, sha256, replayed_time) "
    "VALUES (1, 'a.json', 7, 'no id', sha256('a'), NULL), "
    "(1, 'b.zip', -1, 'an archive', NULL, '2024-05-02Z')",
    "INSERT INTO action VALUES (1, 'look', 'AC2')",
    "INSERT INTO action_batch (create_date, seal_date) VALUES ('2024-05-01Z', '2024-05-01Z')",
    "INSERT INTO node (sha256, is_virtual, root_id, component_id) VALUES (sha256('n'), true, 1, 1)",
    "INSERT INTO action_event (action_id, action_batch_id, status, start_time) "
    "VALUES (1, 1, 'done', '2024-05-02Z')",
    "INSERT INTO action_quarantine (action_event_id, part, path, record_number, node_id, reason, "
    "sha256, store_batch, replay_time) VALUES (1, 2, 'a.json', 7, 1, 'no thing', sha256('a'), "
    "'action-1-2', NULL), (1, 0, 'c.csv', -1, NULL, 'no table', NULL, NULL, '2024-05-03Z')",
)


def test_both_quarantines_become_one(database_server: str):
    before = [one for one in known_migrations() if one.number <= 14]
    with database_harness.new_database(database_server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate.migrate(connection, before)
            for statement in FILL:
                connection.execute(statement.encode())
        with Database.connect(dsn) as database:
            ingest = list(database.quarantine.of_batches(open_only=False))
            assert [(row.batch, row.path, row.record_number, row.reason) for row in ingest] == [
                ("march", "a.json", 7, "no id"), ("march", "b.zip", -1, "an archive"),
            ]  # fmt: skip
            assert [row.replay_time is None for row in ingest] == [True, False]
            assert ingest[0].key is not None and ingest[1].key is None
            outputs = list(database.quarantine.of_actions(1, open_only=False))
            assert [
                (row.action, row.part, row.path, row.node_id, row.store_batch) for row in outputs
            ] == [("look", 0, "c.csv", None, None), ("look", 2, "a.json", 1, "action-1-2")]
            assert [row.replay_time is None for row in outputs] == [False, True]
            # Rows that were known are known: read again, they are neither new nor opened.
            assert database.quarantine.add_of_batch("march", ingest) == 0
            assert database.quarantine.add_of_event(1, 0, outputs[:1], None) == 0
            assert len(list(database.quarantine.of_actions())) == 1
