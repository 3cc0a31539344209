"""A database of schema 33, in which the priority of what was sent is a word, opens with numbers."""

from __future__ import annotations

import database_harness
import psycopg

from adapters.sources.received import TABLE
from sql import Column, Database
from sql.core import migrate
from sql.core.declared import declare
from sql.core.migrate import known_migrations


def test_words_become_numbers_and_the_table_goes_on(database_server: str):
    before = [one for one in known_migrations() if one.number <= 33]
    word = Column(name="priority", type="text", comment="normal or high")
    columns = tuple(word if one.name == "priority" else one for one in TABLE.columns)
    former = TABLE.model_copy(update={"version": 1, "columns": columns})
    with database_harness.new_database(database_server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate.migrate(connection, before)
            declare(connection, former)
            connection.execute(
                "INSERT INTO node (sha256, is_virtual, root_id, component_id) "
                "VALUES (sha256('n'), true, 1, 1)"
            )
            for number, said in enumerate(("high", "normal", None)):
                connection.execute(
                    "INSERT INTO meta_received (node_id, observation_hash, request, priority) "
                    "VALUES (1, %s, %s, %s)",
                    [number.to_bytes(16), str(number), said],
                )
        with Database.connect(dsn) as database:
            assert database.declare(TABLE), "by its next version"
            assert not database.declare(TABLE)
            with database.connection() as connection:
                found = connection.execute(
                    "SELECT priority FROM meta_received ORDER BY request"
                ).fetchall()
            assert found == [(3,), (None,), (None,)]
