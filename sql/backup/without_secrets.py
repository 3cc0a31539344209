"""The export of a database that may leave the house: it owns which values stay behind.

It is made of the scratch server that a backup was restored into for its check: there the secrets
are removed before anything is written, so that no file of it has ever had them. It has the form of
a copy of a backup.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import psycopg

from sql.backup import programs as backup_programs
from sql.backup.data import LOGICAL
from sql.backup.snapshot import snapshot
from sql.copies.files import seal, size_of, sync_tree
from sql.copies.report import FACTS_NAME, BackupFacts, LeftOut, write_document
from sql.core.connections import connect_once
from sql.core.statements import statements

SECRETS = {
    "access_grant": ("secret_hash",),
    "app_user": ("password_hash",),
    "user_session": (),
    "api_token": (),
    "login_attempt": (),
    "request_key": (),
    "webhook": (),
    "webhook_secret": (),
    "webhook_delivery": (),
}
"""Tables with secrets, and the columns that are replaced; without any, no row is exported. What is
typed as a name at a failed login may be a password, answers to requests are for who asked, and the
address of a webhook is often a secret by itself."""
MADE_AGAIN = ("thumbnail",)
"""Tables without the rows that tell of objects which are in no package and are made again."""


@dataclass(frozen=True, slots=True)
class Export:
    """The database of a good backup in a scratch server; see `write`."""

    dsn: str
    facts: BackupFacts
    lock: int

    def write(self, folder: str) -> BackupFacts:
        """Fill a new folder with an export without secrets; durable when it returns.

        Whoever calls it adds files of its own before with `seal_export`, which makes it whole.
        """
        logical = os.path.join(folder, LOGICAL)
        os.makedirs(logical, mode=0o700)
        with contextlib.closing(connect_once(self.dsn)) as connection:
            left_out = _remove_secrets(connection)
            connection.commit()
        with snapshot(self.dsn) as moment:
            backup_programs.dump(self.dsn, logical, moment.snapshot_id, self.lock)
        sizes = {LOGICAL: size_of(logical)}
        changed = {"sizes_bytes": sizes, "durations_s": {}, "pgbackrest_label": "", "kind": LOGICAL}
        counts = {"counts": moment.counts, "counts_before": moment.counts, "left_out": left_out}
        facts = self.facts.model_copy(update=changed | counts)
        write_document(os.path.join(folder, FACTS_NAME), facts)
        return facts


def seal_export(folder: str) -> None:
    """Write the sums of a folder that `Export.write` filled; all of it is durable then."""
    seal(folder)
    sync_tree(folder)


def _remove_secrets(connection: psycopg.Connection[tuple[object, ...]]) -> LeftOut:
    """Remove what must not leave; returns what a person has to make anew after a restore."""
    queries = statements("without_secrets")
    passwords = connection.execute(queries["passwords"]).fetchall()
    tokens = connection.execute(queries["tokens"]).fetchall()
    webhooks = connection.execute(queries["webhook_names"]).fetchall()
    for name in (
        "forget_passwords",
        "forget_tokens",
        "end_links",
        "sessions",
        "attempts",
        "requests",
        "webhooks",
        "thumbnails",
    ):
        connection.execute(queries[name])
    return LeftOut(
        passwords=tuple(str(name) for (name,) in passwords),
        tokens=tuple(f"{user}: {name}" for user, name in tokens),
        webhooks=tuple(str(name) for (name,) in webhooks),
    )
