"""Which record a thing of Twitter becomes: it owns that choice only."""

from __future__ import annotations

from typing import Any

from adapters.folder import ScrapeFolder
from adapters.items import Record
from adapters.json_records import Item
from adapters.twitter.tweet import LoneMedium, Tweet, User, medium_record, tweet_record, user_record


def item(thing: Tweet | User | LoneMedium, raw: Any, is_inner: bool = False) -> Item:
    """Return what makes the record of a thing, with the JSON value that it was read from."""

    def make(folder: ScrapeFolder, path: str, number: int, complete: Any) -> Record:
        if isinstance(thing, Tweet):
            return tweet_record(thing, folder, path, number, complete)
        if isinstance(thing, LoneMedium):
            return medium_record(thing, folder, path, number, complete)
        return user_record(thing, path, number, complete)

    return Item(make, raw, is_inner)
