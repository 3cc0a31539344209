"""Assets: nodes with bytes, as programs ask for them, and what people say of them as documents.

What somebody says is an observation of the node, a row of meta_people: a change of some fields, or
a document that replaces all. What holds now is the last of those and the changes after it, in their
order; nothing that was said is lost, and two who change different fields at once both do.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import AwareDatetime

from base.errors import UsageError
from base.model import Document, JsonObject
from sql.core.errors import NotFoundError
from sql.core.statements import statements
from sql.database.database import Database
from sql.database.node_groups import SOURCE, TABLE, now
from sql.intent.intent import TITLE_LENGTH_MAX, CommonMetadata, SourceMetadata, WriteIntent
from sql.selector.document import read_selector

METADATA_BYTES_MAX = 64 << 10
DEPTH_MAX = 32
TITLE = "title"
"""The field of metadata that is the title of a node, too."""

_SQL = statements("asset")
_ASSETS = read_selector({"version": 1, "where": {"is_physical": True}})
_GROUPS = {"tagged": "people:tag:", "member": "people:collection:"}


class AssetLine(Document):
    """An asset in a list; `system_id` is the SHA-256 of its bytes."""

    system_id: str
    node_id: int
    size_bytes: int | None
    extension: str | None
    media_type: str | None
    title: str
    source: str


class AssetPage(Document):
    """Assets, the newest first; `next` goes into `cursor`, null at the end."""

    assets: list[AssetLine]
    next: int | None


class Asset(Document):
    """An asset, and what is known of it.

    `metadata` is what people say of it, `schemas` the tables that have rows about it.
    """

    system_id: str
    node_id: int
    size_bytes: int
    extension: str
    media_type: str
    create_time: AwareDatetime
    is_deleted: bool
    title: str
    metadata: JsonObject
    tags: list[str]
    collections: list[str]
    schemas: list[str]
    ingest_batches: list[str]


def page(database: Database, cursor: int | None, limit: int) -> AssetPage:
    """Return a page of assets that are not deleted or black-listed."""
    found = database.explore.page(_ASSETS, cursor=cursor, limit=limit)
    lines = [
        AssetLine(
            system_id=one.key,
            node_id=one.node_id,
            size_bytes=one.size_bytes,
            extension=one.extension,
            media_type=one.media_type,
            title=one.title,
            source=one.source,
        )
        for one in found
    ]
    return AssetPage(assets=lines, next=found[-1].node_id if len(found) == limit else None)


def asset(database: Database, key: str) -> Asset:
    """Return an asset. Raises NotFoundError where there is none with these bytes."""
    report = database.explore.node(key)
    if not report.node["is_physical"]:
        raise NotFoundError(f"{key} has no bytes; `drystone node show` tells of other nodes")
    metadata = _metadata(database, report.node["node_id"])
    titles = [row["title"] for row in report.metadata if row["title"]]
    groups: dict[str, list[str]] = {word: [] for word in _GROUPS}
    for row in report.parents:
        begin = _GROUPS.get(row["relationship"])
        if begin and (row["description"] or "").startswith(begin):
            groups[row["relationship"]].append(row["description"].removeprefix(begin))
    return Asset(
        system_id=report.node["key"],
        node_id=report.node["node_id"],
        size_bytes=report.node["size_bytes"],
        extension=report.node["extension"],
        media_type=report.node["media_type"],
        create_time=report.node["create_time"],
        is_deleted=report.node["is_delete"],
        title=_title(metadata) or (titles[-1] if titles else ""),
        metadata=metadata,
        tags=sorted(groups["tagged"]),
        collections=sorted(groups["member"]),
        schemas=sorted(report.declared),
        ingest_batches=[row["name"] for row in report.ingest_batches],
    )


def describe(
    database: Database, key: str, metadata: dict[str, Any], user: str, *, replaces: bool
) -> Asset:
    """Say something of an asset: some fields, of which null takes one away, or all of them.

    Raises NotFoundError, and UsageError for what no column can hold.
    """
    _check(metadata)
    node = asset(database, key)
    if not replaces and not metadata:
        raise UsageError("say at least one field")
    database.declare(TABLE)
    when = now()
    act = "replace" if replaces else "describe"
    said = SourceMetadata(
        key=node.system_id, source=SOURCE, download_time=when,
        values={"user": user, "act": act, "said": json.dumps(metadata)},
    )  # fmt: skip
    titles: tuple[CommonMetadata, ...] = ()
    if title := _title(metadata):
        titles = (
            CommonMetadata(
                key=node.system_id, source=SOURCE, is_raw=False, is_root=False, title=title,
                download_time=when, user=user,
            ),
        )  # fmt: skip
    intent_id = f"asset-{act}-{node.node_id}-{user}-{when.isoformat()}"[:200]
    database.apply_intent(
        WriteIntent(intent_id=intent_id, source_metadata=(said,), common_metadata=titles)
    )
    return asset(database, key)


def _title(metadata: dict[str, Any]) -> str:
    """Return the title that people say; empty where they say none."""
    title = metadata.get(TITLE)
    return title if isinstance(title, str) else ""


def _metadata(database: Database, node_id: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with database.reading() as connection:
        row = connection.execute(_SQL["has_said"]).fetchone()
        if row is None or not row[0]:
            return {}  # Nobody has said anything of any.
        for replaces, said in connection.execute(_SQL["said"], {"node_id": node_id}):
            found = said if replaces else found | said
    return {name: value for name, value in found.items() if value is not None}


def _check(metadata: dict[str, Any]) -> None:
    """Raise UsageError for a document that is too large, too deep, or that JSONB refuses."""
    try:
        text = json.dumps(metadata, allow_nan=False, ensure_ascii=False)
        size_bytes = len(text.encode())
    except RecursionError:
        raise UsageError(f"metadata is nested deeper than {DEPTH_MAX}; make it flatter") from None
    except ValueError:
        raise UsageError("metadata has a number or half a character that is no JSON") from None
    if size_bytes > METADATA_BYTES_MAX:
        raise UsageError(
            f"metadata has at most {METADATA_BYTES_MAX:,} bytes; this is {size_bytes:,}"
        )
    if len(_title(metadata)) > TITLE_LENGTH_MAX:
        raise UsageError(f"a title has at most {TITLE_LENGTH_MAX:,} characters")
    if "\\u0000" in json.dumps(metadata):
        raise UsageError("metadata has a NUL, which no database holds; take it out")
    if _depth(metadata) > DEPTH_MAX:
        raise UsageError(f"metadata is nested deeper than {DEPTH_MAX}; make it flatter")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
