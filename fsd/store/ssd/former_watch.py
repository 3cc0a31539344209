"""Files of earlier versions beside `watch.sqlite`: what may not be forgotten is taken over, once.

    suspect.json    {"format": 1, "suspect": [[SHARD ID, DISK ID], ...]}
    lost_keys.json  {"format": 1, "lost": [KEY, ...]}

A damaged replica would count as sound without it, and lost content as stored. The others cost work
that is done once more: all is scrubbed, disks are judged and measured, warnings are told.
"""

import contextlib
import os
import re
from typing import Any

from base.files import parse_json
from fsd.disks.watch_file import WatchFile
from fsd.store.ssd import lost_keys

FORMAT = 1
ID, KEY = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")
SUSPECTED = "suspect"
"""The kind of `suspect_file`, which needs a store."""
SUSPECT, LOST = "suspect.json", "lost_keys.json"
OTHERS = ("scrub.log", "health.json", "alerts.json", "disk_models.json", "smart.json")


def take_over(file: WatchFile, folder: str) -> None:
    """Write what files of an earlier version say into `file`, and remove them.

    One that cannot be read says nothing, nor does what is no key or id. They stay until it is
    durable there.
    """
    if not any(os.path.exists(os.path.join(folder, name)) for name in (SUSPECT, LOST, *OTHERS)):
        return
    suspect = (
        f"{shard} {disk}"
        for shard, disk in _pairs(os.path.join(folder, SUSPECT))
        if ID.fullmatch(shard) and ID.fullmatch(disk)
    )
    file.write(SUSPECTED, dict.fromkeys(suspect, True))
    lost = _listed(os.path.join(folder, LOST), "lost")
    keys = (key for key in lost if isinstance(key, str) and KEY.fullmatch(key))
    file.write(lost_keys.KIND, dict.fromkeys(keys, True))
    if file.is_saved:
        # Barrier: a crash before this takes them over again, to the same end.
        for name in (*OTHERS, LOST, SUSPECT):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _pairs(path: str) -> list[tuple[str, str]]:
    found = _listed(path, "suspect")
    return [
        (one[0], one[1])
        for one in found
        if isinstance(one, list) and len(one) == 2 and all(isinstance(part, str) for part in one)
    ]


def _listed(path: str, name: str) -> list[Any]:
    try:
        with open(path, "rb") as file:
            document = parse_json(file.read())
        found = document[name] if document["format"] == FORMAT else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found if isinstance(found, list) else []
