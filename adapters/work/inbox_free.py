"""Freeing the inbox (3A): the files of a batch that is packed and confirmed are removed.

Only files that were frozen with the batch, unchanged since, are ever removed. Links are never
followed. A folder outside the inbox is the user's own and stays.
"""

from __future__ import annotations

import errno
import os

from adapters.records.beneath import open_beneath, unlink_beneath
from adapters.work.batch_work import READY_NAME, BatchWork, Listing
from sql import Database

NOT_OURS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO)


def free_inbox(database: Database, batch: str, work: BatchWork, inbox: str) -> tuple[int, int]:
    """Remove what a batch has in the inbox, and its work folder; returns files and bytes.

    The batch is packed (or purged), none of its packages waits for a copy, and its lock is held.
    Safe to repeat: what is freed already is not missed.
    """
    files, size = 0, 0
    if os.path.exists(work.listing_path):
        listing = work.read_listing()
        root = os.path.realpath(listing.signal.folder)
        if root.startswith(os.path.realpath(inbox) + os.sep):
            files, size = _remove_frozen(root, listing)
    if database.ingests.batch(batch).state != "purged":  # Whose cold copies stay.
        database.ingests.set_state(batch, "confirmed", None)
    # Last: the listing says what may be removed.
    work.remove()
    return files, size


def _remove_frozen(root: str, listing: Listing) -> tuple[int, int]:
    """Remove the frozen files that are still what they were; returns files and bytes."""
    files, size = 0, 0
    folders: set[str] = set()
    for path, entry in listing.files.items():
        folders.add(os.path.dirname(path))
        try:
            descriptor = open_beneath(root, path)
            status = os.fstat(descriptor)
            os.close(descriptor)
            unchanged = (status.st_size, status.st_mtime_ns) == (entry.size_bytes, entry.mtime_ns)
            if unchanged:
                unlink_beneath(root, path)
                files, size = files + 1, size + entry.size_bytes
        except OSError as error:
            # Gone already, or no longer what was frozen: a link, a folder. What is not ours stays.
            if error.errno not in NOT_OURS:
                raise
    ready = os.path.join(root, READY_NAME)
    if os.path.lexists(ready):
        os.unlink(ready)
    _remove_empty(root, folders)
    return files, size


def _remove_empty(root: str, folders: set[str]) -> None:
    """Remove the folders that held frozen files and are empty now, the deepest first."""
    above = {
        "/".join(parts[:count])
        for folder in folders
        for parts in [folder.split("/")]
        for count in range(len(parts) + 1)
    }
    for folder in sorted(above, key=lambda path: -path.count("/") if path else 1):
        place = os.path.join(root, folder)
        if os.path.isdir(place) and not os.path.islink(place) and not os.listdir(place):
            os.rmdir(place)
