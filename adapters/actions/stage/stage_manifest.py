"""The manifest of a stage: it owns its file, and where texts go that are too long for a line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from typing import TYPE_CHECKING

from adapters.actions.stage.stage_tree import LaidOut, StagedEntry
from adapters.records.errors import AdapterError

# Made once: json.dumps with options would build an encoder for each of 50,000 lines.
_encode = json.JSONEncoder().encode

if TYPE_CHECKING:
    from fsd import Client

TEXT_BYTES_MAX = 1 << 20
"""The limit of a text in a manifest; a longer listing is stored as an object of its own."""


def scratch_prefix(part: str) -> str:
    """Return how the folders begin that a killed attempt may have left beside a stage."""
    # No part has a comma in its id, so none finds those of another.
    return f".manifest-{part},"


@contextlib.contextmanager
def manifest_file(client: Client, folder: str, part: str, laid: LaidOut) -> Generator[str]:
    """Yield the path of the manifest, below a folder that the engine can read."""
    scratch = tempfile.mkdtemp(prefix=scratch_prefix(part), dir=folder)
    try:
        path = os.path.join(scratch, "manifest.jsonl")
        seen: set[int] = set()
        with open(path, "w", encoding="ascii") as file:
            for entry in laid.entries:
                # A node's second file is told without the node: the store would drop a content
                # that one node has twice.
                named = entry.node_id is not None and entry.node_id not in seen
                if entry.node_id is not None and entry.key is not None:
                    seen.add(entry.node_id)
                file.write(_line(client, scratch, entry, named=named))
        yield path
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _line(client: Client, scratch: str, entry: StagedEntry, *, named: bool) -> str:
    node = f',"node_id":{entry.node_id}' if named else ""
    path = _encode(entry.path)
    if entry.text is None:
        key = entry.key
    elif entry.size_bytes > TEXT_BYTES_MAX:
        key = _store_text(client, scratch, entry.text.encode("utf-8", "replace"))
    else:
        return f'{{"path":{path},"text":{_encode(entry.text)}{node}}}\n'
    return f'{{"path":{path},"key":"{key}","size_bytes":{entry.size_bytes}{node}}}\n'


def _store_text(client: Client, scratch: str, data: bytes) -> str:
    """Store a text as an object; its batch is named by it, so that again nothing is stored."""
    key = hashlib.sha256(data).hexdigest()
    folder = os.path.join(scratch, key)
    os.mkdir(folder)
    with open(os.path.join(folder, "listing"), "wb") as file:
        file.write(data)
    job = client.wait(client.batch_write(folder, f"listing-{key[:32]}", "generated").job_id)
    if job.state != "done":
        raise AdapterError(f"a listing could not be stored: {job.error or job.state}")
    return key
