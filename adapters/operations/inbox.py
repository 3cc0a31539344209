"""Operations on the inbox (3A): what waits in it, its ingest, and batches that are given up."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from adapters.operations.ingest import show_report
from base.errors import EXIT_INCOMPLETE
from base.model import Document
from base.operations.operation import Caller, Cli, NoRequest, Shell, operation
from base.output import say, write_json, write_table
from base.text import safe_text
from sql import opened

if TYPE_CHECKING:
    from adapters.ingest.inbox import Waiting
    from adapters.ingest.ingest import IngestReport
    from sql import IngestBatch, Place

__all__ = ["opened"]


class InboxFolder(Document):
    """A folder of the inbox: its batch, or what its signal asks for."""

    folder: str
    batch: str | None
    adapter: str | None
    state: str
    """That of the batch; `ready`, or why the folder cannot come in."""
    reason: str | None


def _show_folders(found: list[InboxFolder], _asked: NoRequest) -> None:
    rows = [[value or "" for value in one.model_dump().values()] for one in found]
    write_table(tuple(InboxFolder.model_fields), rows)


@operation(
    "inbox.list", role="viewer", kind="question", route="GET /inbox", cli=Cli(show=_show_folders)
)
def list_folders(place: Place, _caller: Caller, _asked: NoRequest) -> list[InboxFolder]:
    """List the folders of the inbox: which are signalled, and what is wrong with the others."""
    from adapters.audit.care import inbox_root
    from adapters.ingest.inbox import waiting_folders

    found = waiting_folders(inbox_root(place.config_path))
    batches = sorted(place.database.ingests.batches(), key=lambda batch: batch.create_time)
    # The database has the printable form of a folder; of several batches the latest counts.
    known = {batch.folder: batch for batch in batches}
    return [_described(one, known.get(safe_text(os.path.realpath(one.folder)))) for one in found]


def _described(one: Waiting, batch: IngestBatch | None) -> InboxFolder:
    """Describe a folder by its batch, or by its signal where that means another one."""
    name = os.path.basename(one.folder)
    if batch is not None and (one.signal is None or one.signal.batch == batch.name):
        return InboxFolder(
            folder=name,
            batch=batch.name,
            adapter=batch.adapter,
            state=batch.state,
            reason=batch.state_reason,
        )
    return InboxFolder(
        folder=name,
        batch=one.signal.batch if one.signal else None,
        adapter=one.signal.adapter if one.signal else None,
        state=one.problem or "ready",
        reason=None,
    )


def _finish_run(
    shell: Shell, reports: Generator[IngestReport, None, bool], asked: NoRequest
) -> int:
    is_complete = False

    def done() -> Generator[IngestReport]:
        nonlocal is_complete
        is_complete = yield from reports

    for report in done():
        if shell.is_json:
            write_json(run.plain(report))
        else:
            show_report(report, asked)
    return 0 if is_complete else EXIT_INCOMPLETE


@operation(
    "inbox.run",
    role="operator",
    kind="stream",
    route="POST /inbox/run",
    cli=Cli(finish=_finish_run),
    is_private=True,
)
def run(place: Place, _caller: Caller, _asked: NoRequest) -> Generator[IngestReport, None, bool]:
    """Ingest every signalled folder of the inbox, one after the other.

    A folder that fails does not stop the others; the exit code is 3 then. Without the store's
    engine or the database nothing is tried.
    """
    from adapters.audit.care import inbox_root
    from adapters.ingest.inbox import waiting_folders
    from adapters.ingest.inbox_run import run_all

    found = waiting_folders(inbox_root(place.config_path))
    return run_all(place.config_path, found, place.say)


class OneBatch(Document):
    """Which ingest batch."""

    batch: Annotated[str, Field(description="Its name.")]


def _show_abandoned(gone: OneBatch, _asked: OneBatch) -> None:
    say(f"batch {gone.batch} is given up; its folder can be ingested under another name")


@operation(
    "inbox.abandon",
    role="operator",
    kind="change",
    route="POST /inbox/batches/{batch}/abandon",
    cli=Cli(positional=("batch",), metavars={"batch": "BATCH"}, show=_show_abandoned),
)
def abandon(place: Place, _caller: Caller, asked: OneBatch) -> OneBatch:
    """Give up a batch that cannot go on, for instance because its folder changed.

    The folder stays, and what the store has of it stays; ingest it again under another name.
    """
    from adapters.audit.care import inbox_root
    from adapters.ingest.admission import abandon

    abandon(place.database, asked.batch, inbox_root(place.config_path))
    return asked
