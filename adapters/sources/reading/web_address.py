"""Addresses in records: it owns which node a well-known address means, and never opens one."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from adapters.records.describe import reference
from adapters.records.values import as_text

ADDRESS_LENGTH_MAX = 3_800
# Of a whole address: the platform, the kind, and the id in the first group.
_KNOWN = tuple(
    (platform, kind, re.compile(rf"https?://(?:[\w-]+\.)?{pattern}", re.IGNORECASE))
    for platform, kind, pattern in (
        ("youtube", "post", r"(?:youtube\.com/(?:watch\?(?:[^#]*&)?v=|embed/|shorts/|v/|live/)"
         r"|youtu\.be/)([\w-]{11})(?![\w-])"),
        ("pixiv", "post", r"pixiv\.net/(?:\w\w/)?(?:artworks|i)/(\d+)"),
        ("pixiv", "post", r"pixiv\.net/member_illust\.php\?(?:[^#]*&)?illust_id=(\d+)"),
        ("pixiv", "post", r"(?:pixiv\.net|pximg\.net)/(?:[^?#]*/)?(\d+)_(?:p\d+|ugoira)"),
        ("twitter", "post", r"(?:twitter|x)\.com/(?:i/web|\w+)/status(?:es)?/(\d+)"),
        ("flickr", "post", r"flickr\.com/photos/[^/?#]+/(\d+)"),
    )
)  # fmt: skip

# The host of an address without user or port; whatever is odd is left to `urlsplit`.
_PLAIN_HOST = re.compile(r"https?://([A-Za-z0-9.-]+)(?=[/?#][!-~]*\Z|\Z)")


def node_of_address(address: Any) -> str | None:
    """Return the node of an address: the post that it is known to show, else the page itself."""
    text = as_text(address)
    if text is None or len(text) > ADDRESS_LENGTH_MAX:
        return None
    text = f"https:{text}" if text.startswith("//") else text
    for platform, kind, pattern in _KNOWN:
        if found := pattern.match(text):
            return reference(platform, kind, found[1])
    if not re.match(r"https?://[^/\s]", text, re.IGNORECASE):
        return None
    return reference("web", "page", text)


def host_of(address: Any) -> str | None:
    """Return the host of an absolute address in lower case."""
    if not isinstance(address, str) or "//" not in address:
        return None
    if found := _PLAIN_HOST.match(address):
        return found[1].lower()
    try:
        return (urlsplit(address.strip()).hostname or "").lower() or None
    except ValueError:
        return None
