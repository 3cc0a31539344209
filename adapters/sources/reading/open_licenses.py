"""Licences of open media: it owns reading their names and addresses, and never judges them."""

from __future__ import annotations

import re
from typing import Any

from adapters.records.values import as_text

_ADDRESS = re.compile(r"creativecommons\.org/(licenses|publicdomain|share-your-work/public-domain)/"
                      r"([a-z0-9+-]+)(?:/(\d\.\d))?", re.IGNORECASE)  # fmt: skip
_NAME = re.compile(
    r"\bCC[ -]?((?:BY(?:[ -](?:NC|ND|SA))*)|0|ZERO)(?:[ -]?(\d\.\d))?", re.IGNORECASE
)
_OF_PUBLIC_DOMAIN = {"zero": "cc0", "cc0": "cc0", "mark": "pdm"}


def license_of(*values: Any) -> dict[str, Any]:
    """Return license, license_version and license_url from names and addresses, best first."""
    texts = [text for text in map(as_text, values) if text]
    address = next((text for text in texts if re.match(r"https?://", text)), None)
    for text in texts:
        if found := _ADDRESS.search(text):
            word = found[2].lower()
            name = word if found[1].lower() == "licenses" else _OF_PUBLIC_DOMAIN.get(word, word)
            return {"license": name, "license_version": found[3], "license_url": address}
        if found := _NAME.search(text):
            word = re.sub(r"[ -]+", "-", found[1].lower())
            name = "cc0" if word in ("0", "zero") else word
            return {"license": name, "license_version": found[2], "license_url": address}
    plain = next((text for text in texts if text != address), None)
    return {"license": plain, "license_version": None, "license_url": address}
