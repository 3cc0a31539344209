"""Contents that no disk gave when their shard was given up: it owns that they stay known.

A shard that a crash or a dead disk left open is given up once all that is sound in it was written
anew. What was not is in no shard any more; without this only `drystone losses`, which reads every
listing, would know. When it is lost, that is how it is.
"""

from collections.abc import Iterable

from fsd.disks.watch_file import WatchFile

KIND = "lost"
KEPT_MAX = 100_000


class LostKeys:
    """The keys, in hex, until they are stored again or nothing names them. Safe for threads."""

    def __init__(self, file: WatchFile) -> None:
        self._file = file

    def known(self) -> frozenset[str]:
        """Return what is remembered."""
        return frozenset(self._file.rows(KIND))

    def note(self, keys: Iterable[str]) -> None:
        """Remember more; durable when it returns, if the SSD has room."""
        room = max(0, KEPT_MAX - len(self._file.rows(KIND)))
        self._file.write(KIND, dict.fromkeys(list(keys)[:room], True))

    def forget(self, keys: Iterable[str]) -> None:
        """Let go of those that are no losses any more."""
        if gone := self.known().intersection(keys):
            self._file.write(KIND, dict.fromkeys(gone))
