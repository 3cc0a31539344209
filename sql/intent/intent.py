"""The write-intent: it owns the document that says what to write, and no statement.

A WriteIntent is the only way into the database. It is versioned, and idempotent by its id: the
same intent applied again changes nothing. Nodes are named by key: the sha256 of their bytes, or of
their canonical description, as 64 lower-case hexadecimal digits. A key that an edge, a metadata row
or a flag names must be a node of the same intent or one that the database has.

Rows keep their order. Text must be storable: no NUL, no lone surrogates; adapters clean what they
pass on.
"""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from sql.core.errors import IntentError

DESCRIPTION_LENGTH_MAX = 4_000
TITLE_LENGTH_MAX = 4_096
RAW_METADATA_BYTES_MAX = 1_024
BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
DIGEST_ROWS = 10_000
"""Rows that are written as JSON at a time for the digest, so that memory stays small."""


def _storable(value: object) -> object:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text must not contain NUL")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("text must be valid Unicode, without lone surrogates") from None
    return value


def _short_enough(value: object) -> object:
    # What cannot be encoded is refused by the check that comes next.
    if isinstance(value, str) and len(value.encode(errors="replace")) > RAW_METADATA_BYTES_MAX:
        raise ValueError(f"raw_metadata may have {RAW_METADATA_BYTES_MAX} bytes")
    return value


