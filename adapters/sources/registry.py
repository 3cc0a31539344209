"""Which adapters there are: it owns the list of ours and the entry points of other people's.

A package of your own adds an adapter with an entry point in the group `drystone.adapters`: its
name is the adapter's, its value is the Adapter. It is installed into the same environment.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from base.errors import UsageError

if TYPE_CHECKING:
    from adapters.records.adapter import Adapter
    from adapters.records.folder import ScrapeFolder
    from adapters.records.items import Sniff

ENTRY_POINT_GROUP = "drystone.adapters"

# Each module offers `ADAPTERS`; it is imported when one of its adapters is asked for. The order is
# that of `source list`, and of two that are equally sure of a folder the first is taken.
MODULES = {
    "gallery-dl": "adapters.sources.gallery_dl",
    "yt-dlp": "adapters.sources.yt_dlp",
    "twitter-v1": "adapters.sources.twitter",
    "twitter-v2": "adapters.sources.twitter",
    "twitter-graphql": "adapters.sources.twitter",
    "twitter-archive": "adapters.sources.twitter",
    "snscrape": "adapters.sources.twitter",
    "instagram-graph": "adapters.sources.instagram",
    "instaloader": "adapters.sources.instagram",
    "facebook-graph": "adapters.sources.facebook",
    "tiktok-scraper": "adapters.sources.tiktok_scraper",
    "tiktok-api": "adapters.sources.tiktok_api",
    "reddit": "adapters.sources.reddit",
    "reddit-csv": "adapters.sources.reddit",
    "mastodon": "adapters.sources.fediverse",
    "activitypub": "adapters.sources.fediverse",
    "misskey": "adapters.sources.misskey",
    "lemmy": "adapters.sources.lemmy",
    "4chan": "adapters.sources.fourchan",
    "bluesky": "adapters.sources.bluesky",
    "telegram": "adapters.sources.telegram",
    "telegram-html": "adapters.sources.telegram",
    "discord": "adapters.sources.discord",
    "tumblr": "adapters.sources.tumblr",
    "pixiv": "adapters.sources.pixiv",
    "booru": "adapters.sources.booru",
    "hydrus": "adapters.sources.hydrus",
    "photo-library": "adapters.sources.photo_library",
    "google-takeout": "adapters.sources.google_takeout",
    "flickr": "adapters.sources.flickr",
    "wikimedia-commons": "adapters.sources.wikimedia_commons",
    "youtube-data": "adapters.sources.youtube_data",
    "museum": "adapters.sources.museum",
    "pyvideo": "adapters.sources.pyvideo",
    "feed": "adapters.sources.feeds",
    "warc": "adapters.sources.warc",
    "coco": "adapters.sources.annotated",
    "yolo": "adapters.sources.annotated",
    "voc": "adapters.sources.annotated",
    "labelme": "adapters.sources.annotated",
    "cvat": "adapters.sources.annotated",
    "label-studio": "adapters.sources.annotated",
    "datumaro": "adapters.sources.annotated",
    "open-images": "adapters.sources.annotated",
    "fiftyone": "adapters.sources.annotated",
    "createml": "adapters.sources.annotated",
    "imagefolder": "adapters.sources.imagefolder",
    "webdataset": "adapters.sources.webdataset",
    "manifest": "adapters.sources.manifest_file",
    "mixed": "adapters.sources.mixed",
    "json": "adapters.sources.json_objects",
    "plain-folder": "adapters.sources.plain_folder",
}

RETIRED = frozenset({"instagram-legacy", "openverse-tsv"})
"""Formats that are read no more. Batches of them are restored and replayed with all that is known
of them, and their files are files."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in MODULES or point.name in found:
            raise UsageError(
                f"two adapters are called {point.name}; uninstall the package that brings "
                f"{point.value}"
            )
        found[point.name] = point
    return found


def adapter_names() -> list[str]:
    """Return the names of all adapters, ours first, without importing them."""
    return [*MODULES, *_entry_points()]


@cache
def adapter_named(name: str) -> Adapter:
    """Return one adapter; UsageError lists the names when there is none."""
    if name in MODULES:
        ours: tuple[Any, ...] = import_module(MODULES[name]).ADAPTERS
        return next(adapter for adapter in ours if adapter.name == name)
    if name not in _entry_points():
        raise UsageError(f"there is no adapter {name!a}; there are: {', '.join(adapter_names())}")
    point = _entry_points()[name]
    try:
        return point.load()
    except Exception as error:
        raise UsageError(
            f"the adapter {name} ({point.value}) cannot be loaded: {error}; "
            "repair or uninstall its package"
        ) from error


def adapter_of_stored(name: str) -> Adapter:
    """Return the adapter that a stored batch was read by, which may be read no more."""
    return adapter_named("plain-folder" if name in RETIRED else name)


def adapters() -> dict[str, Adapter]:
    """Return all adapters by name."""
    return {name: adapter_named(name) for name in adapter_names()}


def sniff(folder: ScrapeFolder) -> list[tuple[str, Sniff]]:
    """Ask every adapter about a folder; the surest first, those with confidence 0 left out."""
    answers = [(name, adapter.sniff(folder)) for name, adapter in adapters().items()]
    sure = [(name, answer) for name, answer in answers if answer.confidence > 0]
    return sorted(sure, key=lambda pair: -pair[1].confidence)
