"""Which replicas are known to be damaged: it owns that a restart knows them still.

Else it would take them for sound until they are read again, and what is lost for stored: who stores
it again would be told that it is there. When this is lost, they are found by whoever reads them.
"""

from fsd.store.store import Store

KIND = "suspect"


def load_suspects(store: Store) -> None:
    """Let the store know the replicas that were damaged when they were written down."""
    with store.lock:
        for name in store.watch_file.rows(KIND):
            shard_id, _, disk_id = name.partition(" ")
            store.shards.suspect.add((shard_id, disk_id))


def save_suspects(store: Store) -> None:
    """Write down which replicas are damaged, without those that have no place in the catalog."""
    with store.lock:
        shards = store.shards.state.shards
        found = {
            f"{shard_id} {disk_id}"
            for shard_id, disk_id in store.shards.suspect
            if shard_id in shards and disk_id in shards[shard_id].disks
        }
    if changed := found ^ store.watch_file.rows(KIND).keys():
        store.watch_file.write(KIND, {name: name in found for name in changed})
