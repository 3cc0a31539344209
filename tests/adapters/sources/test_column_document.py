"""The document of columns is made from the declarations, and stored databases stay openable."""

from __future__ import annotations

import json
import os

import pytest
from sources.column_document import document

from adapters.sources.registry import adapters
from sql import Column, DeclaredTable
from sql.core.declared import difference


def test_the_tables_of_the_document_are_those_of_the_declarations():
    text, wanted = document()
    assert text == wanted, "python -m tests.adapters.sources.column_document writes them"


def landed_tables() -> list[DeclaredTable]:
    """Return the tables as stored databases have them (landed_tables.json)."""
    path = os.path.join(os.path.dirname(__file__), "landed_tables.json")
    with open(path, encoding="utf-8") as file:
        landed = json.load(file)
    return [
        DeclaredTable(
            kind="source",
            name=name,
            version=told["version"],
            comment=told["comment"],
            columns=tuple(Column(name=n, type=t, comment=c) for n, t, c in told["columns"]),
        )
        for name, told in landed.items()
    ]


@pytest.mark.parametrize("landed", landed_tables(), ids=lambda table: table.name)
def test_stored_databases_stay_openable(landed: DeclaredTable):
    """A column keeps its name and type, and whatever changes comes with a higher version."""
    tables = {table.name: table for one in adapters().values() for table in one.tables}
    now = tables[landed.name]
    assert difference(landed, now) == []
    assert now == landed or now.version > landed.version
