"""Plans of tables: which path of a document goes into which column, and where the rest goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from adapters.decide.names import NAME_LENGTH_MAX, column_name, word_of
from adapters.decide.profile import Path
from base.errors import UsageError
from sql import COLUMN_TYPES, Column, ColumnType, DeclaredTable

EXTRA, DOCUMENT, POSITION = "extra", "document", "member_position"
Form = Literal["table", "jsonb"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedColumn(_Document):
    """A column and the path whose values it gets."""

    path: Path
    name: str
    type: ColumnType
    comment: str
    is_indexed: bool = False

    @property
    def declared(self) -> Column:
        """The column as a table has it."""
        return Column(
            name=self.name, type=self.type, comment=self.comment, is_indexed=self.is_indexed
        )


class PlannedChild(_Document):
    """A table with a row for each member of a list of objects; paths begin at the member."""

    key: str
    name: str
    columns: tuple[PlannedColumn, ...]


class Plan(_Document):
    """How documents become rows of one table and its children.

    What has no column, or does not fit it, goes into `extra`; the form `jsonb` has no columns and
    keeps documents whole, in `document`.
    """

    name: str
    form: Form
    columns: tuple[PlannedColumn, ...] = ()
    children: tuple[PlannedChild, ...] = ()

    @property
    def rest(self) -> str:
        """The column of what has none."""
        return EXTRA if self.form == "table" else DOCUMENT

    def as_document(self) -> Plan:
        """Return the plan that keeps documents whole."""
        return Plan(name=self.name, form="jsonb")

    def renamed(self, name: str) -> Plan:
        """Return the plan under another name, its children with it."""
        children = tuple(
            child.model_copy(update={"name": child_name(name, child.key)})
            for child in self.children
        )
        return self.model_copy(update={"name": name, "children": children})

    def tables(self, version: int) -> list[DeclaredTable]:
        """Return what is to be declared: the table of documents, then its children."""
        whole = "documents, whole" if self.form == "jsonb" else "what has no column of its own"
        rest = Column(
            name=self.rest,
            type="jsonb",
            comment=f"JSON: {whole}",
            is_indexed=self.form == "jsonb",
        )
        tables = [_declared(self.name, version, f"{self.name}: JSON documents", self.columns, rest)]
        position = Column(name=POSITION, type="integer", comment="Place in the list, from 0")
        extra = Column(name=EXTRA, type="jsonb", comment="JSON: what has no column of its own")
        for child in self.children:
            comment = f"Members of {child.key!a} of {self.name}, a row each"
            columns = child.columns
            tables.append(_declared(child.name, version, comment, columns, extra, position))
        return tables


def _declared(
    name: str, version: int, comment: str, columns: tuple[PlannedColumn, ...], *own: Column
) -> DeclaredTable:
    declared = (*own[1:], *(column.declared for column in columns), own[0])
    return DeclaredTable(
        kind="source", name=name, version=version, comment=comment[:500], columns=declared
    )


def child_name(name: str, key: str) -> str:
    """Return the name of the table for the members of a list."""
    return f"{name}_{word_of(key, 'list')}"[:NAME_LENGTH_MAX].rstrip("_")


# ---- What a person changes -----------------------------------------------------------------------


def edited(
    plan: Plan,
    *,
    renames: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    drops: tuple[str, ...] = (),
) -> Plan:
    """Return the plan with columns renamed, of another type, or left to `extra`.

    Columns are named as they are in the plan. Raises UsageError for what it has not.
    """
    known = {column.name for column in plan.columns}
    asked = [*(renames or {}), *(types or {}), *drops]
    for name in asked:
        if name not in known:
            raise UsageError(f"there is no column {name!a}; there are: {', '.join(sorted(known))}")
    kept: list[PlannedColumn] = []
    taken = {plan.rest, *(known - {*(renames or {}), *drops})}
    for column in plan.columns:
        if column.name in drops:
            continue
        changes: dict[str, object] = {}
        if wanted := (renames or {}).get(column.name):
            if column_name((wanted,), taken) != wanted:
                raise UsageError(f"{wanted!a} cannot be the name of a column, or is taken")
            taken.add(wanted)
            changes["name"] = wanted
        if kind := (types or {}).get(column.name):
            if kind not in COLUMN_TYPES:
                raise UsageError(f"{kind!a} is no type; there are: {', '.join(COLUMN_TYPES)}")
            changes["type"] = kind
        kept.append(column.model_copy(update=changes))
    return plan.model_copy(update={"columns": tuple(kept)})
