"""What is asked with a request that sends something: fields of its form, or of its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from adapters import PRIORITY_WORDS, ReceivedSaid
from base.errors import UsageError

REPEATED = ("tags",)
WAIT_S_MAX = 60.0


class Asked(ReceivedSaid):
    """What may be said beside the parts."""

    source: str = Field(default="received", description="What sends: the name of the table.")
    owner: str = Field(default="", max_length=200, description="Whose it is; admins only.")

    @property
    def said(self) -> ReceivedSaid:
        """What is kept with the parts."""
        return ReceivedSaid(**{name: getattr(self, name) for name in ReceivedSaid.model_fields})


def asked_of(fields: Mapping[str, Sequence[str]]) -> Asked:
    """Return what fields say; UsageError names the one that cannot be."""
    given: dict[str, Any] = {}
    for name, values in fields.items():
        if name not in Asked.model_fields:
            known = ", ".join(Asked.model_fields)
            raise UsageError(f"{name[:80]!a} is no field; there are payload, files[], {known}")
        if name in REPEATED:
            given[name] = [one for value in values for one in value.split(",") if one.strip()]
        elif len(values) > 1:
            raise UsageError(f"the field {name} is there {len(values)} times; send it once")
        elif values[0]:
            given[name] = values[0]
    try:
        return Asked.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{place}: {first['msg']}; nothing was taken") from error


def former_words(fields: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the header that tells who says a priority as a word that it is a number now."""
    said = next((one for one in fields.get("priority", ()) if one in PRIORITY_WORDS), "")
    if not said:
        return {}
    number = PRIORITY_WORDS[said]
    now = f"priority={number}" if number else "to leave it out"
    return {"warning": f'299 - "priority={said} is {now} now; the word goes with the next release"'}


def wait_s_of(prefer: str) -> float:
    """Return how long an answer may wait, by the header Prefer (RFC 7240); 0 when it may not."""
    for one in prefer.split(","):
        name, _, value = one.partition("=")
        if name.strip().lower() == "wait" and value.strip().isdecimal():
            return min(float(value.strip()), WAIT_S_MAX)
    return 0.0
