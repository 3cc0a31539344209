"""Which booru a record is of: it owns the names of the sites.

Posts are numbered by each site apart, so a record without a site has no identity. The addresses in
it tell the site; a relative address (old Danbooru) does not, and then a folder called like the host
does; at last the peculiar fields of Danbooru's own software mean Danbooru.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from adapters.records.errors import RecordError
from adapters.sources.reading.web_address import host_of

# Hosts whose second-level label is not how people call the site.
_NAMES = {"donmai": "danbooru", "yande": "yandere", "idolcomplex": "idolcomplex"}
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+(?:[a-z]{2,})")
BOORU_WORDS = re.compile(
    r"booru|donmai|konachan|yande\.re|sankaku|zerochan|e621|e926|rule34|behoimi|image ?board",
    re.IGNORECASE,
)


def site_of_host(host: str) -> str:
    """Return the word for a site: `danbooru` for danbooru.donmai.us, `yandere` for yande.re."""
    labels = [label for label in host.lower().split(".") if label]
    label = labels[-2] if len(labels) > 1 else labels[0] if labels else ""
    word = re.sub(r"[^a-z0-9]", "_", _NAMES.get(label, label))
    return word if re.match(r"[a-z]", word) else f"site_{word}"


def site_of(addresses: Iterable[Any], path: str, is_danbooru: bool) -> str:
    """Return the site of a record; RecordError says how a person can name it."""
    for address in addresses:
        if host := host_of(address):
            return site_of_host(host)
    for part in path.lower().split("/")[:-1]:
        if _HOST.fullmatch(part):
            return site_of_host(part)
    if is_danbooru:
        return "danbooru"
    raise RecordError(
        "the record does not say which booru it is of: put the file into a folder that is called "
        "like the site's host, such as danbooru.donmai.us/"
    )
