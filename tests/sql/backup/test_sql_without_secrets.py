"""What leaves the house lacks every secret of the schema, also those that come later."""

from __future__ import annotations

import re

import psycopg

from sql.backup.without_secrets import MADE_AGAIN, SECRETS

SUSPECT = re.compile("hash|secret|token|password|salt|cookie|credential|private")
NO_SECRETS = {
    ("app_user", "password_time"): "when it was set",
    ("api_token_scope", "token_id"): "which token",
    ("audit_entry", "token_name"): "which token",
    ("common_metadata", "observation_hash"): "of what was said, to find it again",
    ("observation_batch", "observation_hash"): "the same",
    ("schema_def", "structure_hash"): "of a structure of documents",
}


def test_every_column_that_may_be_a_secret_is_decided(database_url):
    """A new one of such a name goes into SECRETS, or is said here to be none."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "JOIN information_schema.tables USING (table_schema, table_name) "
            "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
    suspects = {(table, column) for table, column in found if SUSPECT.search(column)}
    whole = {table for table, columns in SECRETS.items() if not columns}
    removed = {(table, column) for table, columns in SECRETS.items() for column in columns}
    left = {pair for pair in suspects if pair[0] not in whole} - removed
    assert left == NO_SECRETS.keys()
    tables = {table for table, _ in found}
    assert SECRETS.keys() | set(MADE_AGAIN) <= tables and removed <= set(found)
