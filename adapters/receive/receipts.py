"""What is remembered of requests: the records of both journals, and what they say. Pure.

requests   a request: a line of JSON about it, and its parts, one after the other
windows    a window: its requests, with the keys of their parts; and that it is in the inbox
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from adapters.sources.received import PRIORITY_WORDS, SaidPriority
from base.model import Document, JsonObject
from sql import PRIORITY_HIGH, GroupName, ReceivedRow

KEY_BYTES = 32
TAGS_MAX = 100
JSON_EXTENSION = "json"


class Said(Document):
    """What a request says about all of its parts."""

    collection: Annotated[
        GroupName | None, Field(description="The collection that its parts get into.")
    ] = None
    comments: Annotated[str | None, Field(max_length=10_000, description="About its parts.")] = None
    tags: Annotated[
        tuple[GroupName, ...], Field(max_length=TAGS_MAX, description="Tags that its parts get.")
    ] = ()
    priority: Annotated[
        SaidPriority,
        Field(
            description="1 (first) to 10; up to 3 it waits for no others. Without one it follows "
            "the size of what comes in together. `high` is 3, `normal` none, for one more release."
        ),
    ] = None
    upload_context: Annotated[
        JsonObject | None, Field(description="A JSON object that is kept with its parts.")
    ] = None

    @property
    def is_urgent(self) -> bool:
        """Whether its parts wait for no others."""
        return self.priority is not None and self.priority <= PRIORITY_HIGH

    def digested(self) -> dict[str, Any]:
        """Return what makes requests the same, as it was written when a priority was a word."""
        words = {value: word for word, value in PRIORITY_WORDS.items()}
        return self.model_dump(mode="json") | {"priority": words.get(self.priority, self.priority)}


NOTHING_SAID = Said()
_TRIED = threading.Event()
_TRIED.set()


class FilePart(Document):
    """A file of a request; `part` is what its objects call it."""

    part: str
    file_name: str
    content_type: str | None
    size_bytes: int
    key: str
    extension: str


@dataclass(slots=True)
class Receipt:
    """A request that was accepted, or is about to be; `window` has a name once it is closed."""

    request_id: str
    account: str
    source: str
    key: str | None
    """Its Idempotency-Key."""
    digest: str
    time_s: float
    keys: bytes
    """The hashes of its parts, one after the other: its objects, then its files."""
    owner: str = ""
    """Whose its parts are, where that is not the account."""
    said: Said = NOTHING_SAID
    files: tuple[FilePart, ...] = ()
    sequence: int = 0
    """Its number in the journal; 0 while it is not durable."""
    window: str = ""
    first_place: int = 0
    """That of its first part among those of the window."""
    is_tried: threading.Event = field(default_factory=threading.Event)
    """Set when it is durable, or cannot be made so."""

    def has_been_tried(self) -> None:
        """Let those go on who wait for that."""
        # One for all from here on: there may be many receipts.
        tried, self.is_tried = self.is_tried, _TRIED
        tried.set()

    @property
    def count(self) -> int:
        """The number of its parts."""
        return len(self.keys) // KEY_BYTES

    @property
    def user(self) -> str:
        """Whose its parts are."""
        return self.owner or self.account

    @property
    def objects(self) -> int:
        """The number of its parts that are objects; the files come after them."""
        return self.count - len(self.files)

    def path_of(self, place: int) -> str:
        """Return the path of a part in its window, by its place in the request."""
        return self.path_at(place, self.first_place + place)

    def path_at(self, place: int, at: int) -> str:
        """Return the path of a part that is the one at this place of a window."""
        file = self.file_of(place)
        extension = file.extension if file else JSON_EXTENSION
        name = f"{at + 1:06d}"
        return f"{self.source}/{name}.{extension}" if extension else f"{self.source}/{name}"

    def file_of(self, place: int) -> FilePart | None:
        """Return the file that a part is; None for an object."""
        return self.files[place - self.objects] if place >= self.objects else None

    def key_of(self, place: int) -> str:
        """Return the key of a part."""
        return self.keys[place * KEY_BYTES : (place + 1) * KEY_BYTES].hex()

    def system_ids(self, count_max: int) -> list[str]:
        """Return the keys of the first nodes, in the order of the parts."""
        cut = range(0, min(len(self.keys), count_max * KEY_BYTES), KEY_BYTES)
        return [self.keys[place : place + KEY_BYTES].hex() for place in cut]


@dataclass(slots=True)
class Window:
    """Requests of one account and source that come in together; `account` is whose they are."""

    name: str
    account: str
    source: str
    time_s: float
    receipts: list[Receipt]
    is_published: bool = False

    @property
    def count(self) -> int:
        """The number of its parts."""
        return sum(one.count for one in self.receipts)


def row_of(receipt: Receipt) -> ReceivedRow:
    """Return what the database knows of a request."""
    about = {key: _about(receipt)[key] for key in ("said", "files") if key in _about(receipt)}
    return ReceivedRow(
        request_id=receipt.request_id,
        account=receipt.account,
        owner=receipt.owner,
        source=receipt.source,
        time_s=receipt.time_s,
        keys=receipt.keys,
        about=json.dumps(about),
        batch=receipt.window or None,
        first_place=receipt.first_place,
    )


def receipt_of(row: ReceivedRow) -> Receipt:
    """Return a request as the database knows it; its key and number are not there."""
    about = {
        "request": row.request_id, "key": None, "digest": "", "time_s": row.time_s,
        "owner": row.owner, **json.loads(row.about),
    }  # fmt: skip
    found = _receipt(about, row.account, row.source, row.keys, 0)
    found.window, found.first_place = row.batch or "", row.first_place
    return found


def keys_of(parts: list[bytes]) -> bytes:
    """Return the hashes of parts, as the store names them."""
    return b"".join(hashlib.sha256(part).digest() for part in parts)


def request_record(receipt: Receipt, parts: list[bytes]) -> bytes:
    """Return the record of a request; its files lie beside the journal, its objects are in it."""
    about = {
        **_about(receipt),
        "account": receipt.account,
        "source": receipt.source,
        "sizes": [len(part) for part in parts],
    }
    return b"\n".join((json.dumps(about).encode("ascii"), b"".join(parts)))


def read_request(record: bytes, sequence: int) -> tuple[Receipt, list[bytes]]:
    """Return what a record of a request says, and its objects."""
    head, _, rest = record.partition(b"\n")
    about = json.loads(head)
    parts: list[bytes] = []
    place = 0
    for size in about["sizes"]:
        parts.append(rest[place : place + size])
        place += size
    keys = keys_of(parts) + b"".join(bytes.fromhex(one["key"]) for one in about.get("files", ()))
    receipt = _receipt(about, about["account"], about["source"], keys, sequence)
    receipt.has_been_tried()
    return receipt, parts


def window_record(window: Window) -> bytes:
    """Return the record of a window that is closed."""
    requests = [
        {
            **_about(one),
            "account": one.account,
            "sequence": one.sequence,
            "keys": one.keys.hex(),
        }
        for one in window.receipts
    ]
    about = {
        "window": window.name,
        "account": window.account,
        "source": window.source,
        "time_s": window.time_s,
        "requests": requests,
    }
    return json.dumps(about).encode("ascii")


def published_record(window: Window) -> bytes:
    """Return the record that says that a window is in the inbox."""
    return json.dumps({"published": window.name}).encode("ascii")


def read_window(record: bytes) -> Window | str:
    """Return what a record says: a window, or the name of one that is in the inbox."""
    about: dict[str, Any] = json.loads(record)
    if "published" in about:
        return about["published"]
    receipts = [
        _receipt(
            one,
            one.get("account", about["account"]),
            about["source"],
            bytes.fromhex(one["keys"]),
            one["sequence"],
        )
        for one in about["requests"]
    ]
    window = Window(about["window"], about["account"], about["source"], about["time_s"], receipts)
    close(window)
    return window


def close(window: Window) -> None:
    """Tell the requests of a window that they belong to it, and where."""
    place = 0
    for one in window.receipts:
        one.window, one.first_place = window.name, place
        one.has_been_tried()
        place += one.count


def _about(receipt: Receipt) -> dict[str, Any]:
    """Return what both records say of a request; what is not there is left out."""
    about: dict[str, Any] = {
        "request": receipt.request_id,
        "key": receipt.key,
        "digest": receipt.digest,
        "time_s": receipt.time_s,
    }
    if receipt.owner:
        about["owner"] = receipt.owner
    if receipt.said != NOTHING_SAID:
        about["said"] = receipt.said.model_dump(mode="json", exclude_defaults=True)
    if receipt.files:
        about["files"] = [one.model_dump(mode="json") for one in receipt.files]
    return about


def _receipt(
    about: dict[str, Any], account: str, source: str, keys: bytes, sequence: int
) -> Receipt:
    return Receipt(
        about["request"],
        account,
        source,
        about["key"],
        about["digest"],
        about["time_s"],
        keys,
        about.get("owner", ""),
        Said.model_validate(about.get("said", {})),
        tuple(FilePart.model_validate(one) for one in about.get("files", ())),
        sequence,
    )
