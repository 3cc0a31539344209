"""Whole numbers to and from PostgreSQL: it owns the binary COPY of rows of bigint, without NULL.

Ten million rows come as one array in a second, where rows of Python objects take a gigabyte.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

Int64s = npt.NDArray[np.int64]

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
ROWS_PER_WRITE = 100_000


def _row_type(columns: int) -> np.dtype[Any]:
    """One row of the format: the number of fields, then length and value of each."""
    cells = [cell for n in range(columns) for cell in ((f"l{n}", ">i4"), (f"c{n}", ">i8"))]
    return np.dtype([("fields", ">i2"), *cells])


def read_bigints(
    connection: psycopg.Connection[Any],
    query: bytes,
    columns: int,
    parameters: Mapping[str, object] | None = None,
) -> list[Int64s]:
    """Return the result of a query, one array per column; each column is cast to bigint."""
    names = sql.SQL(", ").join(
        sql.SQL("{}::bigint").format(sql.Identifier(f"c{n}")) for n in range(columns)
    )
    aliases = sql.SQL(", ").join(sql.Identifier(f"c{n}") for n in range(columns))
    statement = sql.SQL("COPY (SELECT {} FROM ({}) AS rows ({})) TO STDOUT (FORMAT binary)")
    # The query is one of ours, out of a .sql file.
    inner = sql.SQL(query.decode())  # pyright: ignore[reportArgumentType]
    composed = statement.format(names, inner, aliases)
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(composed, parameters) as copy:
        # Not joined: an object per row would be held, which is four times what the rows are.
        buffer.writelines(copy)
    data = buffer.getbuffer()
    rows = np.frombuffer(data[len(_HEAD) : -len(_TAIL)], _row_type(columns))
    return [rows[f"c{n}"].astype(np.int64) for n in range(columns)]


def write_bigints(
    connection: psycopg.Connection[Any], table: str, columns: tuple[Int64s, ...]
) -> None:
    """Append rows to a table whose columns are all bigint."""
    row_type = _row_type(len(columns))
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(sql.Identifier(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(_HEAD)
        for first in range(0, len(columns[0]), ROWS_PER_WRITE):
            parts = [column[first : first + ROWS_PER_WRITE] for column in columns]
            rows = np.empty(len(parts[0]), row_type)
            rows["fields"] = len(columns)
            for number, part in enumerate(parts):
                rows[f"l{number}"], rows[f"c{number}"] = 8, part
            copy.write(rows.tobytes())
        copy.write(_TAIL)
