"""A database of before drawings could be drawn lets those be tried again, and nothing else."""

from __future__ import annotations

import database_harness
import psycopg

from sql import Database
from sql.core import migrate
from sql.core.migrate import known_migrations

TRIED = {
    "a": "UnidentifiedImageError: cannot identify image file 'the file'",
    "b": "OSError: image file is truncated (3 bytes not processed)",
}


def test_what_was_not_identified_is_tried_again(database_server: str):
    names = [one.name for one in known_migrations()]
    before = known_migrations()[: names.index("drawings")]
    with database_harness.new_database(database_server) as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            migrate.migrate(connection, before)
            for name, reason in TRIED.items():
                connection.execute(
                    "WITH made AS (INSERT INTO node (sha256, is_physical, root_id, component_id) "
                    "VALUES (sha256(%s::text::bytea), true, 1, 1) RETURNING node_id), "
                    "content AS (INSERT INTO physical_content (node_id, file_size_bytes, "
                    "file_extension_id) SELECT node_id, 10, file_extension_id FROM made, file_type "
                    "WHERE file_extension = 'svg') INSERT INTO thumbnail (node_id, reason) "
                    "SELECT node_id, %s FROM made",
                    [name, reason],
                )
        with Database.connect(dsn) as database, psycopg.connect(dsn) as connection:
            rows = connection.execute("SELECT reason FROM thumbnail").fetchall()
            assert rows == [(TRIED["b"],)]
            assert len(database.thumbnails.missing(0, 1 << 40, 10)) == 1
