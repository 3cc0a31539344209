"""Building: it owns the way from a definition to a frozen version, and that it may be killed.

1. Members are chosen and split on one snapshot of the database (`choose`).
2. The layout's tree becomes a manifest in the work folder; generated files become objects. A crash
   leaves objects that nothing refers to but their batch, which the next build of the same dataset
   finds again.
3. A version with the same manifest is there already: that one is the answer, nothing is kept twice.
4. Manifest and document become objects, acknowledged by the store with all their copies.
5. The version and its members are registered, in the transaction of step 1. Only this makes the
   version; a crash before it leaves none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from base.version import version
from datasets.choice.choose import Cancelled, Chosen, Progress, chosen, describe, never, quiet
from datasets.choice.definition_file import definition_of
from datasets.choice.report import SplitsReport
from datasets.definition.definition import Definition
from datasets.definition.names import pin_name
from datasets.freeze.manifest import ManifestSummary
from datasets.freeze.tree import MANIFEST_NAME, write_manifest
from datasets.freeze.work import Work
from sql import NewVersion

if TYPE_CHECKING:
    from sql import Database, DatasetVersion

DOCUMENT_NAME = "dataset-version.json"
DOCUMENT_FORMAT = 1


class BuildResult(BaseModel):
    """A version that is built; `created` is False when the same content was there already."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    created: bool
    manifest_key: str
    document_key: str
    files: int
    size_bytes: int
    entries: int
    entry_size_bytes: int
    report: SplitsReport


def build(
    config_path: str,
    definition: Definition | Mapping[str, Any] | str,
    progress: Progress = quiet,
    cancelled: Cancelled = never,
    *,
    database: Database | None = None,
) -> BuildResult:
    """Freeze a dataset; a definition is a model, a decoded document, or the path of a file.

    Safe to kill and to run again. Raises RefusedError, DefinitionError, CancelledError, and the
    errors of store and database.
    """
    from sql import Database

    wanted = definition_of(definition)
    with ExitStack() as stack:
        opened = database or stack.enter_context(Database.open(config_path))
        return _build(config_path, wanted, opened, progress, cancelled)


def _build(
    config_path: str,
    definition: Definition,
    database: Database,
    progress: Progress,
    cancelled: Cancelled,
) -> BuildResult:
    canonical = json.dumps(definition.canonical(), sort_keys=True)
    with chosen(database, definition, progress, cancelled) as found:
        number = database.datasets.next_version(definition.name)
        work = Work(config_path, definition.name, cancelled)
        with work.opened():
            manifest = write_manifest(found, work, progress, cancelled)
            known = database.datasets.versions(definition.name, manifest_key=manifest.key)
            if known:
                work.client.pin_manifest(manifest.key, pin_name(definition.name, manifest.key))
                database.datasets.revive(known[0].dataset_version_id)
                return _known(known[0])
            progress("storing the manifest", found.report.files)
            document = _document(found, number, manifest)
            with open(os.path.join(work.folder, DOCUMENT_NAME), "w", encoding="ascii") as file:
                json.dump(document, file, sort_keys=True)
            stored = work.store([MANIFEST_NAME, DOCUMENT_NAME])
            # Barrier: the store has acknowledged both. From here on no purge takes what they name;
            # a crash leaves a pin that the same build finds again.
            work.client.pin_manifest(manifest.key, pin_name(definition.name, manifest.key))
            # Barrier: pinned. Only now may the database know of them.
            progress("registering", found.report.files)
            new = _new_version(found, number, manifest, stored[1].key, work.batches, canonical)
            found.candidates.register(new, list(found.splits))
    return BuildResult(
        name=definition.name,
        version=number,
        created=True,
        manifest_key=manifest.key,
        document_key=stored[1].key,
        files=found.report.files,
        size_bytes=found.report.size_bytes,
        entries=manifest.entries,
        entry_size_bytes=manifest.size_bytes,
        report=found.report,
    )


def _known(known: DatasetVersion) -> BuildResult:
    return BuildResult(
        name=known.name,
        version=known.version,
        created=False,
        manifest_key=known.manifest_key,
        document_key=known.document_key,
        files=known.file_count,
        size_bytes=known.size_bytes,
        entries=known.entry_count,
        entry_size_bytes=known.entry_size_bytes,
        report=SplitsReport.model_validate_json(known.report),
    )


def _new_version(
    found: Chosen,
    number: int,
    manifest: ManifestSummary,
    document_key: str,
    batches: list[str],
    canonical: str,
) -> NewVersion:
    definition = found.definition
    return NewVersion(
        name=definition.name,
        version=number,
        definition=canonical,
        selector=json.dumps(definition.canonical()["selector"], sort_keys=True),
        statement=found.candidates.shown_statement(),
        seed=definition.splits.seed,
        layout_id=found.layout.layout_id,
        manifest_key=manifest.key,
        document_key=document_key,
        store_batches=json.dumps(batches),
        file_count=found.report.files,
        size_bytes=found.report.size_bytes,
        entry_count=manifest.entries,
        entry_size_bytes=manifest.size_bytes,
        report=found.report.model_dump_json(),
    )


def _document(found: Chosen, number: int, manifest: ManifestSummary) -> dict[str, Any]:
    """Return everything that is known of a version, for whoever wants to understand it later."""
    return {
        **describe(found),
        "document_format": DOCUMENT_FORMAT,
        "version": number,
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
        "drystone": version(),
        "seed": found.definition.splits.seed,
        "layout": found.layout.layout_id,
        "manifest_key": manifest.key,
        "entries": manifest.entries,
        "entry_size_bytes": manifest.size_bytes,
        "sql": json.loads(found.candidates.shown_statement()),
        "report": found.report.model_dump(mode="json"),
    }
