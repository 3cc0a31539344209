"""What a replay found, for cold storage: it owns the packages of replays.

A package of a replay has the form of any other, under the name `<batch>-r<run>-0001`. It holds all
repaired files as of that run (set `fixed`), what the run made and the batch did not have
(`derived`), and its intents. Restoring it needs the packages of the batch, not those of earlier
replays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from adapters.packages.package import location_intents, manifest_head, split_entries, write_package
from adapters.packages.package_read import Entry, file_key, package_key
from adapters.work.batch_work import Listing
from fsd import Client
from sql import Database


def write_replay_packages(
    database: Database,
    client: Client,
    listing: Listing,
    run: str,
    folders: dict[str, str],
    intents_folder: str,
    *,
    outbox: str,
    size_bytes_max: int,
) -> dict[str, list[Entry]]:
    """Write and register the packages of a run; returns their entries by name.

    `folders` are those of the sets `fixed` and `derived`. The run must not have any yet.
    """
    batch = listing.signal.batch
    plan = list(split_entries(_entries(folders), size_bytes_max))
    written: dict[str, list[Entry]] = {}
    for number, entries in enumerate(plan, 1):
        name = f"{batch}-r{run}-{number:04d}"
        target = os.path.join(outbox, name)
        head = {**manifest_head(listing, number, len(plan), len(entries)), "replay": run}
        write_package(client, target, head, intents_folder, entries)
        # A crash before this line leaves a package that nobody waits for.
        size = sum(entry.stat().st_size for entry in os.scandir(target))
        database.ingests.add_package(name, batch, len(entries), size, package_key(target))
        written[name] = entries
    return written


def write_locations(database: Database, written: dict[str, list[Entry]], nodes: set[str]) -> None:
    """Say where the nodes among the contents lie; the intents of the run must be applied."""
    for name, entries in written.items():
        for number, intent in enumerate(location_intents(name, entries, nodes)):
            database.apply_intent(intent.model_copy(update={"intent_id": f"01b:{name}:{number}"}))


def _entries(folders: dict[str, str]) -> Iterator[Entry]:
    for set_name, root in sorted(folders.items()):
        for folder, below, names in os.walk(root):
            below.sort()
            for name in sorted(names):
                place = os.path.join(folder, name)
                status = os.stat(place)
                path = os.path.relpath(place, root)
                time_ns = status.st_mtime_ns if set_name == "fixed" else 0
                yield Entry(path, file_key(place), status.st_size, set_name, time_ns, place)
