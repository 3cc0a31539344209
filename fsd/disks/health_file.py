"""The memory of the disks' health: it owns one small JSON file on the SSD, and no judgement.

Without it a restart would call a failing disk well. It is written atomically; when it is lost or
damaged, every disk begins as ok.
"""

import contextlib
import json
from collections.abc import Iterable

from base.files import parse_json, write_durably
from fsd.disks.disks import Disk


def load_health(path: str, disks: Iterable[Disk]) -> None:
    """Give each disk the health that it had when the file was written."""
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read())
    except (OSError, ValueError):
        return
    for disk in disks:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            if disk.disk_id in document:
                disk.health.load(document[disk.disk_id])


def save_health(path: str, disks: Iterable[Disk]) -> None:
    """Write the disks' health; a full SSD keeps the former file."""
    document = {disk.disk_id: disk.health.dump() for disk in disks}
    with contextlib.suppress(OSError):
        write_durably(path, json.dumps(document).encode())
