"""Declared tables: it owns how `meta_SOURCE` (07xx) and `result_ACTION` (13.x) tables come to be.

A source or an action declares its columns once, with a version and allow-listed types; this is the
only code that makes such a table. A higher version may add nullable columns and widen integer to
bigint, in place; everything else is refused with the difference, and nothing is ever dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, LiteralString, get_args

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier
from psycopg.sql import Literal as Quoted
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from sql.core import guests
from sql.core.errors import SchemaError
from sql.core.lock_waits import TABLE_LOCK_TIMEOUT_S, limit_lock_waits, with_table_locks

Type = Literal[
    "bigint",
    "integer",
    "double precision",
    "boolean",
    "text",
    "timestamptz",
    "date",
    "bytea",
    "text[]",
    "bigint[]",
    "double precision[]",
    "jsonb",
]
TYPES: tuple[Type, ...] = get_args(Type)
COLUMNS_MAX = 300
PLACE_COLUMNS = ("latitude", "longitude")
"""Both, in degrees, make a source one that says places."""
COMMENT_LENGTH_MAX = 500

# Every table of a kind has these in front of the declared ones.
_OWN_COLUMNS: dict[str, dict[str, tuple[LiteralString, str]]] = {
    "source": {
        "id": ("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "Surrogate key"),
        "node_id": ("bigint NOT NULL REFERENCES node (node_id)", "The node, virtual or physical"),
        "observation_hash": (
            "bytea NOT NULL CHECK (octet_length(observation_hash) = 16)",
            "BLAKE2b-128 of the other values: the same observation is kept once",
        ),
        "download_time": ("timestamptz", "When it was scraped"),
    },
    "action": {
        "id": ("bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "Surrogate key"),
        "node_id": ("bigint NOT NULL REFERENCES node (node_id)", "The node this was found about"),
        "action_event_id": (
            "bigint NOT NULL REFERENCES action_event (id)",
            "The run of the action that found it",
        ),
    },
}
_PREFIX = {"source": "meta_", "action": "result_"}
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
RESERVED_NAMES = _SYSTEM_COLUMNS.union(*_OWN_COLUMNS.values())

_WIDENINGS = {("integer", "bigint")}


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("text must not contain NUL")
    return text


def _free(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name} is a name that every such table or PostgreSQL uses; take another")
    return name


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Comment = Annotated[
    str,
    StringConstraints(min_length=1, max_length=COMMENT_LENGTH_MAX),
    AfterValidator(_storable),
]


class _Declaration(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Declaration):
    """One column; a value that nobody knows is NULL, so think twice before `nullable=False`."""

    name: Annotated[Name, AfterValidator(_free)]
    type: Type
    comment: Comment
    nullable: bool = True
    is_indexed: bool = False
    """Whether values are looked up; of JSON and lists, what they hold."""


class DeclaredTable(_Declaration):
    """The schema of one source's or action's table; raise `version` with every change."""

    kind: Literal["source", "action"]
    name: Name
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    comment: Comment
    columns: Annotated[tuple[Column, ...], Field(max_length=COLUMNS_MAX)]

    @model_validator(mode="after")
    def _once_each(self) -> DeclaredTable:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"columns named twice: {', '.join(twice)}")
        return self

    @property
    def table_name(self) -> str:
        """`meta_NAME` or `result_NAME`."""
        return _PREFIX[self.kind] + self.name

    def column(self, name: str) -> Column | None:
        """Return a declared column by name."""
        return next((column for column in self.columns if column.name == name), None)


def declare(connection: psycopg.Connection[Any], table: DeclaredTable) -> bool:
    """Make the table, or bring it to this version; False when it was so already.

    Several callers may declare the same table at once. Raises SchemaError with the difference when
    the table is there and cannot become this, and BusyError when somebody has been reading it all
    the time; then nothing was changed.
    """
    if schema_of(connection, table.table_name) == table:
        return False

    def change() -> bool:
        with connection.transaction(), limit_lock_waits(connection, TABLE_LOCK_TIMEOUT_S):
            return _declare_locked(connection, table)

    return with_table_locks(f"{table.table_name} cannot be declared", change)


def _declare_locked(connection: psycopg.Connection[Any], table: DeclaredTable) -> bool:
    # Whoever declares the same table waits here, and then sees what was made.
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext('declared_table'), hashtext(%s))",
        [table.table_name],
    )
    former = schema_of(connection, table.table_name)
    if former == table:
        return False
    if former is None:
        _create(connection, table)
    else:
        _alter(connection, former, table)
    connection.execute(
        "INSERT INTO declared_table (table_name, version, definition) VALUES (%s, %s, %s) "
        "ON CONFLICT (table_name) DO UPDATE SET version = excluded.version, "
        "definition = excluded.definition, declared_time = now()",
        [table.table_name, table.version, table.model_dump_json()],
    )
    guests.protect_declared(connection, table.table_name)
    return True


def schema_of(connection: psycopg.Connection[Any], table_name: str) -> DeclaredTable | None:
    """Return the declaration that a table (`meta_NAME`, `result_NAME`) was made from, or None."""
    row = connection.execute(
        "SELECT definition FROM declared_table WHERE table_name = %s", [table_name]
    ).fetchone()
    return DeclaredTable.model_validate_json(row[0]) if row else None


def declared_tables(connection: psycopg.Connection[Any]) -> list[DeclaredTable]:
    """Return all declarations, by name of the table."""
    rows = connection.execute(
        "SELECT definition FROM declared_table ORDER BY table_name"
    ).fetchall()
    return [DeclaredTable.model_validate_json(row[0]) for row in rows]


def difference(former: DeclaredTable, wanted: DeclaredTable) -> list[str]:
    """Return what of a change cannot be done in place, one line each; empty when all can."""
    lines: list[str] = []
    for column in former.columns:
        new = wanted.column(column.name)
        if new is None:
            lines.append(f"column {column.name} ({_text(column)}) is gone; keep it, unused")
        elif _text(new) != _text(column) and not _widens(column, new):
            lines.append(f"column {column.name}: {_text(column)} -> {_text(new)}")
    lines += [
        f"column {column.name} ({_text(column)}) is new and not nullable; rows exist without it"
        for column in wanted.columns
        if former.column(column.name) is None and not column.nullable
    ]
    return lines


def _widens(former: Column, wanted: Column) -> bool:
    return (former.type, wanted.type) in _WIDENINGS and former.nullable == wanted.nullable


def _text(column: Column) -> str:
    return column.type if column.nullable else f"{column.type} not null"


def ddl(table: DeclaredTable) -> str:
    """Return the statements that make a table, for people to read."""
    indexes = [_index_of(table, column) for column in table.columns if column.is_indexed]
    indexes += _index_of_places(table)
    return "".join(f"{one.as_string(None)};\n" for one in (_create_statement(table), *indexes))


def _create_statement(table: DeclaredTable) -> Composed:
    own = _OWN_COLUMNS[table.kind]
    lines: list[Composable] = [
        SQL("{} {}").format(Identifier(column), SQL(text)) for column, (text, _) in own.items()
    ]
    lines += [_definition(column) for column in table.columns]
    if table.kind == "source":
        # The same observation again is no new row; also "all metadata of a node".
        lines.append(SQL("UNIQUE (node_id, observation_hash)"))
    name = Identifier(table.table_name)
    return SQL("CREATE TABLE {} (\n    {}\n)").format(name, SQL(",\n    ").join(lines))


def _create(connection: psycopg.Connection[Any], table: DeclaredTable) -> None:
    if table.kind == "source":
        _register_source(connection, table)
    name = Identifier(table.table_name)
    try:
        connection.execute(_create_statement(table))
    except psycopg.errors.DuplicateTable as error:
        raise SchemaError(
            f"there is a table {table.table_name} that was not made from a declaration; rename it"
        ) from error
    if table.kind == "action":
        # The results of a node; and what one run found, to take it back.
        for column in ("node_id", "action_event_id"):
            index = SQL("CREATE INDEX ON {} ({})").format(name, Identifier(column))
            connection.execute(index)
    _index(connection, table, table.columns)
    for statement in _index_of_places(table):
        connection.execute(statement)
    _comment(connection, table)


def _index(
    connection: psycopg.Connection[Any], table: DeclaredTable, columns: Iterable[Column]
) -> None:
    for column in columns:
        if column.is_indexed:
            connection.execute(_index_of(table, column))


def _index_of(table: DeclaredTable, column: Column) -> Composed:
    name, place = Identifier(table.table_name), Identifier(column.name)
    if column.type == "jsonb":
        # jsonb_path_ops: a third of the size, for `has` (@>), the one operator that we ask.
        return SQL("CREATE INDEX ON {} USING gin ({} jsonb_path_ops)").format(name, place)
    if column.type.endswith("[]"):
        return SQL("CREATE INDEX ON {} USING gin ({})").format(name, place)
    if column.type == "text":
        # A long text fits in no page of a B-tree; equal ones have one hash.
        return SQL("CREATE INDEX ON {} USING hash ({})").format(name, place)
    return SQL("CREATE INDEX ON {} ({})").format(name, place)


def _index_of_places(table: DeclaredTable) -> list[Composed]:
    """Return what makes the index of a source that says places: `near` of selectors asks it."""
    places = [table.column(name) for name in PLACE_COLUMNS]
    if table.kind != "source" or any(c is None or c.type != "double precision" for c in places):
        return []
    columns = SQL(", ").join(map(Identifier, PLACE_COLUMNS))
    statement = SQL("CREATE INDEX ON {} ({}) WHERE latitude IS NOT NULL")
    return [statement.format(Identifier(table.table_name), columns)]


def _register_source(connection: psycopg.Connection[Any], table: DeclaredTable) -> None:
    connection.execute(
        "INSERT INTO source (description, meta_table_name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [table.name, table.table_name],
    )


def _alter(
    connection: psycopg.Connection[Any], former: DeclaredTable, wanted: DeclaredTable
) -> None:
    name = wanted.table_name
    if wanted.version < former.version:
        raise SchemaError(
            f"{name} is at version {former.version}, and version {wanted.version} was asked for: "
            "update the code that declares it"
        )
    lines = difference(former, wanted)
    if lines:
        raise SchemaError(
            f"{name} cannot go from version {former.version} to {wanted.version}; declare a new "
            "column (or another name) instead:",
            lines,
        )
    if wanted.version == former.version:
        raise SchemaError(
            f"{name} is declared differently under the same version {wanted.version}; raise the "
            "version:",
            _changes(former, wanted),
        )
    table = Identifier(name)
    for column in wanted.columns:
        known = former.column(column.name)
        if known is None:
            change = SQL("ALTER TABLE {} ADD COLUMN {}").format(table, _definition(column))
            connection.execute(change)
        elif known.type != column.type:
            change = SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}")
            connection.execute(change.format(table, Identifier(column.name), SQL(column.type)))
    was_indexed = {column.name for column in former.columns if column.is_indexed}
    _index(connection, wanted, (one for one in wanted.columns if one.name not in was_indexed))
    for statement in _index_of_places(wanted) if not _index_of_places(former) else ():
        connection.execute(statement)
    _comment(connection, wanted)


def _changes(former: DeclaredTable, wanted: DeclaredTable) -> list[str]:
    """Return the harmless differences, which only want a higher version."""
    lines = ["the comment of the table"] if former.comment != wanted.comment else []
    for column in wanted.columns:
        known = former.column(column.name)
        if known is None:
            lines.append(f"column {column.name} ({_text(column)}) is new")
        elif known.type != column.type:
            lines.append(f"column {column.name}: {_text(known)} -> {_text(column)}")
        elif known.comment != column.comment:
            lines.append(f"the comment of column {column.name}")
        elif known.is_indexed != column.is_indexed:
            lines.append(f"the index of column {column.name}")
    return lines or ["the order of the columns"]


def _definition(column: Column) -> Composed:
    # The type is one of TYPES: pydantic admits nothing else.
    null = SQL("") if column.nullable else SQL(" NOT NULL")
    return SQL("{} {}{}").format(Identifier(column.name), SQL(column.type), null)


def _comment(connection: psycopg.Connection[Any], table: DeclaredTable) -> None:
    name = Identifier(table.table_name)
    number = "07xx" if table.kind == "source" else "13.x"
    text = Quoted(f"{number}: {table.comment}")
    connection.execute(SQL("COMMENT ON TABLE {} IS {}").format(name, text))
    comments = {own: text for own, (_, text) in _OWN_COLUMNS[table.kind].items()}
    comments |= {column.name: column.comment for column in table.columns}
    for column, comment in comments.items():
        connection.execute(
            SQL("COMMENT ON COLUMN {}.{} IS {}").format(name, Identifier(column), Quoted(comment))
        )
