"""What actions and datasets made, for cold storage: children, files of labels, built versions.

Batches of the store that no ingest brought are packed together, in groups of about the size of a
package: `_generated-<time>-<n>-0001`. A package has the form of any other, of version 2: every line
of its manifest names its batch of the store. The bytes come from the store itself, which stages
them on the SSD. Thumbnails are in no package: they are made again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from adapters.packages.package import split_entries, write_package
from adapters.packages.package_read import (
    FORMAT,
    GENERATED_PREFIX,
    Entry,
    package_key,
)
from adapters.records.errors import AdapterError
from fsd import Client
from sql import NewPackage

THUMBNAILS_PREFIX = "thumbnails-"
STAGE = "cold-storage"


def unpacked_batches(client: Client, packed: set[str]) -> list[tuple[str, int]]:
    """Return (name, size) of what was made and lies in no package yet, oldest first."""
    found = [
        one
        for one in client.batches()
        if one.class_name == "generated"
        and one.sealed
        and one.files
        and one.batch not in packed
        and not one.batch.startswith(THUMBNAILS_PREFIX)
    ]
    return [(one.batch, one.size_bytes) for one in sorted(found, key=lambda one: one.created)]


def grouped(batches: Sequence[tuple[str, int]], size_bytes_max: int) -> Iterator[list[str]]:
    """Cut batches into groups that fit a package; a larger batch is a group of its own."""
    group: list[str] = []
    size = 0
    for name, size_bytes in batches:
        if group and size + size_bytes > size_bytes_max:
            yield group
            group, size = [], 0
        group.append(name)
        size += size_bytes
    if group:
        yield group


def group_name(stamp: str, number: int) -> str:
    """Return the name of a group of a time."""
    return f"{GENERATED_PREFIX}{stamp}-{number}"


def write_group(
    client: Client,
    group: str,
    batches: Sequence[str],
    *,
    outbox: str,
    size_bytes_max: int,
    say: Callable[[str], None],
) -> list[NewPackage]:
    """Write all packages of a group; returns them for whoever registers them, together.

    Raises SpaceError when SSD or outbox have no room for one now.
    """
    entries = list(_entries(client, batches))
    plan = list(split_entries(iter(entries), size_bytes_max))
    written: list[NewPackage] = []
    for number, part in enumerate(plan, 1):
        name = f"{group}-{number:04d}"
        say(f"packing {name}, {len(part):,} files")
        target = os.path.join(outbox, name)
        head = _head(group, number, len(plan), len(part))
        _write(client, target, head, part, outbox)
        size = sum(entry.stat().st_size for entry in os.scandir(target))
        inside = tuple(dict.fromkeys(entry.batch for entry in part))
        written.append(NewPackage(name, "generated", len(part), size, package_key(target), inside))
    return written


def _entries(client: Client, batches: Sequence[str]) -> Iterator[Entry]:
    for batch in batches:
        for file in sorted(client.batch_files(batch), key=lambda file: file.path):
            yield Entry(file.path, file.key, file.size_bytes, "generated", 0, "", batch)


def _head(group: str, number: int, count: int, entries: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": 2,
        "batch": group,
        "package": number,
        "packages": count,
        "entries": entries,
    }


def _write(
    client: Client, target: str, head: dict[str, Any], part: list[Entry], outbox: str
) -> None:
    sizes = {entry.key: entry.size_bytes for entry in part}
    layout_id = os.path.basename(target)
    # What a killed run left: its list of files may have been another one.
    _release(client, layout_id)
    try:
        root = _stage(client, layout_id, sizes, outbox)
        placed = [dataclasses.replace(e, place=os.path.join(root, e.key)) for e in part]
        write_package(client, target, head, None, placed)
    finally:
        _release(client, layout_id)


def _stage(client: Client, layout_id: str, sizes: dict[str, int], outbox: str) -> str:
    """Have the store write every object once, verified, named by its key; returns the folder."""
    with tempfile.TemporaryDirectory(prefix=".tmp-package-", dir=outbox) as folder:
        manifest = os.path.join(folder, "manifest.jsonl")
        with open(manifest, "w", encoding="ascii") as file:
            for key, size_bytes in sizes.items():
                line = {"path": key, "key": key, "size_bytes": size_bytes}
                file.write(json.dumps(line) + "\n")
        answer = client.stage_to_3c(manifest, STAGE, layout_id)
        job = client.wait(answer.job_id)
    if job.state != "done":
        raise AdapterError(
            f"the files of {layout_id} could not be read ({job.state}): {job.error or 'see '}"
            f"{'' if job.error else '`drystone losses`'}"
        )
    return answer.target_root


def _release(client: Client, layout_id: str) -> None:
    client.wait(client.release_stage(STAGE, layout_id).job_id)
