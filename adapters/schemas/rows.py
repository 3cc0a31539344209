"""Rows of accepted schemas: the documents of ingest batches, made into write-intents.

A chunk of documents is one intent, known by what is in it: whatever is killed and done again
writes nothing twice. Rows that a former plan made in the same table go in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from adapters.decide.plan import Plan
from adapters.decide.rows import RowMaker
from sql import Database, SourceMetadata, WriteIntent, table_statements

if TYPE_CHECKING:
    from sql import SchemaVersion, StoredDocument

DOCUMENTS_PER_INTENT = 2_000


def replay(
    database: Database, version: SchemaVersion, say: Callable[[str], None] = lambda _: None
) -> int:
    """Give the documents of all batches their rows; returns how many rows are new.

    Killed, the same call goes on with the batch that it was at.
    """
    new = 0
    while left := database.schemas.batches_left(version):
        for batch_id, batch in left:
            new += write_rows(database, version, batch)
            # A crash before this line reads the batch again, and finds its intents applied.
            database.schemas.note_replayed(version, batch_id)
            say(f"{version.name}: the documents of {batch} have their rows")
    database.schemas.finish_replay(version)
    return new


def write_rows(database: Database, version: SchemaVersion, batch: str) -> int:
    """Give the documents of one batch their rows; returns how many are new."""
    maker = RowMaker(plan_of(version.plan))
    former = RowMaker(plan_of(version.replaced_plan)) if version.replaced_plan else None
    documents = database.schemas.documents(version.name, batch)
    new = 0
    while chunk := list(islice(documents, DOCUMENTS_PER_INTENT)):
        intent = _intent(version, batch, chunk, maker, former)
        new += database.apply_intent(intent).observations_new
    return new


def plan_of(text: str) -> Plan:
    """Return the plan that was kept as text."""
    return Plan.model_validate_json(text)


def statements_of(plan: Plan, version: int = 1) -> str:
    """Return the statements that make the tables of a plan, for people to read."""
    return "\n".join(table_statements(table) for table in plan.tables(version))


def _intent(
    version: SchemaVersion,
    batch: str,
    chunk: list[StoredDocument],
    maker: RowMaker,
    former: RowMaker | None,
) -> WriteIntent:
    rows: list[SourceMetadata] = []
    gone: list[SourceMetadata] = []
    digest = hashlib.blake2b(digest_size=16)
    for one in chunk:
        digest.update(f"{one.key} {one.download_time}\n".encode())
        document = json.loads(one.document)
        made = maker.rows(document)
        rows += _observed(one, made)
        if former is not None:
            gone += _observed(one, (row for row in former.rows(document) if row not in made))
    name = f"schema:{version.schema_id}:{version.activation}:{digest.hexdigest()}"
    return WriteIntent(
        # By its number a batch is one of this name, however long that is.
        intent_id=f"{name}:{hashlib.sha256(batch.encode()).hexdigest()[:16]}",
        ingest_batch=batch,
        source_metadata=tuple(rows),
        superseded_metadata=tuple(gone),
    )


def _observed(
    document: StoredDocument, rows: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[SourceMetadata]:
    for source, values in rows:
        # A document of which nothing was placed, such as {}, has a row all the same.
        yield SourceMetadata(
            key=document.key, source=source, download_time=document.download_time, values=values
        )
