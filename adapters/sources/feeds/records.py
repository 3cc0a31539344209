"""Feeds as records: it owns the nodes and edges that a channel and its entries become."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from adapters.records.describe import describe
from adapters.records.errors import RecordError
from adapters.records.folder import ScrapeFolder, extension_of
from adapters.records.items import Link, MediaFile, NodeReference, Observation, Problem, Record
from adapters.records.values import as_text
from adapters.sources.feeds.model import Author, Entry, Feed, Medium

SOURCE = "feed"
TAGS_MAX = 100
URI_SCHEMES = ("http", "https", "tag", "urn", "yt", "ftp", "at", "gid", "info", "doi")


class FeedRecords:
    """The records of one feed file."""

    def __init__(self, folder: ScrapeFolder, path: str, feed: Feed, data: bytes) -> None:
        self._folder, self._path, self._feed = folder, path, feed
        self._base = feed.url or feed.home_url or ""
        digest = hashlib.sha256(data).hexdigest()
        self._identity = feed.url or feed.home_url or f"sha256:{digest}"
        if feed.youtube_channel:
            self._channel = describe("youtube", "channel", feed.youtube_channel)
        else:
            self._channel = describe("feed", "channel", self._identity)
        self._ambiguous = _ambiguous_names(feed)

    def records(self) -> Iterator[Record | Problem]:
        """Yield the channel, then its entries."""
        yield self._channel_record()
        for number, entry in enumerate(self._feed.entries):
            try:
                yield self._entry_record(number, entry)
            except RecordError as error:
                yield Problem(self._path, number, str(error))

    def _channel_record(self) -> Record:
        feed = self._feed
        author, extra, links = self._author(feed.author, self._channel)
        meta = {
            **feed.meta,
            "item_type": "channel",
            "feed_format": feed.format,
            "feed_url": self._absolute(feed.url),
            "url": self._absolute(feed.home_url),
            "summary": feed.text,
            "author_name": feed.author.name if feed.author else None,
            "tags": list(feed.tags[:TAGS_MAX]) or None,
            "image_url": self._absolute(feed.image_url),
        }
        own = Observation(
            self._channel, SOURCE, False, feed.title or feed.text, None, feed.changed, author, meta
        )
        return Record(self._path, -1, self._channel, (own, *extra), tuple(links))

    def _entry_record(self, number: int, entry: Entry) -> Record:
        post = self._post(entry)
        author, extra, links = self._author(next(iter(entry.authors), self._feed.author), post)
        links.append(Link(self._channel, post, "member"))
        url = self._absolute(entry.url)
        url = url if url and url.lower().startswith(("http://", "https://")) else None
        if url:
            links.append(Link(post, describe("web", "page", url), "linked"))
        for other in entry.authors[1:TAGS_MAX]:
            if (node := self._person(other)) and node != author:
                links.append(Link(node, post, "credited"))
        for tag in dict.fromkeys(tag.lower() for tag in entry.tags[:TAGS_MAX]):
            links.append(Link(describe("feed", "tag", tag), post, "tagged"))
        title = entry.title or entry.text
        media_observations, media_links = self._media(entry, post, title, author)
        time = entry.published or entry.changed
        meta = {
            **entry.meta,
            "item_type": "entry",
            "feed_format": self._feed.format,
            "url": url,
            "entry_id": entry.id,
            "author_name": entry.authors[0].name if entry.authors else None,
            "tags": list(entry.tags[:TAGS_MAX]) or None,
            "published_time": entry.published,
            "changed_time": entry.changed,
            "image_url": self._absolute(entry.meta.get("image_url")),
            "comments_url": self._absolute(entry.meta.get("comments_url")),
        }
        own = Observation(post, SOURCE, False, title, entry.view, time, author, meta)
        observations = (own, *media_observations, *extra)
        return Record(
            self._path, number, post, observations, (*links, *media_links), entry.complete
        )

    def _post(self, entry: Entry) -> str:
        if entry.youtube_id:
            return describe("youtube", "post", entry.youtube_id)
        if entry.id:
            # A guid that is no URI means something in its own feed only.
            scheme = entry.id.partition(":")[0].lower() if ":" in entry.id else ""
            own = entry.id if scheme in URI_SCHEMES else f"{self._identity}#{entry.id}"
            return describe("feed", "post", own)
        if entry.url:
            return describe("feed", "post", self._absolute(entry.url))
        if entry.media:
            return describe("feed", "post", self._absolute(entry.media[0].url))
        said = "\0".join(filter(None, (self._identity, entry.title, entry.text)))
        if not (entry.title or entry.text):
            raise RecordError("an entry without id, link, enclosure, title and text")
        return describe("feed", "post", f"sha256:{hashlib.sha256(said.encode()).hexdigest()}")

    # ---- People ----------------------------------------------------------------------------------

    def _author(
        self, author: Author | None, work: str
    ) -> tuple[str | None, list[Observation], list[Link]]:
        person = self._person(author) if author else None
        if author is None or person is None:
            return None, [], []
        meta = {"item_type": "author", "author_name": author.name, "url": author.uri}
        said = Observation(person, SOURCE, False, author.name, meta=meta)
        links = [] if person == work else [Link(person, work, "authored")]
        return person, [said] if author.name else [], links

    def _person(self, author: Author) -> str | None:
        if author.uri:
            channel = author.uri.partition("youtube.com/channel/")[2].partition("/")[0]
            if channel:
                return describe("youtube", "channel", channel)
            return describe("feed", "user", self._absolute(author.uri))
        if author.name:
            # A name says who it is only within its feed.
            return describe("feed", "username", f"{author.name} @ {self._identity}"[:3_900])
        return None

    # ---- Media -----------------------------------------------------------------------------------

    def _media(
        self, entry: Entry, post: str, title: str | None, author: str | None
    ) -> tuple[list[Observation], list[Link]]:
        observations: list[Observation] = []
        links: list[Link] = []
        pictures: dict[MediaFile, None] = {}
        for url in entry.thumbnails:
            if file := self._file(url):
                pictures[file] = None
        contained: list[NodeReference] = []
        for medium in entry.media:
            url = self._absolute(medium.url)
            node: NodeReference = self._file(medium.url) or describe("feed", "media", url)
            if node in contained:
                continue
            position = len(contained)
            contained.append(node)
            links.append(Link(post, node, "contains", position))
            meta = _medium_meta(medium, url, position, entry.meta.get("duration_s"))
            said = medium.title or title
            time = entry.published or entry.changed
            observations.append(Observation(node, SOURCE, True, said, None, time, author, meta))
        parent = contained[0] if len(contained) == 1 else post
        links += [Link(parent, file, "thumbnail") for file in pictures if file not in contained]
        return observations, links

    def _file(self, url: str) -> MediaFile | None:
        name = _base_name(url)
        if not name or name in self._ambiguous:
            return None
        found = self._folder.find(name, self._path)
        return found or self._folder.find(unquote(name).rpartition("/")[2], self._path)

    def _absolute(self, url: Any) -> str | None:
        text = as_text(url, 3_800)
        if not text:
            return None
        try:
            return urljoin(self._base, text)
        except ValueError:
            return text


def _medium_meta(
    medium: Medium, url: str | None, position: int, duration_s: float | None
) -> dict[str, Any]:
    return {
        "item_type": "medium",
        "media_url": url,
        "media_type": medium.type,
        "media_size_bytes": medium.size_bytes,
        "duration_s": medium.duration_s if medium.duration_s is not None else duration_s,
        "width": medium.width,
        "height": medium.height,
        "position": position,
    }


def _base_name(url: str) -> str | None:
    """Return the file name of an address; only one with an extension can name a file."""
    try:
        name = urlsplit(url).path.rpartition("/")[2]
    except ValueError:
        return None
    return name if extension_of(name) and len(name) <= 255 else None


def _ambiguous_names(feed: Feed) -> frozenset[str]:
    """Return base names that several addresses share: a file of that name may be any of them."""
    urls: dict[str, str] = {}
    shared: set[str] = set()
    for entry in feed.entries:
        for url in (*(medium.url for medium in entry.media), *entry.thumbnails):
            name = _base_name(url)
            if name and urls.setdefault(name, url) != url:
                shared.add(name)
    return frozenset(shared)
