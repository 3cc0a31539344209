"""What the page of schemas reads: all of them, and one whole."""

from __future__ import annotations

from typing import NamedTuple

from adapters import SchemaLine, SchemaSight, schema_difference, schema_lines, schema_sight
from gui.reading.desk import Desk


class SchemasReading(NamedTuple):
    """The schemas, and the one that the address names with what accepting it would change."""

    lines: tuple[SchemaLine, ...]
    sight: SchemaSight | None = None
    changes: tuple[str, ...] = ()


def read_schemas(desk: Desk, name: str = "") -> SchemasReading:
    """Read the schemas; blocks."""
    database = desk.database()
    lines = tuple(schema_lines(database))
    # One that was renamed a moment ago is there under its new name.
    if name not in {line.name for line in lines}:
        return SchemasReading(lines)
    changes = tuple(schema_difference(database, name))
    return SchemasReading(lines, schema_sight(database, name), changes)
