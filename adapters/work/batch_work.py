"""The work folder of one ingest batch: it owns what is on the SSD while a batch is on its way in.

`<inbox>/.ingest/<batch>/` holds the frozen listing, files that were extracted out of archives, the
complete records, and the write-intents. It is removed when the batch is confirmed. Nothing
here is the only copy of anything that was acknowledged.

    listing.json             what the folder was when it was signalled
    derived/extracted/...    members of archives
    derived/records/...      complete records, named by their key
    derived/listing.json     the listing again: it is stored with the batch, for a later replay
    derived/problems.json    what is quarantined, for a restore
    intents/000001.json      what to write to the database
    described.json           written last: the intents are all there

`<inbox>/.ingest/<batch>.lock` beside it says that somebody works on the batch.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from adapters.records.errors import BatchBusyError, BatchChangedError
from adapters.records.folder import FileEntry, ScrapeFolder, list_files
from base.errors import UsageError
from base.files import remove_folder, sync_folder, write_json_durably
from base.text import safe_text

READY_NAME = "_READY.json"
LISTING_NAME = "listing.json"
PROBLEMS_NAME = "problems.json"
WORK_FOLDER = ".ingest"
LISTED_MAX = 5
_OWN_NAME = re.compile(r"\.(derived|lock)(-|$)|\.fixed-")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Signal:
    """What a user said about a folder: who scraped what, in which format, under which name."""

    folder: str
    batch: str
    adapter: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A frozen folder."""

    signal: Signal
    files: dict[str, FileEntry]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(entry.size_bytes for entry in self.files.values())

    def scrape_folder(self, keys: Mapping[str, str], extraction_folder: str | None) -> ScrapeFolder:
        """Return the folder as an adapter sees it, with the keys that the store gave its files."""
        files = {
            path: FileEntry(entry.size_bytes, entry.mtime_ns, keys.get(path))
            for path, entry in self.files.items()
        }
        return ScrapeFolder(self.signal.folder, files, extraction_folder)


class BatchWork:
    """The work folder of one batch; see the module for what is in it."""

    def __init__(self, inbox: str, batch: str) -> None:
        check_batch_name(batch)
        self._batch = batch
        self.folder = os.path.join(inbox, WORK_FOLDER, batch)
        self.listing_path = os.path.join(self.folder, LISTING_NAME)
        self.derived = os.path.join(self.folder, "derived")
        self.extracted = os.path.join(self.derived, "extracted")
        self.records = os.path.join(self.derived, "records")
        self.intents = os.path.join(self.folder, "intents")
        self.described_path = os.path.join(self.folder, "described.json")

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the batch; see `locked_batch`."""
        with locked_batch(os.path.dirname(os.path.dirname(self.folder)), self._batch):
            yield

    def remove(self) -> None:
        """Remove the work folder; a crash meanwhile leaves nothing under its name."""
        remove_folder(self.folder)

    def freeze(self, signal: Signal) -> Listing:
        """Freeze the listing, or read the one that was frozen and check that it still holds.

        Durable before it returns. BatchChangedError when the folder is not what it was.
        """
        if not os.path.exists(self.listing_path):
            listing = Listing(signal, list_scrape(signal.folder))
            if not listing.files:
                raise UsageError(f"{signal.folder!a} has no files")
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            sync_folder(os.path.dirname(self.folder))
            write_json_durably(self.listing_path, to_document(listing))
            return listing
        listing = self.read_listing()
        check_same_signal(listing.signal, signal)
        check_unchanged(listing)
        return listing

    def read_listing(self) -> Listing:
        """Return the frozen listing."""
        with open(self.listing_path, encoding="ascii") as file:
            return from_document(json.load(file))


def make_own_folder(path: str) -> None:
    """Make a work folder of the inbox; UsageError when another account, that delivers, did so."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    if os.lstat(path).st_uid != os.geteuid():
        raise UsageError(f"{path!a} belongs to another account; remove it and repeat")


@contextmanager
def locked_batch(inbox: str, batch: str) -> Generator[None]:
    """Hold a batch: two runs of one batch at a time would write over each other.

    The lock lies beside the work folder, which comes and goes under it.
    """
    path = os.path.join(inbox, WORK_FOLDER, batch + ".lock")
    make_own_folder(os.path.dirname(path))
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BatchBusyError(
            f"batch {batch} is being ingested by another process; wait for it"
        ) from None
    else:
        yield
    finally:
        os.close(descriptor)


def check_batch_name(batch: str) -> None:
    """Refuse a name that cannot be one folder in the store, on the SSD and in the mount."""
    if not _NAME.fullmatch(batch) or len(batch) > 80 or _OWN_NAME.search(batch):
        raise UsageError(
            f"{batch!a} cannot be the name of a batch: use letters, digits, '.', '_' and '-', "
            "at most 80, beginning with a letter or digit, and not ending like our own "
            "(.derived, .fixed-...)"
        )


def check_signal(signal: Signal) -> None:
    """Refuse a name of a batch or a person that cannot be stored."""
    check_batch_name(signal.batch)
    user = signal.user
    if user is not None and (not user.isprintable() or not 0 < len(user) <= 200):
        raise UsageError(f"{user[:200]!a} cannot be a user: write printable text, at most 200")


def check_same_signal(former: Signal, now: Signal) -> None:
    """Refuse the name of another batch: one name means one folder, for ever."""
    if os.path.realpath(former.folder) != os.path.realpath(now.folder):
        raise UsageError(
            f"batch {now.batch} is the folder {former.folder!a}; give this folder another name"
        )
    if former.adapter != now.adapter:
        raise UsageError(
            f"batch {now.batch} was begun with the adapter {former.adapter}; "
            "go on with that one, or give the folder another batch name"
        )


def check_unchanged(listing: Listing) -> None:
    """Raise BatchChangedError, with what changed, when the folder is not what was frozen."""
    now = list_scrape(listing.signal.folder)
    then = listing.files
    changes = [f"new: {safe_text(path)}" for path in sorted(now.keys() - then.keys())]
    changes += [f"gone: {safe_text(path)}" for path in sorted(then.keys() - now.keys())]
    changes += [
        f"changed: {safe_text(path)}"
        for path in sorted(now.keys() & then.keys())
        if (now[path].size_bytes, now[path].mtime_ns)
        != (then[path].size_bytes, then[path].mtime_ns)
    ]
    if changes:
        listed = "\n  ".join(changes[:LISTED_MAX])
        more = (
            f"\n  ... and {len(changes) - LISTED_MAX:,} more" if len(changes) > LISTED_MAX else ""
        )
        raise BatchChangedError(
            f"batch {listing.signal.batch}: the folder changed after it was signalled "
            f"({len(changes):,} files):\n  {listed}{more}\n"
            "put it back as it was (new files belong into a folder and batch of their own) "
            "and run it again"
        )


def list_scrape(folder: str) -> dict[str, FileEntry]:
    """Return the files of a scraped folder, without its signal."""
    if not os.path.isdir(folder):
        raise UsageError(f"{folder!a} is not a folder")
    files = list_files(folder)
    files.pop(READY_NAME, None)
    return files


def to_document(listing: Listing) -> dict[str, Any]:
    """Return a listing as a JSON document."""
    files = [[path, e.size_bytes, e.mtime_ns] for path, e in sorted(listing.files.items())]
    return {"version": 1, "signal": asdict(listing.signal), "files": files}


def from_document(document: dict[str, Any]) -> Listing:
    """Return the listing of a document that `to_document` made."""
    files = {path: FileEntry(size, mtime_ns) for path, size, mtime_ns in document["files"]}
    return Listing(Signal(**document["signal"]), files)
