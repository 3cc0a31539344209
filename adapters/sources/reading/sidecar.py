"""Sidecars of gallery-dl: one record of any site, as a format of the platform that the site is.

A platform gives a `SidecarFormat`: its rules, and what makes their fields of gallery-dl's. The file
that lies beside the sidecar is its medium; nothing else is looked for. A sidecar without a post is
about its medium, or about the account.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from adapters.records.errors import RecordError
from adapters.records.items import MediaFile
from adapters.records.times import parse_time
from adapters.records.values import as_count, as_text, dig, first, text_of_html
from adapters.sources.columns import Change
from adapters.sources.model import FILE, Node, Rules
from adapters.sources.paths import POSITION, add_readers
from adapters.sources.reading.draft import Draft

POSTED_FROM = datetime(1990, 1, 1, tzinfo=UTC)
"""Nothing was posted before: 1970-01-01 and 0001-01-01 are how sites write "unknown"."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One record of gallery-dl, the site it is of and the media file that lies beside it."""

    data: dict[str, Any]
    category: str
    media: MediaFile | None

    @property
    def platform(self) -> str:
        """The category as a word."""
        return word_of(self.category)

    @property
    def subcategory(self) -> str:
        """What of the site was asked for: `post`, `saved`, `timeline` ..."""
        return as_text(self.data.get("subcategory"), 100) or ""

    @property
    def has_medium(self) -> bool:
        """Whether this is about a medium; false for a post alone, such as a tweet without any."""
        named = as_text(self.data.get("extension")) or as_text(self.data.get("filename"))
        return bool(self.media or named or dig(self.data, "media", "url"))

    @property
    def number_in_post(self) -> int | None:
        """`num`, or the `page` of a manga: which medium of its post this is, mostly from 1."""
        number = as_count(self.data.get("num"))
        number = as_count(self.data.get("page")) if number is None else number
        return number if number is not None and number < 2**31 else None

    @property
    def position(self) -> int | None:
        """`num` as a position from 0, for sites that count from 1 (and say 0 for the only one)."""
        number = self.number_in_post
        return None if number is None else max(number - 1, 0)


@dataclass(frozen=True, slots=True)
class SidecarFormat:
    """How the sidecars of a site are read.

    `fields` and `medium` make the fields of the post and of its medium, which are the same where
    there is no `medium`. `counts_from` is the number of the first medium of a post, None where a
    post has only one.
    """

    rules: Rules
    fields: Change
    medium: Change | None = None
    counts_from: int | None = 1
    kind: Callable[[Sidecar], str] = lambda _sidecar: "post"

    def read(self, draft: Draft, sidecar: Sidecar) -> None:
        """Read one sidecar; RecordError when nothing in it names a node."""
        draft.source = self.rules.source.table.name
        fields = self.fields(sidecar.data)
        if sidecar.has_medium:
            own = fields if self.medium is None else self.medium(sidecar.data)
            one = {**own, FILE: sidecar.media, POSITION: self._position(sidecar)}
            fields = {**fields, "media": [one]}
        if not self.rules.read_any(draft, self.kind(sidecar), fields):
            raise RecordError(nothing_in(sidecar))

    def _position(self, sidecar: Sidecar) -> int | None:
        if self.counts_from is None:
            return 0
        return sidecar.position if self.counts_from else sidecar.number_in_post


def nothing_in(sidecar: Sidecar) -> str:
    """Return what a person can do about a sidecar that names nothing."""
    return (
        f"a record of {sidecar.category[:60]!a} without id, address, file name and author; "
        "give gallery-dl's `metadata` postprocessor all fields"
    )


def of_sidecar(node: Node) -> Node:
    """Return a platform's node as sidecars tell of it: one medium, whose file is known."""
    nowhere = dict.fromkeys(("urls", "stems", "variants", "thumbs", "needs", "post_stem"), "")
    place = {"at": "media[]", "position": f"number|{POSITION}", "is_network": False}
    media = tuple(replace(one, **place, **nowhere) for one in node.media)
    return replace(node, media=media)


def word_of(category: str) -> str:
    """Return a category as the word that descriptions begin with: `500px` -> `site_500px`."""
    text = re.sub(r"[^a-z0-9]+", "_", category.lower()[:60]).strip("_")
    return text if text[:1].isascii() and text[:1].isalpha() else f"site_{text}".rstrip("_")


# ---- Values as gallery-dl writes them ----------------------------------------------------------


def posted(value: Any) -> datetime | None:
    """Return when something was posted; gallery-dl writes UTC where it names no zone."""
    time = parse_time(value)
    return time if time is not None and time >= POSTED_FROM else None


def address(value: Any) -> str | None:
    """Return a web address; gallery-dl's own prefixes (`ytdl:`) are left off."""
    text = as_text(value) if isinstance(value, str) else None
    text = text.removeprefix("ytdl:") if text else None
    return text if text and text.startswith(("http://", "https://", "//")) else None


def plain(value: Any) -> str | None:
    """Return text, out of HTML when it looks like that."""
    if isinstance(value, str) and "<" in value and ">" in value:
        return text_of_html(value)
    return as_text(value) if isinstance(value, str) else None


def tags_of(value: Any, count_max: int = 1_000) -> list[str] | None:
    """Return tags from a list, from text, or from an object of categories with lists or text."""
    names: Iterable[Any] = ()
    if isinstance(value, str):
        names = value.split(",") if "," in value else value.split()
    elif isinstance(value, list):
        names = [_name_of_tag(tag) for tag in value[:count_max]]
    elif isinstance(value, dict):
        if any(isinstance(part, list | str) for part in value.values()):
            names = [tag for part in value.values() for tag in tags_of(part) or ()]
        else:
            names = list(value)
    texts = (as_text(name, 300) for name in names)
    clean = (text.lstrip("#").strip() for text in texts if text is not None)
    return list(dict.fromkeys(text for text in clean if text))[:count_max] or None


def _name_of_tag(tag: Any) -> Any:
    if not isinstance(tag, dict):
        return tag
    return first(*(tag.get(key) for key in ("name", "tag", "title", "text", "slug")))


add_readers(posted=posted, address=address, plain=plain, tags=tags_of)
