"""Schemas of JSON documents: which documents belong together, and what was decided about them.

The documents are rows of `meta_json`. What a plan means is known to who made it; here it is text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from psycopg.rows import TupleRow
from pydantic import AwareDatetime

from base.model import Document
from sql.core.errors import NotFoundError
from sql.core.repository import Repository
from sql.core.statements import statements

SchemaStatus = Literal["provisional", "active", "rejected", "former"]
Form = Literal["table", "jsonb"]
ROWS_PER_FETCH = 2_000

_SQL = statements("schema")


class NewShape(NamedTuple):
    """A set of keys that no schema has yet: a document of those that have it, and where most of
    them came from."""

    shape: str
    document: str
    origin: str
    documents: int


class StoredDocument(NamedTuple):
    """A document of a batch: the key of its node, when it was scraped, and its JSON."""

    key: str
    download_time: datetime | None
    document: str


class Proposal(Document):
    """What was decided about documents, to be accepted or rejected."""

    name: str
    choice: Form
    structure_hash: str
    plan: str
    table_plan: str
    ddl: str
    reason: str
    documents_sampled: int


class SchemaVersion(Proposal):
    """A proposal as the database has it, and what became of it."""

    schema_id: int
    version: int
    status: SchemaStatus
    create_time: AwareDatetime
    update_time: AwareDatetime
    decided_by: str | None
    decide_time: AwareDatetime | None
    activation: int
    replaced_plan: str | None
    seen_document_id: int
    replay_time: AwareDatetime | None


class SchemaBook(Repository):
    """The schemas of a database; every change may be made again after a crash."""

    def versions(self, name: str | None = None) -> list[SchemaVersion]:
        """Return all versions, of one schema or of all, by name and version."""
        return self._all(SchemaVersion, _SQL["versions"], {"name": name})

    def of(self, name: str) -> list[SchemaVersion]:
        """Return the versions of a schema; NotFoundError when there is none of this name."""
        found = self.versions(name)
        if not found:
            raise NotFoundError(f"there is no schema {name!a}; `drystone schema list` names them")
        return found

    # ---- Documents -----------------------------------------------------------------------------

    def shapes(self) -> list[tuple[str, frozenset[str]]]:
        """Return the known sets of keys with the name of their schema."""
        rows = self._rows(_SQL["shapes"], ())
        return [(name, frozenset(json.loads(keys))) for name, keys in rows]

    def new_shapes(self, batch: str) -> list[NewShape]:
        """Return the sets of keys of a batch that no schema has, with a document each."""
        return [NewShape(*row) for row in self._rows(_SQL["new_shapes"], [batch])]

    def add_shapes(self, shapes: Iterable[tuple[str, Iterable[str], str]]) -> None:
        """Note of sets of keys (name of the shape, keys) to which schema they belong."""
        rows = [(shape, json.dumps(sorted(keys)), name) for shape, keys, name in shapes]
        with self._database.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(_SQL["add_shape"], rows)

    def of_batch(self, batch: str) -> list[str]:
        """Return the schemas that documents of a batch have."""
        return [name for (name,) in self._rows(_SQL["of_batch"], [batch])]

    def sample(self, name: str, count: int, after_document: int = 0) -> list[str]:
        """Return the documents of the lowest content hashes, of those after a row of meta_json."""
        given = {"name": name, "count": count, "after": after_document}
        return [text for (text,) in self._rows(_SQL["sample"], given)]

    def first_documents(self, name: str, count: int) -> list[tuple[str, str]]:
        """Return the oldest documents: the key of their node, and their JSON."""
        return [(key, text) for key, text in self._rows(_SQL["first_documents"], [name, count])]

    def has_documents(self) -> bool:
        """Tell whether JSON of undeclared sources ever came in."""
        return bool(self._value(_SQL["has_documents"]))

    def document_counts(self) -> dict[str, int]:
        """Return how many documents each schema has."""
        if not self.has_documents():
            return {}
        return dict(self._rows(_SQL["document_counts"], ()))

    def documents(self, name: str, batch: str) -> Iterator[StoredDocument]:
        """Yield the documents of a schema that a batch brought, always in the same order."""
        with self._asking() as connection, connection.cursor("documents") as cursor:
            cursor.itersize = ROWS_PER_FETCH
            for row in cursor.execute(_SQL["documents"], {"name": name, "batch": batch}):
                yield StoredDocument(*row)

    # ---- Decisions -----------------------------------------------------------------------------

    def is_free(self, name: str) -> bool:
        """Tell whether no table and no schema has a name."""
        return not self._value(_SQL["table_is_taken"], [name]) and not self.versions(name)

    def propose(self, proposal: Proposal) -> None:
        """Note a proposal; the one of the same schema that still waits is brought up to date."""
        self._change(_SQL["propose"], proposal.model_dump())

    def rename(self, old: str, new: str) -> None:
        """Give a schema another name."""
        with self._database.connection() as connection:
            for name in ("rename_definitions", "rename_shapes"):
                connection.execute(_SQL[name], {"old": old, "new": new})

    def activate(
        self, version: SchemaVersion, who: str, *, plan: str, choice: Form, ddl: str, replaced: str
    ) -> None:
        """Make a version the active one, and the one before a former; its replay begins."""
        given = {"schema_id": version.schema_id, "name": version.name, "who": who}
        more = {"plan": plan, "choice": choice, "ddl": ddl, "replaced_plan": replaced or None}
        with self._database.connection() as connection:
            connection.execute(_SQL["retire"], given)
            connection.execute(_SQL["activate"], {**given, **more})

    def set_status(self, version: SchemaVersion, status: SchemaStatus, who: str) -> None:
        """Note what somebody decided about a version."""
        given = {"schema_id": version.schema_id, "status": status, "who": who}
        self._change(_SQL["set_status"], given)

    def batches_left(self, version: SchemaVersion) -> list[tuple[int, str]]:
        """Return the ingest batches whose documents have no rows of this version yet."""
        given = {"name": version.name, "schema_id": version.schema_id}
        return [(number, name) for number, name in self._rows(_SQL["batches_left"], given)]

    def note_replayed(self, version: SchemaVersion, batch_id: int) -> None:
        """Note that the documents of a batch, and of those before it, have their rows."""
        given = [batch_id, version.schema_id, version.activation]
        self._change(_SQL["replayed"], given)

    def finish_replay(self, version: SchemaVersion) -> None:
        """Note that all documents of before have their rows."""
        self._change(_SQL["replay_is_done"], [version.schema_id, version.activation])

    def _rows(self, statement: bytes, given: object) -> list[TupleRow]:
        with self._asking() as connection:
            return connection.execute(statement, given).fetchall()  # pyright: ignore[reportArgumentType]
