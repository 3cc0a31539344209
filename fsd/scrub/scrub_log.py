"""When each replica was last verified: it owns these times, never a decision."""

from fsd.disks.watch_file import WatchFile

KIND = "verified"
ROUND = ("00" * 16, "00" * 16)
"""The replica under which the end of the last whole round is kept."""

METADATA = ("00" * 16, "ff" * 16)
"""And this the last check of the small files of all disks."""

Replica = tuple[str, str]


def name_of(replica: Replica) -> str:
    """Return what the time of a (shard id, disk id) goes by."""
    return " ".join(replica)


def verified_times(file: WatchFile) -> dict[str, int]:
    """Return when replicas were last verified, by name, in seconds since the epoch."""
    return file.rows(KIND)


def note_verified(file: WatchFile, replica: Replica, verified_s: int) -> None:
    """Remember when a replica was verified; 0 forgets it."""
    file.write(KIND, {name_of(replica): verified_s})
