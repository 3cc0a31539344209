"""Lineage: it owns the way from an exported file back to its post, and from a post to datasets."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from base.errors import UsageError
from datasets.definition.errors import NotFoundError
from datasets.definition.names import is_key
from datasets.freeze.manifest import entries_of
from datasets.versions.verification import job_of, stored_manifest
from sql import Ancestor, Membership, key_of

if TYPE_CHECKING:
    from sql import Database


class Lineage(BaseModel):
    """Where a node comes from and which datasets it is in; `export` is where a file was found."""

    model_config = ConfigDict(frozen=True)

    node_id: int
    key: str
    ancestors: tuple[Ancestor, ...]
    datasets: tuple[Membership, ...]
    export: dict[str, Any] | None = None


def lineage(config_path: str, database: Database, what: str) -> Lineage:
    """Tell the lineage of a file, a key, a node id, or a description such as `twitter:post:1`."""
    book = database.datasets
    export: dict[str, Any] | None = None
    if os.path.exists(what):
        node_id, export = _node_of_file(config_path, database, what)
    elif is_key(what):
        node_id = book.node_of(what.lower())
    elif what.isascii() and what.isdigit():
        node_id = int(what)
    elif ":" in what:
        node_id = book.node_of(key_of(what))
    else:
        raise UsageError(f"{what!a} is no file here, no key, no node id and no description")
    above = book.ancestors(node_id)
    if not above:
        raise NotFoundError(f"there is no node {node_id}")
    return Lineage(
        node_id=node_id,
        key=above[0].key,
        ancestors=tuple(above),
        datasets=tuple(book.memberships(node_id)),
        export=export,
    )


def _node_of_file(
    config_path: str, database: Database, path: str
) -> tuple[int, dict[str, Any] | None]:
    """Return the node of a file: by the manifest of its export, else by its bytes."""
    root = _export_root(path)
    if root is None:
        return database.datasets.node_of(_key_of(path)), None
    job = job_of(root)
    relative = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
    with stored_manifest(config_path, job["manifest_sha256"]) as manifest:
        for entry in entries_of(manifest):
            if entry["path"] == relative:
                break
        else:
            raise NotFoundError(f"{relative!a} is not in the manifest of its export")
    if "key" in entry and entry.get("node_id") is not None:
        # The key, because node ids are others after a database was rebuilt.
        node_id = database.datasets.node_of(entry["key"])
    elif entry.get("node_id") is not None:
        node_id = int(entry["node_id"])
    else:
        raise UsageError(
            f"{relative!a} was made for the whole dataset and has no lineage of its own; ask for "
            "one of the files of data"
        )
    found = {
        "root": root,
        "path": relative,
        "id": job.get("id"),
        "manifest": job["manifest_sha256"],
    }
    return node_id, found


def _export_root(path: str) -> str | None:
    folder = os.path.dirname(os.path.abspath(path))
    while folder != os.path.dirname(folder):
        if os.path.exists(os.path.join(folder, "_JOB.json")):
            return folder
        folder = os.path.dirname(folder)
    return None


def _key_of(path: str) -> str:
    if not os.path.isfile(path):
        raise UsageError(f"{path!a} is no file")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
