"""What people decide about proposals: accept, reject, roll back.

Nothing is dropped: the documents stay what they are, rows of a version that is no longer active
stay in its table. A column that gets another name or type, or goes, means another table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapters.decide.plan import Plan, edited
from adapters.schemas.rows import plan_of, replay, statements_of
from base.errors import UsageError
from sql import Database, DeclaredTable, SchemaError, SchemaVersion

_NAME = re.compile(r"[a-z][a-z0-9_]{0,27}")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a person wants otherwise than it was proposed."""

    name: str | None = None
    form: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict[str, str])
    types: Mapping[str, str] = field(default_factory=dict[str, str])
    drops: tuple[str, ...] = ()


def accept(
    database: Database,
    name: str,
    who: str,
    changes: Changes | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[SchemaVersion, int]:
    """Make the tables of a proposal and fill them; returns the version and how many rows are new.

    Without a proposal it goes on with the replay of the version that is active. Killed anywhere,
    the same call again completes it.
    """
    changes = changes or Changes()
    versions = database.schemas.of(name)
    active = _of(versions, "active")
    if active is not None and active.replay_time is None:
        # A former plan may have rows in half of the table: they are all made first.
        replay(database, active, say)
    waiting, former = _of(versions, "provisional"), active or _last(versions)
    if waiting is None:
        if former is None or changes != Changes():
            raise UsageError(f"{name} has no proposal that waits; `drystone schema show {name}`")
        if active is not None:
            return _version(database, active), replay(database, active, say)
        # It was rolled back, and is to be active after all.
        return _activate(database, former, plan_of(former.plan), former, who, say)
    plan = _edited(waiting, changes)
    if changes.name and changes.name != name:
        plan = _renamed(database, name, changes.name, plan, len(versions))
        name = changes.name
        waiting = _version(database, waiting)
    return _activate(database, waiting, plan, former, who, say)


def reject(database: Database, name: str, who: str) -> SchemaVersion:
    """Refuse the proposal of a schema; the same is not proposed again."""
    waiting = _of(database.schemas.of(name), "provisional")
    if waiting is None:
        raise UsageError(f"{name} has no proposal that waits; `drystone schema show {name}`")
    database.schemas.set_status(waiting, "rejected", who)
    return _version(database, waiting)


def roll_back(
    database: Database, name: str, who: str, say: Callable[[str], None] = lambda _: None
) -> tuple[SchemaVersion, int]:
    """Make the version before the active one active again; without one, none is.

    Returns the version that is active now, or the one that was, and how many rows are new.
    """
    versions = database.schemas.of(name)
    active = _of(versions, "active")
    if active is None:
        raise UsageError(f"no version of {name} is accepted, so there is nothing to roll back")
    before = [one for one in versions if one.status == "former" and one.version < active.version]
    if not before:
        database.schemas.set_status(active, "former", who)
        return _version(database, active), 0
    return _activate(database, before[-1], plan_of(before[-1].plan), active, who, say)


def _of(versions: list[SchemaVersion], status: str) -> SchemaVersion | None:
    return next((one for one in versions if one.status == status), None)


def _last(versions: list[SchemaVersion]) -> SchemaVersion | None:
    """Return the version that was active last."""
    were = [one for one in versions if one.activation and one.decide_time is not None]
    return max(were, key=lambda one: (one.decide_time, one.version), default=None)


def _version(database: Database, version: SchemaVersion) -> SchemaVersion:
    return next(one for one in database.schemas.versions() if one.schema_id == version.schema_id)


def _edited(waiting: SchemaVersion, changes: Changes) -> Plan:
    plan = plan_of(waiting.plan)
    if changes.form == "table":
        plan = plan_of(waiting.table_plan)
    elif changes.form == "jsonb":
        plan = plan.as_document()
    return edited(plan, renames=changes.renames, types=changes.types, drops=changes.drops)


def _renamed(database: Database, old: str, new: str, plan: Plan, versions: int) -> Plan:
    if versions > 1:
        raise UsageError(f"{old} has a table already, so it keeps its name")
    if not _NAME.fullmatch(new):
        raise UsageError(f"{new!a} is no name: a-z, 0-9 and _, a letter first, at most 28")
    if not database.schemas.is_free(new):
        raise UsageError(f"there is a table or a schema {new!a} already; take another name")
    plan = plan.renamed(new)
    # A crash after this line leaves the proposal under its new name.
    database.schemas.rename(old, new)
    return plan


def _activate(
    database: Database,
    version: SchemaVersion,
    plan: Plan,
    before: SchemaVersion | None,
    who: str,
    say: Callable[[str], None],
) -> tuple[SchemaVersion, int]:
    former = plan_of(before.plan) if before else None
    plan = _declared(database, plan, former, version.version)
    replaced = former if former is not None and former.name == plan.name else None
    # A crash before this line leaves empty tables or new columns, which the same call finds.
    database.schemas.activate(
        version,
        who,
        plan=plan.model_dump_json(),
        choice=plan.form,
        ddl=statements_of(plan),
        replaced=replaced.model_dump_json() if replaced else "",
    )
    found = _version(database, version)
    return found, replay(database, found, say)


def _declared(database: Database, plan: Plan, former: Plan | None, version: int) -> Plan:
    """Make the tables of a plan, and return it with their name.

    What a table cannot become in place has one of its own, called after its version.
    """
    try:
        _declare(database, plan, former)
    except SchemaError:
        if former is None:
            raise
        plan = plan.renamed(f"{former.name[:34]}_v{version}")
        _declare(database, plan, None)
    return plan


def _declare(database: Database, plan: Plan, former: Plan | None) -> None:
    known = {table.name: table for table in database.declared_tables()}
    for table in plan.tables(1):
        own = known.get(table.name)
        if own is not None and former is None and own.columns != table.columns:
            raise SchemaError(f"there is a table {table.table_name} already; take another name")
        database.declare(_grown(own, table) if own else table)


def _grown(own: DeclaredTable, wanted: DeclaredTable) -> DeclaredTable:
    """Return the declaration that has the columns of both; it may be refused."""
    names = {column.name for column in wanted.columns}
    kept = tuple(column for column in own.columns if column.name not in names)
    both = own.model_copy(update={"columns": (*wanted.columns, *kept)})
    return own if both == own else both.model_copy(update={"version": own.version + 1})
