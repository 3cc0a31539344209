"""Contents that no disk gave when their shard was given up: it owns one small JSON file on the SSD.

    {"format": 1, "lost": [KEY, ...]}

A shard that a crash or a dead disk left open is given up once all that is sound in it was written
anew. What was not is in no shard any more; without this file only `drystone losses`, which reads
every listing, would know. It is written atomically; when it is lost, that is how it is.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterable

from base.files import parse_json, write_durably

FORMAT = 1
KEPT_MAX = 100_000


class LostKeys:
    """The keys, in hex, until they are stored again or nothing names them. Safe for threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Guards the keys and the file, which is written with it held. Innermost.
        self._lock = threading.Lock()
        self._keys: frozenset[str] = frozenset()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with open(path, "rb") as file:
                document = parse_json(file.read())
            if document["format"] == FORMAT:
                keys = (key for key in document["lost"] if len(bytes.fromhex(key)))
                self._keys = frozenset(keys)

    def known(self) -> frozenset[str]:
        """Return what is remembered."""
        return self._keys

    def note(self, keys: Iterable[str]) -> None:
        """Remember more; durable when it returns, if the SSD has room."""
        with self._lock:
            self._keep(frozenset([*self._keys, *keys][:KEPT_MAX]))

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of those that are no losses any more."""
        with self._lock:
            self._keep(self._keys.difference(keys))

    def _keep(self, keys: frozenset[str]) -> None:
        if keys == self._keys:
            return
        self._keys = keys
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            document = {"format": FORMAT, "lost": sorted(keys)}
            write_durably(self._path, json.dumps(document).encode())
