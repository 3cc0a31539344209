"""Readers of values as museums and stock sites write them."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.values import as_count, as_number, as_text
from adapters.sources.paths import Read, add_readers

_SCIENCE_MUSEUM_IMAGES = "https://coimages.sciencemuseumgroup.org.uk/images/"
_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000, "gb": 1_000_000_000}


def in_some_language(value: Any) -> Any:
    """Return the text of a map by language: English, the default, or any other."""
    if isinstance(value, list):
        return value[0] if value else None
    if not isinstance(value, dict):
        return value
    texts = (in_some_language(value.get(language)) for language in ("en", "def", *value))
    return next((text for text in texts if text is not None), None)


def _bytes_of(value: Any) -> int | None:
    """Return the size that a number or a text such as 233.5kB says, as exactly as it does."""
    if (count := as_count(value)) is not None:
        return count
    text = as_text(value, 40)
    found = re.fullmatch(r"([\d.]{1,12})\s*([kmg]?b)", text, re.IGNORECASE) if text else None
    number = as_number(found[1]) if found else None
    return round(number * _UNITS[found[2].lower()]) if found and number is not None else None


def _science_museum_url(location: Any) -> str | None:
    text = as_text(location)
    # Some locations are whole addresses although they are marked as relative.
    return text if text is None or "://" in text else _SCIENCE_MUSEUM_IMAGES + text


def _matching(pattern: str) -> Read:
    """Return a reader of the first group of a pattern."""
    compiled = re.compile(pattern, re.DOTALL)

    def read(value: Any) -> str | None:
        text = as_text(value)  # Cut: some of these look back from each place.
        found = compiled.search(text) if text else None
        return found[1] if found else None

    return read


add_readers(
    language=in_some_language,
    bytes=_bytes_of,
    of_science_museum=_science_museum_url,
    outside_brackets=_matching(r"^(.*?)(?:\s*\(.*\)$|$)"),
    behind_colon=_matching(r"^(?:.*?: )?(.*)"),
    ark=lambda value: (_matching(r"(ark:.*)")(value) or value) if as_text(value) else None,
    iiif_name=_matching(r"([^/.]*)[^/]*$"),
    number_of_pack=_matching(r"/packs/(\d+)"),
    id_of_contributor=_matching(r"/contributors/([\w-]+)"),
    width_of=_matching(r"^(\d+)(?:\.\d+)?x\d"),
    height_of=_matching(r"^\d+(?:\.\d+)?x(\d+)"),
    large_size=lambda value: value.replace("{}", "image_1300") if as_text(value) else None,
    is_free=lambda value: "CC0" if value is True else None,
)
