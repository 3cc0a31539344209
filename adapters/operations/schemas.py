"""Operations on schemas: what was decided about JSON documents, shown, accepted and taken back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from adapters.schemas import look, verdict
from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, operation
from base.output import say, write_line, write_table
from base.text import safe_text
from sql import Place, opened

__all__ = ["opened"]

CELL_LENGTH_MAX = 60
CELLS_SHOWN_MAX = 8

NameField = Annotated[
    str, Field(description="Its name, as `schema list` has it.", pattern=r"^[a-z][a-z0-9_]{0,40}$")
]


class OneSchema(Document):
    """Which schema."""

    name: NameField


class SchemaQuestion(OneSchema):
    """Which version of a schema; without one, what waits or is active."""

    version: Annotated[int | None, Field(description="Its number, from 1.", ge=1)] = None


class AcceptRequest(OneSchema):
    """Which proposal, and what is to be otherwise."""

    new_name: Annotated[str | None, Field(description="Call it so, and its table.")] = None
    form: Annotated[
        str | None, Field(description="`table` or `jsonb`: force one.", pattern="^(table|jsonb)$")
    ] = None
    renames: Annotated[dict[str, str], Field(description="Call a column otherwise: OLD=NEW.")] = (
        Field(default_factory=dict[str, str])
    )
    types: Annotated[
        dict[str, str], Field(description="Give a column another type: COLUMN=TYPE.")
    ] = Field(default_factory=dict[str, str])
    drops: Annotated[
        tuple[str, ...], Field(description="Make no column of it; its values go into extra.")
    ] = ()


class Decided(Document):
    """What became of a version, and how many rows it got by that."""

    name: str
    version: int
    status: str
    rows_new: int = 0


class Difference(Document):
    """What accepting would change: columns with + and -."""

    name: str
    lines: list[str]


def _show_list(found: list[look.SchemaLine], _asked: NoRequest) -> None:
    headings = ("name", "version", "status", "form", ">documents", ">columns", "why")
    rows = [
        (
            one.name,
            str(one.version),
            one.status,
            one.choice,
            f"{one.documents:,}",
            f"{one.columns:,}",
            one.reason,
        )
        for one in found
    ]
    write_table(headings, rows)


@operation(
    "schema.list", role="viewer", kind="question", route="GET /schemas", cli=Cli(show=_show_list)
)
def list_schemas(place: Place, _caller: Caller, _asked: NoRequest) -> list[look.SchemaLine]:
    """List what was made of JSON documents that nobody declared: tables, and proposals of them."""
    return look.lines(place.database)


def _show(found: look.SchemaSight, _asked: SchemaQuestion) -> None:
    write_line(f"{found.name}, version {found.version}: {found.status}, as {found.choice}")
    write_line(f"documents   {found.documents:,}, of which {found.documents_sampled:,} looked at")
    write_line(f"versions    {', '.join(found.versions)}")
    if found.status == "active" and not found.is_complete:
        write_line(f"incomplete  `drystone schema accept {found.name}` goes on with the rows")
    for line in found.reasons:
        write_line(f"because     {safe_text(line)}")
    write_line("")
    for line in found.ddl.splitlines():
        write_line(line)
    for row in found.preview:
        cells = [f"{name}={str(value)[:CELL_LENGTH_MAX]}" for name, value in row.values.items()]
        more = f"  ... {len(cells) - CELLS_SHOWN_MAX} more" if len(cells) > CELLS_SHOWN_MAX else ""
        rest = "" if row.extra is None else f"  extra={str(row.extra)[:CELL_LENGTH_MAX]}"
        shown = "  ".join(cells[:CELLS_SHOWN_MAX])
        write_line(safe_text(f"{row.table}: {shown}{more}{rest}"))


@operation(
    "schema.show",
    role="viewer",
    kind="question",
    route="GET /schemas/{name}",
    cli=Cli(positional=("name",), metavars={"name": "NAME"}, show=_show),
)
def show(place: Place, _caller: Caller, asked: SchemaQuestion) -> look.SchemaSight:
    """Show a schema: its statements, why it is so, and the rows of the first 20 documents."""
    return look.sight(place.database, asked.name, asked.version)


def _show_difference(found: Difference, _asked: OneSchema) -> None:
    for line in found.lines:
        write_line(line)
    if not found.lines:
        say("nothing waits, so nothing would change")


@operation(
    "schema.diff",
    role="viewer",
    kind="question",
    route="GET /schemas/{name}/diff",
    cli=Cli(positional=("name",), metavars={"name": "NAME"}, show=_show_difference),
)
def diff(place: Place, _caller: Caller, asked: OneSchema) -> Difference:
    """Show which columns accepting the proposal would add or change."""
    return Difference(name=asked.name, lines=look.difference(place.database, asked.name))


def _show_decided(found: Decided, _asked: Any) -> None:
    say(f"{found.name}, version {found.version}: {found.status}, {found.rows_new:,} rows new")


@operation(
    "schema.accept",
    role="admin",
    kind="change",
    route="POST /schemas/{name}/accept",
    cli=Cli(
        positional=("name",),
        metavars={"name": "NAME"},
        options={
            "renames": ("--rename",),
            "types": ("--type",),
            "drops": ("--drop",),
            "new_name": ("--name",),
        },
        pairs=("renames", "types"),
        pairs_as="text",
        show=_show_decided,
        example="drystone schema accept pets --rename own_id=pet_id --drop note",
    ),
)
def accept(place: Place, caller: Caller, asked: AcceptRequest) -> Decided:
    """Make the table of a proposal, and give the stored documents their rows.

    What has no column goes into `extra`; no document is lost. Interrupted, the same command goes
    on. Selectors ask the table as `source_metadata: {source: NAME}`.
    """
    changes = verdict.Changes(
        name=asked.new_name,
        form=asked.form,
        renames=asked.renames,
        types=asked.types,
        drops=asked.drops,
    )
    version, new = verdict.accept(place.database, asked.name, caller.name, changes)
    return _decided(version, new)


@operation(
    "schema.reject",
    role="admin",
    kind="change",
    route="POST /schemas/{name}/reject",
    cli=Cli(positional=("name",), metavars={"name": "NAME"}, show=_show_decided),
)
def reject(place: Place, caller: Caller, asked: OneSchema) -> Decided:
    """Refuse a proposal: the documents stay JSON, and the same is not proposed again."""
    return _decided(verdict.reject(place.database, asked.name, caller.name), 0)


@operation(
    "schema.rollback",
    role="admin",
    kind="change",
    route="POST /schemas/{name}/rollback",
    cli=Cli(positional=("name",), metavars={"name": "NAME"}, show=_show_decided),
)
def roll_back(place: Place, caller: Caller, asked: OneSchema) -> Decided:
    """Make the version before the accepted one active again, with its rows.

    Without one, the documents that come get no rows; those that are there stay, and `accept` goes
    on with them.
    """
    return _decided(*verdict.roll_back(place.database, asked.name, caller.name))


def _decided(version: verdict.SchemaVersion, new: int) -> Decided:
    return Decided(name=version.name, version=version.version, status=version.status, rows_new=new)
