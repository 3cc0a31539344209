"""Writing declared tables down shortly: it owns the notation, never a table."""

from __future__ import annotations

from sql import Column, DeclaredTable


def source_table(name: str, version: int, comment: str, columns: str) -> DeclaredTable:
    """Declare the table of a source from lines `column type: comment`."""
    parsed: list[Column] = []
    for line in columns.strip().splitlines():
        head, _, meaning = line.strip().partition(": ")
        column, _, kind = head.partition(" ")
        parsed.append(Column(name=column, type=kind, comment=meaning))  # pyright: ignore[reportArgumentType]
    return DeclaredTable(
        kind="source", name=name, version=version, comment=comment, columns=tuple(parsed)
    )
