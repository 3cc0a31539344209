"""Documents in a database, as an ingest describes them, without a store below."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from adapters.ingest.assemble import Assembler
from adapters.ingest.declaring import Declarer
from adapters.records.folder import FileEntry, ScrapeFolder, list_files
from adapters.schemas.config import SchemasConfig
from adapters.schemas.propose import take_up
from adapters.sources.registry import adapter_named
from sql import Database, default_file_extensions


def write(folder: str, files: dict[str, Any]) -> str:
    """Write files: lists as JSON Lines, objects as JSON, bytes as they are."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if isinstance(content, list):
            content = "\n".join(map(json.dumps, content))
        elif isinstance(content, dict):
            content = json.dumps(content)
        data = content if isinstance(content, bytes) else content.encode()
        with open(path, "wb") as file:
            file.write(data)
    return folder


def bring_in(
    database: Database, folder: str, batch: str, config: SchemasConfig | None = None
) -> tuple[Assembler, list[str]]:
    """Describe a folder of JSON as the batch; returns what was read, and what was proposed."""
    adapter = adapter_named("json")
    database.ingests.open(batch, "json", None, folder)
    declarer = Declarer(database, adapter)
    assembler = Assembler(
        _hashed(folder),
        adapter,
        intent_prefix=f"ua1:{batch}",
        ingest_batch=batch,
        user=None,
        extensions=default_file_extensions(),
        intent_items=1_000,
        write_record=lambda _name, _data: None,
        fallback=adapter_named("plain-folder"),
    )
    for intent in assembler.intents():
        declarer.declare(intent)
        database.apply_intent(intent)
    return assembler, take_up(database, batch, config or SchemasConfig())


def _hashed(folder: str) -> ScrapeFolder:
    """Return a folder whose files have the keys that a store would give them."""
    files: dict[str, FileEntry] = {}
    for path, entry in list_files(folder).items():
        with open(os.path.join(folder, path), "rb") as file:
            key = hashlib.sha256(file.read()).hexdigest()
        files[path] = FileEntry(entry.size_bytes, entry.mtime_ns, key)
    return ScrapeFolder(folder, files)


def rows_of(database: Database, table: str) -> list[dict[str, Any]]:
    """Return the rows of a declared table in their order, without what every table has."""
    with database.reading() as connection:
        query = f"SELECT to_jsonb(one) FROM {table} AS one ORDER BY id"
        found = [row[0] for row in connection.execute(query)]
    own = ("id", "observation_hash", "download_time")
    return [{name: value for name, value in row.items() if name not in own} for row in found]
