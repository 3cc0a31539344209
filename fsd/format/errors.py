"""The store's branch of the errors; their root and what a person did wrong are in `base.errors`.

UsageError
└── ManifestError              a manifest is refused whole; lists its problems
FsdError
├── NotFoundError              no such object, batch, view or job
├── ReindexingError            the index is being made anew and does not know it yet
├── QuotaError                 an SSD area, the partition or the disks cannot hold it
├── NotEnoughDisksError        fewer disks can take a replica than copies are wanted
├── NoReplicaError             no readable replica is left; lists what is unreadable
├── PurgeRefusedError          deleting is not surely safe now; says why, and nothing was deleted
├── SealedMismatchError        the target is sealed with other content
├── CorruptError               bytes that fail their checksum; carries where they lie
├── DiskError                  a disk refused, died or stalled; carries disk, path and errno
│   ├── DiskStalledError       no progress within the stall limit
│   └── DiskRefusedError       an identity, clone, lock or epoch check failed
├── CalibrationError           a disk could not be measured now; says why
├── CancelledError             the job was cancelled by its owner
└── EngineUnavailableError     nobody answers on the control socket
"""

from collections.abc import Sequence

from base.errors import DrystoneError, UsageError


class FsdError(DrystoneError):
    """The store could not do it."""


class ManifestError(UsageError):
    """A manifest is refused as a whole; nothing of it was begun.

    `problems` holds at most the first 20 lines of reasons, `problem_count` all of them. `doubtful`
    are keys (hex) of which not the manifest may be wrong, but the index.
    """

    def __init__(
        self,
        problems: Sequence[str],
        problem_count: int | None = None,
        doubtful: Sequence[str] = (),
    ) -> None:
        self.problems = list(problems[:20])
        self.doubtful = list(doubtful)
        self.problem_count = len(problems) if problem_count is None else problem_count
        hidden = self.problem_count - len(self.problems)
        more = f"\n  ... and {hidden} more" if hidden > 0 else ""
        listed = "\n  ".join(self.problems)
        super().__init__(
            f"the manifest is refused ({self.problem_count} problems), nothing was started:"
            f"\n  {listed}{more}"
        )

    def __reduce__(self) -> tuple[type["ManifestError"], tuple[list[str], int, list[str]]]:
        """Travel between processes by the arguments, not by the finished message."""
        return type(self), (self.problems, self.problem_count, self.doubtful)


class NotFoundError(FsdError):
    """The named object, batch, view or job does not exist here."""


class ReindexingError(FsdError):
    """The index is being made anew and does not know everything yet; ask again when it is done."""


class QuotaError(FsdError):
    """There is no room: the message names the area, what was asked and what is free."""


class NotEnoughDisksError(FsdError):
    """Fewer disks than copies can take a replica of this size; add or free a disk."""


class NoReplicaError(FsdError):
    """Nothing readable is left of some shards; `unreadable` names them."""

    def __init__(self, message: str, unreadable: Sequence[str] = ()) -> None:
        self.unreadable = list(unreadable)
        super().__init__(message)


class PurgeRefusedError(FsdError):
    """Something that a purge must know is not known for certain; the message says what."""


class SealedMismatchError(FsdError):
    """The target directory is sealed with different content; choose another id."""


class CorruptError(FsdError):
    """Stored bytes fail a checksum; `where` says disk, path and byte offset when known."""

    def __init__(self, message: str, where: str = "") -> None:
        self.where = where
        super().__init__(f"{message} ({where})" if where else message)


class DiskError(FsdError):
    """A disk could not do what it was asked; the request may be tried on another replica."""

    def __init__(self, message: str, disk: str = "", errno: int | None = None) -> None:
        self.disk = disk
        self.errno = errno
        super().__init__(message)


class DiskStalledError(DiskError):
    """The disk made no progress within its limit; its process was killed, not joined."""


class DiskRefusedError(DiskError):
    """The disk's identity, lock or epoch does not allow this engine to use it."""


class CalibrationError(FsdError):
    """The speed of a disk could not be measured; nothing else is wrong, try again later."""


class CancelledError(FsdError):
    """The job was cancelled; what it had acknowledged stays."""


class EngineUnavailableError(FsdError):
    """The engine does not answer; start it with `drystone up`."""
