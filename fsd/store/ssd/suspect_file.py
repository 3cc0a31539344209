"""Which replicas are known to be damaged: it owns their one small JSON file on the SSD.

    {"format": 1, "suspect": [[SHARD ID, DISK ID], ...]}

Without it a restart would take them for sound until they are read again, and what is lost for
stored: who stores it again would be told that it is there. It is written atomically; when it is
lost or damaged, they are found again by whoever reads them.
"""

import contextlib
import json

from base.files import parse_json, write_durably
from fsd.store.store import Store

FORMAT = 1

Suspects = frozenset[tuple[str, str]]


def load_suspects(path: str, store: Store) -> Suspects:
    """Let the store know the replicas that were damaged when the file was written."""
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read())
        if document["format"] != FORMAT:
            return frozenset()
        found = frozenset(
            (str(shard_id), str(disk_id)) for shard_id, disk_id in document["suspect"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()
    with store.lock:
        store.shards.suspect |= found
    return found


def save_suspects(path: str, store: Store, saved: Suspects) -> Suspects:
    """Write down which replicas are damaged unless that was `saved`; returns what is saved now.

    What has no place in the catalog any more is left out. A full SSD keeps the former file.
    """
    with store.lock:
        shards = store.shards.state.shards
        found = frozenset(
            (shard_id, disk_id)
            for shard_id, disk_id in store.shards.suspect
            if shard_id in shards and disk_id in shards[shard_id].disks
        )
    if found == saved:
        return saved
    with contextlib.suppress(OSError):
        document = {"format": FORMAT, "suspect": sorted(found)}
        write_durably(path, json.dumps(document).encode())
        return found
    return saved
