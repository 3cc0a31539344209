"""Sites as yt-dlp names them: it owns which platform an extractor is of and how ids are written.

Other formats know the same posts and people, so some ids are translated: a shortcode of Instagram
is its number, a video in a tweet or submission belongs to the post in `display_id`.
"""

from __future__ import annotations

import re
import string
from typing import Any

from adapters.records import describe
from adapters.records.values import as_text, first

FAMILIES = (
    *("youtube", "twitter", "twitch", "reddit", "instagram", "facebook", "tiktok", "bilibili"),
    *("vimeo", "soundcloud", "bandcamp", "dailymotion", "niconico", "patreon", "tumblr", "flickr"),
    *("bluesky", "rumble", "pinterest", "imgur", "peertube", "rutube", "linkedin", "lbry"),
    *("nebula", "vk", "weibo", "zdf", "bbc", "nytimes", "newgrounds", "archiveorg"),
)
"""Extractors whose names begin so are of that site: `YoutubeTab`, `twitch:clips`."""

ALIASES = {"wikimedia": "commons"}
POSTS_IN_DISPLAY_ID = frozenset(("twitter", "reddit"))
POSTS_WITH_PARTS = frozenset(("twitter", "instagram", "reddit", "tumblr", "bluesky", "patreon"))
"""Where a "playlist" is a post with several videos."""
NAMES_AS_IDS = frozenset(
    (
        *("twitter", "twitch", "vimeo", "tumblr", "mixcloud", "bandcamp", "instagram", "tiktok"),
        *("archiveorg", "newgrounds"),
    )
)
"""Where `uploader_id` is the name in addresses, unless it is all digits."""

_SHORTCODE = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_CHANNEL = re.compile(r"UC[\w-]{22}")


def reference(platform: str, kind: str, identity: Any) -> str | None:
    """Return a description, or None for what is no id."""
    return None if identity in ("", 0, "0", "NA") else describe.reference(platform, kind, identity)


def extractor_of(info: dict[str, Any]) -> str | None:
    """Return the extractor's own name for itself."""
    keys = ("extractor", "extractor_key", "ie_key")
    return next((name for key in keys if (name := as_text(info.get(key), 100))), None)


def platform_of(info: dict[str, Any], inherited: str | None = None) -> str:
    """Return the site as a word; `web` when nothing tells it."""
    name = extractor_of(info)
    if name is None:
        return inherited or "web"
    word = re.sub(r"[^a-z0-9]+", "_", name.partition(":")[0].lower()).strip("_")
    if word in ("generic", "html5", ""):
        return "web"
    family = next((known for known in FAMILIES if word.startswith(known)), None)
    word = family or ALIASES.get(word, word)
    return word if word[0].isalpha() else f"site_{word}"


def post_of(info: dict[str, Any], platform: str) -> str | None:
    """Return the node of a video's page."""
    identity = info.get("id")
    if platform in POSTS_IN_DISPLAY_ID:
        shown = as_text(info.get("display_id"), 100)
        identity = shown if shown and re.fullmatch(r"\w{4,20}", shown) else identity
    elif platform == "instagram":
        identity = _instagram_number(identity)
    elif platform == "bluesky":
        did = as_text(info.get("channel_id"), 200)
        if did and did.startswith("did:"):
            identity = f"at://{did}/app.bsky.feed.post/{info.get('display_id') or identity}"
    if platform == "web":
        page = page_of(info)
        return reference("web", "page", page) if page else reference("web", "post", identity)
    found = reference(platform, "post", first(identity, info.get("display_id")))
    return found or reference("web", "page", page_of(info))


def page_of(info: dict[str, Any]) -> str | None:
    """Return the address of the page, if the record tells it."""
    for key in ("webpage_url", "original_url", "url"):
        text = as_text(info.get(key), 3_000)
        if text and text.startswith(("http://", "https://")):
            return text
    return None


def medium_of(info: dict[str, Any], platform: str, post: str | None) -> str | None:
    """Return the node that stands for the video itself when its file is missing."""
    if platform == "web" and post is not None:
        return reference("web", "media", post.partition(":page:")[2] or info.get("id"))
    identity = first(info.get("id"), info.get("display_id"))
    return reference(
        platform, "media", _instagram_number(identity) if platform == "instagram" else identity
    )


def _instagram_number(identity: Any) -> Any:
    text = as_text(identity, 100)
    if text is None or text.isdigit() or not 5 <= len(text) <= 11:
        return identity
    number = 0
    for character in text:
        if character not in _SHORTCODE:
            return identity
        number = number * 64 + _SHORTCODE.index(character)
    return number


def is_channel(identity: Any) -> bool:
    """Tell whether an id is that of a YouTube channel."""
    return isinstance(identity, str) and _CHANNEL.fullmatch(identity) is not None
