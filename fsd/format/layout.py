"""Where things lie on a disk: it owns the names of files and folders, touches none of them."""

import os
import re

IDENTITY_NAME = "drystone-disk.json"
IDENTITY_TWIN_NAME = "drystone-disk.copy.json"
LOCK_NAME = "lock"
EPOCH_NAME = "epoch.json"
EPOCH_TWIN_NAME = "epoch.copy.json"
CATALOG_NAME = "catalog.log"
SHARDS_NAME = "shards"
QUARANTINE_NAME = "quarantine"
SHARD_SUFFIX = ".shard"
PART_SUFFIX = ".part"
# A manifest is named by the key of its object, anything else is a path.
STORED_MANIFEST = re.compile(r"[0-9a-f]{64}")


def shard_path(disk_path: str, shard_id_hex: str) -> str:
    """Return the path of a shard's replica on a disk."""
    return os.path.join(disk_path, SHARDS_NAME, shard_id_hex[:2], shard_id_hex + SHARD_SUFFIX)


def part_path(disk_path: str, shard_id_hex: str) -> str:
    """Return the path of a replica that is still being copied; it never counts as one."""
    return shard_path(disk_path, shard_id_hex) + PART_SUFFIX
