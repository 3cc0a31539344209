"""What people look at before they decide: what would become of documents, and what would change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from adapters.decide.plan import EXTRA, Plan
from adapters.decide.rows import RowMaker
from adapters.schemas.rows import plan_of
from base.model import Document
from sql import Database

if TYPE_CHECKING:
    from sql import SchemaVersion

PREVIEW_DOCUMENTS = 20


class PreviewRow(Document):
    """A row that a document would have: its table, its values, and what goes into `extra`."""

    key: str
    table: str
    values: dict[str, Any]
    extra: Any = None


class SchemaLine(Document):
    """A schema in a list: its latest version."""

    name: str
    version: int
    status: str
    choice: str
    documents: int
    columns: int
    reason: str


class SchemaSight(Document):
    """A version of a schema, whole."""

    name: str
    version: int
    status: str
    choice: str
    structure_hash: str
    documents: int
    documents_sampled: int
    reasons: list[str]
    ddl: str
    columns: list[dict[str, str]]
    decided_by: str | None
    is_complete: bool
    """Whether the documents of before have their rows, of an active version."""
    versions: list[str]
    preview: list[PreviewRow]


def lines(database: Database) -> list[SchemaLine]:
    """Return the schemas by name, each with what waits, or else is active, or else came last."""
    counts = database.schemas.document_counts()
    latest: dict[str, SchemaVersion] = {}
    for one in database.schemas.versions():
        if one.name not in latest or _rank(one) >= _rank(latest[one.name]):
            latest[one.name] = one
    return [
        SchemaLine(
            name=one.name,
            version=one.version,
            status=one.status,
            choice=one.choice,
            documents=counts.get(one.name, 0),
            columns=len(plan_of(one.plan).columns),
            reason=one.reason.partition("\n")[0],
        )
        for one in latest.values()
    ]


def _rank(version: SchemaVersion) -> int:
    return {"provisional": 2, "active": 1}.get(version.status, 0)


def sight(database: Database, name: str, number: int | None = None) -> SchemaSight:
    """Return a version of a schema: the given one, or what waits, or is active, or came last."""
    version = chosen(database, name, number)
    plan = plan_of(version.plan)
    return SchemaSight(
        name=name,
        version=version.version,
        status=version.status,
        choice=version.choice,
        structure_hash=version.structure_hash,
        documents=database.schemas.document_counts().get(name, 0),
        documents_sampled=version.documents_sampled,
        reasons=version.reason.splitlines(),
        ddl=version.ddl,
        columns=columns_of(plan),
        decided_by=version.decided_by,
        is_complete=version.replay_time is not None,
        versions=[f"{one.version}: {one.status}" for one in database.schemas.of(name)],
        preview=preview(database, name, plan),
    )


def chosen(database: Database, name: str, number: int | None = None) -> SchemaVersion:
    """Return one version of a schema. Raises NotFoundError."""
    from sql import NotFoundError

    versions = database.schemas.of(name)
    if number is None:
        return max(versions, key=lambda one: (_rank(one), one.version))
    for one in versions:
        if one.version == number:
            return one
    raise NotFoundError(f"{name} has no version {number}; there are {len(versions)}")


def columns_of(plan: Plan) -> list[dict[str, str]]:
    """Return the columns of a plan's tables with the paths that they get."""
    own = [(plan.name, "", one) for one in plan.columns]
    inner = [
        (child.name, f"{child.key}[].", one) for child in plan.children for one in child.columns
    ]
    return [
        {"table": table, "column": one.name, "type": one.type, "path": place + ".".join(one.path)}
        for table, place, one in (*own, *inner)
    ]


def preview(database: Database, name: str, plan: Plan) -> list[PreviewRow]:
    """Return the rows that the first documents would have."""
    maker = RowMaker(plan)
    found: list[PreviewRow] = []
    for key, text in database.schemas.first_documents(name, PREVIEW_DOCUMENTS):
        for table, values in maker.rows(json.loads(text)):
            rest = values.pop(EXTRA, None)
            extra = None if rest is None else json.loads(rest)
            found.append(PreviewRow(key=key, table=table, values=values, extra=extra))
    return found


def difference(database: Database, name: str) -> list[str]:
    """Return what accepting the proposal would change, one line each; nothing without one."""
    versions = {one.status: one for one in database.schemas.of(name)}
    waiting, active = versions.get("provisional"), versions.get("active")
    if waiting is None:
        return []
    new = _named(plan_of(waiting.plan))
    if active is None:
        return [f"+ {name} {kind}" for name, kind in new.items()]
    old = _named(plan_of(active.plan))
    lines = [f"- {name} {kind}" for name, kind in old.items() if new.get(name) != kind]
    return lines + [f"+ {name} {kind}" for name, kind in new.items() if old.get(name) != kind]


def _named(plan: Plan) -> dict[str, str]:
    return {f"{one['table']}.{one['column']}": one["type"] for one in columns_of(plan)}
