"""Operations that bring data in: a scraped folder, and what a dry run says of one."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from base.config import find_config
from base.errors import EXIT_INCOMPLETE, UsageError
from base.model import Document
from base.operations.operation import Caller, Cli, operation
from base.output import say, write_table
from base.text import duration_text, size_text

if TYPE_CHECKING:
    from adapters.ingest.ingest import IngestReport
    from adapters.work.batch_work import Signal

PROBLEMS_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """The store that a command was pointed at; a dry run needs none."""

    config: str | None

    @property
    def config_path(self) -> str:
        """Its drystone.toml. Raises ConfigError."""
        return find_config(self.config)


@contextmanager
def opened(config: str | None) -> Generator[Wanted]:
    """Yield a store that is looked for when it is needed."""
    yield Wanted(config)


class IngestRequest(Document):
    """What was scraped."""

    folder: Annotated[str, Field(description="What was scraped.")]
    batch: Annotated[str, Field(description="Its name, for ever.")]
    source: Annotated[str, Field(description="An adapter, or auto to let them guess.")] = "auto"
    user: Annotated[str | None, Field(description="Who collected it.")] = None


def _signal(asked: IngestRequest) -> Signal:
    from adapters.ingest.inbox import choose_adapter
    from adapters.work.batch_work import Signal, check_signal

    if not os.path.isdir(asked.folder):
        raise UsageError(f"{asked.folder!a} is not a folder")
    check_signal(Signal(asked.folder, asked.batch, asked.source, asked.user))
    adapter = choose_adapter(asked.folder, asked.source)
    return Signal(os.path.realpath(asked.folder), asked.batch, adapter, asked.user)


def _counted(word: str, counts: dict[str, int]) -> list[tuple[str, str]]:
    return [(f"{word} {name}", f"{count:,}") for name, count in sorted(counts.items())]


def _list(problems: list[str]) -> None:
    for line in problems[:PROBLEMS_SHOWN_MAX]:
        say(f"  {line}")
    if len(problems) > PROBLEMS_SHOWN_MAX:
        say(f"  ... and {len(problems) - PROBLEMS_SHOWN_MAX:,} more (--json lists all)")


def _show_plan(counts: dict[str, Any], _asked: IngestRequest) -> None:
    rows = [
        ("files", f"{counts['files']:,}"),
        ("records", f"{counts['records']:,}"),
        ("nodes of files", f"{counts['physical_nodes']:,}"),
        *_counted("nodes of", counts["virtual_nodes"]),
        *_counted("edges", counts["edges"]),
        ("observations", f"{counts['observations']:,}"),
        *_counted("values of another type in", counts["unread"]),
        *_counted("times of download from the", counts["download_times"]),
        ("would be quarantined", f"{counts['quarantined']:,}"),
    ]
    write_table((f"{counts['adapter']}, nothing was written", ">count"), rows)
    _list(counts["problems"])


@operation(
    "ingest.plan",
    role="operator",
    kind="question",
    route="POST /ingest/plan",
    cli=Cli(
        command="ingest",
        is_shown=False,
        show=_show_plan,
        exit_code=lambda counts, _: EXIT_INCOMPLETE if counts["problems"] else 0,
    ),
    is_private=True,
)
def plan(_place: Wanted, _caller: Caller, asked: IngestRequest) -> dict[str, Any]:
    """Tell what an ingest would bring in; needs no store."""
    from adapters.ingest.dry_run import dry_run

    signal = _signal(asked)
    counts, problems = dry_run(signal.folder, signal.adapter)
    return {**asdict(counts), "adapter": signal.adapter, "problems": problems}


def show_report(report: IngestReport, _asked: Any) -> None:
    """Write what came in as a table."""
    rows = [
        ("files", f"{report.files:,}", size_text(report.size_bytes)),
        ("stored now", f"{report.stored_new:,}", "the store had the others"),
        ("records", f"{report.records:,}", ""),
        ("nodes", f"{report.nodes_new:,}", f"{report.nodes_existing:,} known before"),
        ("observations", f"{report.observations_new:,}", f"{report.observations_existing:,} known"),
        ("edges", f"{report.edges_new:,}", f"{report.edges_existing:,} known before"),
        *(
            (f"times of download from the {name}", f"{count:,}", "")
            for name, count in sorted(report.download_times.items())
        ),
        ("quarantined", f"{report.quarantined:,}", ""),
        *(
            [("schemas proposed", f"{len(report.proposals):,}", ", ".join(report.proposals[:3]))]
            if report.proposals
            else []
        ),
        ("packages in 3B", f"{len(report.packages):,}", ", ".join(report.packages[:3])),
    ]
    if report.cycles:
        rows.append(("cycles", f"{report.cycles:,}", "edges left out: a tree cannot have them"))
    write_table((f"batch {report.batch}, {report.adapter}", ">count", ""), rows)
    took = sum(report.duration_s.values())
    say(f"done in {duration_text(took)}")
    _list(report.problems)


@operation(
    "ingest.run",
    role="operator",
    kind="change",
    route="POST /ingest",
    cli=Cli(
        command="ingest",
        positional=("folder",),
        metavars={"folder": "FOLDER", "batch": "NAME", "source": "NAME", "user": "NAME"},
        dry_run=plan,
        show=show_report,
        exit_code=lambda report, _: EXIT_INCOMPLETE if report.quarantined else 0,
        example="drystone ingest ~/scrape/cats --source gallery-dl --batch cats-2026-11",
    ),
    is_private=True,
)
def ingest(place: Wanted, _caller: Caller, asked: IngestRequest) -> IngestReport:
    """Store a scraped folder, describe it and connect it with everything that is known.

    The listing is frozen first: a folder that changes meanwhile stops. Killed or interrupted, the
    same command goes on where it was. What cannot be understood is kept in the store and listed
    (`drystone quarantine list`); exit code 3 says that there is such a thing.
    """
    from adapters.ingest.ingest import ingest

    signal = _signal(asked)
    return ingest(place.config_path, signal, say)
