"""Names of columns and tables, made of the keys of documents.

A name is lower case with underscores, of at most 40 characters, and no word that PostgreSQL
or our tables keep for themselves. The same keys give the same names, in whatever order they come.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

from sql import RESERVED_NAMES

NAME_LENGTH_MAX = 40
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHERS = re.compile(r"[^a-z0-9]+")
# Reserved key words of PostgreSQL 17 (pg_get_keywords, catcode R and T): as a column each would
# have to stand in quotes.
_SQL_WORDS_TEXT = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check
collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user default deferrable desc
distinct do else end except false fetch for foreign freeze from full grant group having ilike in
initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
references returning right select session_user similar some symmetric system_user table
tablesample then to trailing true union unique user using variadic verbose when where window
with
"""
_SQL_WORDS = frozenset(_SQL_WORDS_TEXT.split())


def word_of(text: str, fallback: str) -> str:
    """Return a text as a name: `createdAt` is `created_at`, `Größe` is `grosse`."""
    plain = unicodedata.normalize("NFKD", _HUMP.sub("_", text[:400]).replace("ß", "ss"))
    word = _OTHERS.sub("_", plain.encode("ascii", "ignore").decode().lower()).strip("_")
    if not word:
        return fallback
    return word if word[0].isalpha() else f"{fallback}_{word}"


def column_name(path: Iterable[str], taken: Collection[str]) -> str:
    """Return the name of the column for a path, that no other has."""
    word = "_".join(word_of(part, "field") for part in path)
    if word in RESERVED_NAMES:
        word = f"own_{word}"
    elif word in _SQL_WORDS:
        word = f"{word}_"
    return free_name(word, taken)


def free_name(word: str, taken: Collection[str]) -> str:
    """Return a name like this one that is not taken; one that is too long ends in its hash."""
    if len(word) > NAME_LENGTH_MAX:
        digest = hashlib.blake2b(word.encode(), digest_size=4).hexdigest()
        word = f"{word[: NAME_LENGTH_MAX - 9].rstrip('_')}_{digest}"
    name, number = word, 1
    while name in taken:
        number += 1
        name = f"{word[: NAME_LENGTH_MAX - 1 - len(str(number))]}_{number}"
    return name
