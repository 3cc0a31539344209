"""What is known about one backup: it owns the documents of a backup and its row in the database.

Each copy holds `backup.json` (the facts, covered by SHA256SUMS) and, once it has been checked,
`report.json`. It decides nothing.
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from typing import Any, Literal, TypeVar

import psycopg
from pydantic import BaseModel, ConfigDict, ValidationError

from base.files import write_durably
from sql.core.statements import statements

FACTS_NAME = "backup.json"
REPORT_NAME = "report.json"
FORMAT = 1
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-(base|logical|pgbackrest)")
"""The name of a backup, and of its folder in every copy."""

Kind = Literal["full", "incremental", "logical", "pgbackrest"]
State = Literal["ok", "incomplete", "failed"]
Document = TypeVar("Document", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LeftOut(_Model):
    """What an export for cold storage lacks, for a person to make anew after a restore."""

    passwords: tuple[str, ...] = ()
    """Names of accounts that came back without their password."""
    tokens: tuple[str, ...] = ()
    """API tokens that did not come back, as `OWNER: NAME`."""
    webhooks: tuple[str, ...] = ()
    """Names of webhooks that did not come back."""


class BackupFacts(_Model):
    """What was backed up, known when the last byte of it was written.

    `counts` are rows per table in the snapshot of the logical export; `counts_before` were taken
    before pgBackRest began, whose rows lie between the two. `system_identifier` is PostgreSQL's own
    for the server; '' is of before it was recorded. Backups of the kinds `full` and `incremental`
    are of former versions: base backups with a logical export, which is what is restored of them.
    """

    format: Literal[1] = FORMAT
    name: str
    store_id: str
    kind: Kind
    server_version: str
    server_version_number: int
    database_size_bytes: int
    start_time: datetime
    end_time: datetime
    counts_before: dict[str, int]
    counts: dict[str, int]
    sizes_bytes: dict[str, int]
    durations_s: dict[str, float]
    pgbackrest_label: str = ""
    system_identifier: str = ""
    left_out: LeftOut | None = None
    """Of a package for cold storage; None where nothing was left out."""


class BackupCheck(_Model):
    """What restoring it showed. `sample_compared` is None when nobody could ask the store."""

    end_time: datetime
    duration_s: float
    restored: tuple[str, ...]
    tables: int
    rows: int
    constraints: int
    sample: int
    sample_compared: int | None
    problems: tuple[str, ...]


class BackupReport(_Model):
    """One backup from its start to the end of its check; the answer of `drystone db backup`."""

    name: str
    store_id: str
    kind: Kind
    state: State
    start_time: datetime
    end_time: datetime
    copies: tuple[str, ...]
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    facts: BackupFacts | None = None
    check: BackupCheck | None = None
    removed: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """For cold storage, made with this backup."""

    @property
    def size_bytes(self) -> int:
        """Size of one copy."""
        return sum(self.facts.sizes_bytes.values()) if self.facts else 0


def read_facts(folder: str) -> BackupFacts | None:
    """Return the facts of a copy; None when they are gone or damaged."""
    return _read(os.path.join(folder, FACTS_NAME), BackupFacts)


def read_report(folder: str) -> BackupReport | None:
    """Return the report of a copy; None when it was never checked."""
    return _read(os.path.join(folder, REPORT_NAME), BackupReport)


def private(path: str, flags: int) -> int:
    """Open a file that only its owner may read, for `open`."""
    return os.open(path, flags, 0o600)


def write_document(path: str, document: BaseModel) -> None:
    """Write a document whole or not at all; durable when this returns."""
    text = json.dumps(document.model_dump(mode="json"), indent=1) + "\n"
    write_durably(path, text.encode(), mode=0o600)


def record(connection: psycopg.Connection[Any], report: BackupReport) -> None:
    """Write a report into the database it is about, for health and dashboards."""
    connection.execute(
        statements("backup")["add_report"],
        [
            report.name,
            report.start_time,
            report.end_time,
            report.kind,
            report.state,
            len(report.copies),
            report.size_bytes,
            report.model_dump_json(),
        ],
    )


def _read(path: str, model: type[Document]) -> Document | None:
    try:
        with open(path, "rb") as file:
            return model.model_validate_json(file.read())
    except (OSError, ValidationError):
        return None
