"""What an ingest would do: it owns reading a folder without a store and a database."""

from __future__ import annotations

from adapters.ingest.assemble import Assembler, Counts, describe_problem
from adapters.records.folder import ScrapeFolder, list_files
from adapters.sources.registry import adapter_named
from adapters.work.batch_work import READY_NAME

# The same as in the database's file_type, which a dry run does not ask.
INTENT_ITEMS = 20_000


def dry_run(
    folder: str, adapter: str, extensions: frozenset[str] | None = None
) -> tuple[Counts, list[str]]:
    """Read a folder as UA_1 would; returns the counts and the problems as lines."""
    from sql import default_file_extensions

    files = list_files(folder)
    files.pop(READY_NAME, None)
    assembler = Assembler(
        ScrapeFolder(folder, files),
        adapter_named(adapter),
        intent_prefix="dry-run",
        ingest_batch="dry-run",
        user=None,
        extensions=extensions or default_file_extensions(),
        intent_items=INTENT_ITEMS,
        write_record=lambda _name, _data: None,
        fallback=adapter_named("plain-folder"),
    )
    for _intent in assembler.intents():
        pass
    return assembler.counts, [describe_problem(problem) for problem in assembler.problems]
