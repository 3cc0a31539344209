"""The values of a selector: it owns the types that its conditions are made of, and their limits."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

BIGINT_MAX = 2**63 - 1
NAMES_MAX = 1_000
KEYS_MAX = 100_000
TEXT_LENGTH_MAX = 4_096
SEARCH_LENGTH_MAX = 500
SEARCH_WORDS_MAX = 20

# Quoted digits (20240301) would be read as seconds since 1970.
_TIME_BEGINS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")


def _listed(value: Any) -> Any:
    """One value may stand for a list of it."""
    return value if isinstance(value, list | tuple) else (value,)


def bare_equals(value: Any) -> Any:
    """A bare value stands for `equals`."""
    return value if isinstance(value, dict | BaseModel) else {"equals": value}


def bare_text(value: Any) -> Any:
    """A bare value stands for `text`."""
    return value if isinstance(value, dict | BaseModel) else {"text": value}


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("text must not contain NUL")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("text must be valid Unicode, without lone surrogates")
    elif isinstance(value, int | float | datetime.date):
        raise ValueError(f"is read as no text; put it in quotes: '{value}'")
    return value


def words_of(text: str) -> list[str]:
    """Return the parts of a search that have a letter or a digit."""
    return [part for part in text.split() if any(map(str.isalnum, part))]


def _with_words(value: str) -> str:
    count = len(words_of(value))
    if not 1 <= count <= SEARCH_WORDS_MAX:
        raise ValueError(f"write one to {SEARCH_WORDS_MAX} words (found {count})")
    return value


def _moment(value: Any) -> Any:
    """A day stands for its first moment in UTC; numbers are no times, nor are quoted ones."""
    if isinstance(value, bool | int | float) or (
        isinstance(value, str) and not _TIME_BEGINS.match(value)
    ):
        raise ValueError("write a time as 2024-03-01 or 2024-03-01T12:00:00Z")
    if isinstance(value, str) and len(value) == 10:
        try:
            value = datetime.date.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime.combine(value, datetime.time(), datetime.UTC)
    return value


Text = Annotated[
    str, StringConstraints(min_length=1, max_length=TEXT_LENGTH_MAX), BeforeValidator(_storable)
]
SearchText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=SEARCH_LENGTH_MAX),
    BeforeValidator(_storable),
    AfterValidator(_with_words),
]
Texts = Annotated[
    tuple[Text, ...], Field(min_length=1, max_length=NAMES_MAX), BeforeValidator(_listed)
]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), BeforeValidator(_storable)]
Keys = Annotated[
    tuple[Key, ...], Field(min_length=1, max_length=KEYS_MAX), BeforeValidator(_listed)
]
Integer = Annotated[int, Field(strict=True, ge=-BIGINT_MAX - 1, le=BIGINT_MAX)]
Integers = Annotated[
    tuple[Integer, ...], Field(min_length=1, max_length=KEYS_MAX), BeforeValidator(_listed)
]
Flag = Annotated[bool, Field(strict=True)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
MediaType = Literal["image", "video", "sound", "text", "unknown"]
MediaTypes = Annotated[
    tuple[MediaType, ...], Field(min_length=1, max_length=5), BeforeValidator(_listed)
]


class Part(BaseModel):
    """Any mapping of a selector: keys that it does not know are refused, and those without a value.

    A key that somebody forgot to fill in is null in YAML, and would otherwise ask for nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="after")
    def _no_null(self) -> Self:
        names = [name for name in self.model_fields_set if getattr(self, name) is None]
        if names:
            fields = type(self).model_fields
            written = sorted(fields[name].alias or name for name in names)
            raise ValueError(f"{', '.join(written)} has no value; write one or leave the key out")
        return self


class Block(Part):
    """A mapping that says something: an empty one would fit all and surprise."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("is empty; write a condition or leave it out")
        return self


class IntegerRange(Block):
    """A whole number: exactly `equals`, or between `min` and `max`, both included."""

    equals: Integer | None = None
    min: Integer | None = None
    max: Integer | None = None


class TimeRange(Block):
    """From `since` (included) up to `before` (not included); a day means its start in UTC."""

    since: Moment | None = None
    before: Moment | None = None


class TextMatch(Block):
    """Text without regard to upper and lower case: exactly, or anywhere in it; no wildcards."""

    equals: Text | None = None
    contains: Text | None = None


class DescriptionMatch(Block):
    """A canonical description such as `twitter:user:783214`: exactly, or how it begins."""

    equals: Texts | None = None
    prefix: Text | None = None


IntegerMatch = Annotated[IntegerRange, BeforeValidator(bare_equals)]
TitleMatch = Annotated[TextMatch, BeforeValidator(bare_equals)]
Described = Annotated[DescriptionMatch, BeforeValidator(bare_equals)]
