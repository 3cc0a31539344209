"""Operations on what was set aside: listed, read again; and database and store compared."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.errors import EXIT_FAILED, EXIT_INCOMPLETE
from base.model import Document, PlainText
from base.operations.operation import Caller, Cli, operation, unlimited
from base.output import say, write_table
from sql import opened

if TYPE_CHECKING:
    from adapters.audit.audit import AuditReport
    from adapters.ingest.replay import Replayed
    from sql import Place, Quarantined

__all__ = ["opened"]

Limit = Annotated[int, Field(ge=1, le=10_000, description="At most so many.")]


class ListRequest(Document):
    """Of which ingest batch."""

    batch: Annotated[PlainText | None, Field(description="Of this batch only.")] = None
    all_rows: Annotated[bool, Field(description="Also what a replay understood.")] = False
    limit: Limit | None = 1_000


def number_of(row: Quarantined) -> str:
    """Return the number of a record as it is shown; a whole file has none."""
    return "" if row.record_number < 0 else str(row.record_number)


def _show_rows(found: list[Quarantined], _asked: ListRequest) -> None:
    rows = [(row.batch or "", row.path, number_of(row), row.reason) for row in found]
    write_table(("batch", "path", ">record", "reason"), rows)


@operation(
    "quarantine.list",
    role="viewer",
    kind="question",
    route="GET /quarantine",
    cli=Cli(
        options={"all_rows": ("--all",), "limit": ()},
        metavars={"batch": "NAME"},
        before=unlimited,
        show=_show_rows,
    ),
)
def list_rows(place: Place, _caller: Caller, asked: ListRequest) -> list[Quarantined]:
    """List what could not be understood, with the reason; its bytes are in the store."""
    rows = place.database.quarantine.of_batches(asked.batch, open_only=not asked.all_rows)
    return list(islice(rows, asked.limit))


class ReplayRequest(Document):
    """Which batch is read again."""

    batch: Annotated[str, Field(description="Its name.")]
    fixed: Annotated[str | None, Field(description="Repaired files, at the same paths.")] = None
    source: Annotated[
        str | None, Field(description="The adapter that reads all that is set aside.")
    ] = None


def _show_replay(report: Replayed, asked: ReplayRequest) -> None:
    say(
        f"{asked.batch}: {report.understood:,} of {report.before:,} quarantined rows are "
        f"understood now; {report.nodes_new:,} new nodes, {report.edges_new:,} new edges"
    )


@operation(
    "quarantine.replay",
    role="operator",
    kind="change",
    route="POST /quarantine/replay",
    cli=Cli(
        positional=("batch",),
        metavars={"batch": "BATCH", "fixed": "FOLDER", "source": "NAME"},
        show=_show_replay,
        exit_code=lambda report, _: EXIT_INCOMPLETE if report.left else 0,
    ),
    is_private=True,
)
def replay(place: Place, _caller: Caller, asked: ReplayRequest) -> Replayed:
    """Read a batch again: after an adapter was improved, or with files that you repaired.

    The files come from the store, so this works also when the inbox was freed. What is understood
    now is added; what was known stays as it is. With --source, all files that are listed as set
    aside are read by that adapter, and stay its own in later replays.
    """
    from adapters.ingest.replay import replay

    return replay(place.config_path, asked.batch, asked.fixed, place.say, asked.source)


# ---- What one has and the other lacks ------------------------------------------------------------


class AuditRequest(Document):
    """How much is read back."""

    sample: Annotated[int, Field(ge=0, description="So many objects are read back and hashed.")] = (
        100
    )


def _show_audit(report: AuditReport, _asked: Any) -> None:
    rows = [
        ("physical nodes in the database", f"{report.nodes:,}"),
        ("of them not in the store", f"{report.missing_count:,}"),
        ("of them with another size", f"{report.wrong_size_count:,}"),
        ("read back and hashed", f"{report.sampled:,}"),
        ("of them not as promised", f"{report.damaged_count:,}"),
        ("files of ingested batches in the store", f"{report.files:,}"),
        ("of them neither node nor quarantined", f"{report.undescribed_count:,}"),
        ("batches that the store cannot list", f"{report.unlisted_count:,}"),
        ("nodes whose bytes were purged", f"{report.purged_count:,}"),
    ]
    write_table(("audit", ">count"), rows)
    for line in report.examples:
        say(f"  {line}")


def _audit_code(report: AuditReport, _waited: bool) -> int:
    if (
        report.missing_count
        or report.wrong_size_count
        or report.damaged_count
        or report.unlisted_count
    ):
        return EXIT_FAILED
    return EXIT_INCOMPLETE if report.undescribed_count else 0


@operation(
    "audit.run",
    role="operator",
    kind="question",
    route="POST /audit",
    cli=Cli(command="audit", show=_show_audit, exit_code=_audit_code),
    is_private=True,
)
def audit(place: Place, _caller: Caller, asked: AuditRequest) -> AuditReport:
    """Compare database and store both ways.

    Every physical node must be an object of the store with its size, and every file of an ingested
    batch a node or on the quarantine list. Exit code 1 when something is lost, 3 when something is
    only not described.
    """
    from adapters.audit.audit import audit

    return audit(place.config_path, asked.sample, place.say)
