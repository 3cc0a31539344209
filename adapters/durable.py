"""Files that survive a crash whole or not at all: it owns the order of writing them."""

from __future__ import annotations

import json
import os
from typing import Any


def write_durably(path: str, data: bytes) -> None:
    """Write a file so that after a crash it is there whole, as it was before, or absent."""
    temporary = path + ".tmp"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    # A crash before this line leaves only the .tmp, which the next writing replaces.
    os.replace(temporary, path)
    sync_folder(os.path.dirname(path))


def write_json_durably(path: str, value: Any) -> None:
    """Write a JSON document durably; names that are not UTF-8 become ASCII escapes."""
    write_durably(path, json.dumps(value, sort_keys=True).encode("ascii") + b"\n")


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