def _checked_values(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse what no column can hold, and put the columns into one order, so that the digest of
    the intent does not depend on it."""
    for name, value in values.items():
        try:
            _check_value(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return dict(sorted(values.items()))


def _check_value(value: object) -> None:
    if value is None or isinstance(value, str):
        _storable(value)
    elif isinstance(value, (list, tuple)):
        for item in cast("list[object]", value):
            if item is None or isinstance(item, (list, tuple)):
                raise ValueError("a list holds plain values, neither null nor lists")
            _check_value(item)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number must be finite; what is unknown is null")
    elif not isinstance(value, (int, datetime.date)):
        raise ValueError(f"a value cannot be of type {type(value).__name__}")


def checked_instant(value: datetime.datetime) -> datetime.datetime:
    """Return the time; ValueError when its year in UTC is none from 1 to 9999.

    PostgreSQL would keep such a time, and nobody could read it any more.
    """
    if not 1 < value.year < 9999:
        try:
            value.astimezone(datetime.UTC)
        except OverflowError:
            raise ValueError("must lie in the years 1 to 9999 in UTC") from None
    return value


Text = Annotated[str, BeforeValidator(_storable)]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Description = Annotated[
    str,
    StringConstraints(min_length=1, max_length=DESCRIPTION_LENGTH_MAX),
    BeforeValidator(_storable),
]
Extension = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,16}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_ ]{0,60}$")]
Instant = Annotated[AwareDatetime, AfterValidator(checked_instant)]
Count = Annotated[int, Field(strict=True, ge=0, le=BIGINT_MAX)]
ActionId = Annotated[int, Field(strict=True, ge=0, le=INTEGER_MAX)]
Values = Annotated[dict[str, Any], AfterValidator(_checked_values)]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def key_of(description: str) -> str:
    """Return the key of the virtual node with this canonical description."""
    return hashlib.sha256(description.encode()).hexdigest()


class VirtualNode(_Row):
    """A node that is a description, such as `twitter:user:783214`."""

    description: Description

    @property
    def key(self) -> str:
        """The sha256 of the description."""
        return key_of(self.description)


class PhysicalNode(_Row):
    """A node whose bytes are in the store; the extension must be in file_type."""

    key: Key
    size_bytes: Count
    extension: Extension


class CommonMetadata(_Row):
    """One observation of a node: what every source can say."""

    key: Key
    source: Name
    is_raw: StrictBool = True
    is_root: StrictBool
    title: Annotated[Text, Field(max_length=TITLE_LENGTH_MAX)] | None = None
    view: Count | None = None
    update_time: Instant | None = None
    download_time: Instant | None = None
    author_description: Description | None = None
    user: Text | None = None
    raw_metadata: Annotated[Text, BeforeValidator(_short_enough)] | None = None


class SourceMetadata(_Row):
    """One observation of a node in the declared columns of its source's table."""

    key: Key
    source: Name
    download_time: Instant | None = None
    values: Values
    """Column to value; types are checked against the declaration, missing columns are NULL."""


class Relationship(_Row):
    """What edges mean; declared once, and refused when it is declared otherwise later."""

    description: Word
    forms_tree: StrictBool
    action_id: ActionId = 0


class Edge(_Row):
    """Parent to child; an edge is known by its ends and its relationship.

    `position` orders the children of a parent. The first that is known stays: an edge without one
    gets that of a later intent, and of several in one intent the least counts.
    """

    parent: Key
    child: Key
    relationship: Word
    position: Annotated[int, Field(strict=True, ge=0, le=INTEGER_MAX)] | None = None
    action_id: ActionId = 0

    @model_validator(mode="after")
    def _not_itself(self) -> Edge:
        if self.parent == self.child:
            raise ValueError("an edge cannot lead from a node to itself")
        return self


class RemovedEdge(_Row):
    """An edge that is no more: a tag taken off, a node out of a collection.

    None that forms a tree: what was made of what stays so.
    """

    parent: Key
    child: Key
    relationship: Word
    action_id: ActionId = 0


class ArchiveLocation(_Row):
    """Where the bytes of a physical node lie in a TYPE1 package."""

    key: Key
    filepath: Annotated[Text, Field(min_length=1, max_length=DESCRIPTION_LENGTH_MAX)]


class NodeFlag(_Row):
    """Set flags of a physical node; None leaves one as it is."""

    key: Key
    in_black_list: StrictBool | None = None
    is_delete: StrictBool | None = None


class ResultRow(_Row):
    """What an action found about a node, in the declared columns of its table."""

    action: Name
    key: Key
    action_event_id: Count
    values: Values


class SupersededResults(_Row):
    """What an action found about a node before, with the parameters of this event, counts no more.

    The rows leave the action's table for superseded_result before new ones are written: whoever
    asks a result table sees what counts now.
    """

    action: Name
    key: Key
    action_event_id: Count


class WriteIntent(_Row):
    """What to write, in one transaction."""

    version: Literal[1] = 1
    intent_id: Annotated[Text, Field(min_length=1, max_length=200)]
    ingest_batch: Text | None = None
    """Every node of the intent becomes a member of this ingest batch, which must exist."""
    virtual_nodes: tuple[VirtualNode, ...] = ()
    physical_nodes: tuple[PhysicalNode, ...] = ()
    common_metadata: tuple[CommonMetadata, ...] = ()
    source_metadata: tuple[SourceMetadata, ...] = ()
    relationships: tuple[Relationship, ...] = ()
    edges: tuple[Edge, ...] = ()
    removed_edges: tuple[RemovedEdge, ...] = ()
    """Removed before the edges of the same intent come."""
    archive_locations: tuple[ArchiveLocation, ...] = ()
    flags: tuple[NodeFlag, ...] = ()
    results: tuple[ResultRow, ...] = ()
    superseded_results: tuple[SupersededResults, ...] = ()
    superseded_metadata: tuple[SourceMetadata, ...] = ()
    """Rows that are made of what the database keeps elsewhere, and are made anew; they go."""


class IntentResult(_Row):
    """What applying an intent did: new rows, and what was known already."""

    intent_id: str
    repeated: bool = False
    """The id was applied before: nothing was done now, these are the figures of then."""
    nodes_new: int = 0
    nodes_existing: int = 0
    observations_new: int = 0
    observations_existing: int = 0
    edges_new: int = 0
    edges_existing: int = 0
    rows_new: int = 0
    """Archive locations, flags changed, results, memberships, and positions of known edges."""
    results_superseded: int = 0
    observations_superseded: int = 0
    edges_removed: int = 0
    cycles: tuple[tuple[str, ...], ...] = ()
    """One for each tree edge that was left out because it lies on a cycle: the keys along one such
    cycle, the edge's parent and child first. Of very many edges only the parent and the child."""


_ROW_TYPES: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(cast("type[Any]", field.annotation))
    for name, field in WriteIntent.model_fields.items()
    if field.default == ()
}


def load_intent(document: bytes | str | Mapping[str, Any]) -> WriteIntent:
    """Read an intent from JSON or from a parsed document; IntentError lists `path: reason`."""
    try:
        if isinstance(document, (bytes, str)):
            return WriteIntent.model_validate_json(document)
        return WriteIntent.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [f"{_path(item['loc'])}: {item['msg']}" for item in found]
    raise IntentError(problems)


def digest_of(intent: WriteIntent) -> bytes:
    """Return the sha256 of the intent as canonical JSON.

    Left out is what has its default, so that a field which is added later changes no old digest.
    """
    digest = hashlib.sha256()
    head = intent.model_dump_json(exclude=set(_ROW_TYPES), exclude_defaults=True)
    digest.update(head.encode())
    for name, row_type in _ROW_TYPES.items():
        rows: tuple[_Row, ...] = getattr(intent, name)
        if rows:
            digest.update(b"\n" + name.encode())
        for first in range(0, len(rows), DIGEST_ROWS):
            part = rows[first : first + DIGEST_ROWS]
            digest.update(row_type.dump_json(part, exclude_defaults=True))
    return digest.digest()


def _path(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).lstrip(".") or "document"
