"""Room for the embedded server: a ballast beside its data, and whether it may write now.

A server that finds no room for the next segment of its log ends itself, and the one that replays
the log needs that room again. So before it comes to that our transactions only read, and what the
ballast took is left to the server: to end what runs, and to recover.
"""

from __future__ import annotations

from base.ballast import Ballast, filesystem, free_text

SEGMENT_BYTES = 16 << 20
"""Of the log; `initdb` says so."""
WANTED_BYTES = 4 * SEGMENT_BYTES
PARTITION_SHARE = 8
"""Never more than one part in so many of the filesystem."""


def ballast_of(data: str) -> Ballast:
    """Return the ballast of a data folder; it lies beside it."""
    found = filesystem(data)
    bearable_bytes = found.f_blocks * found.f_frsize // PARTITION_SHARE
    return Ballast(data.rstrip("/") + ".ballast", min(WANTED_BYTES, bearable_bytes))


def refusal(data: str) -> str:
    """Return why nothing can be written now, empty where there is room."""
    if ballast_of(data).has_room():
        return ""
    return (
        f"the SSD of the database is full ({free_text(data)}): it only reads until there is room; "
        "remove exports that are no longer needed, or whatever else filled it, and it writes again "
        "without a restart"
    )
