"""Reading a selector that somebody wrote, in YAML or JSON, and what is said about its mistakes.

Every mistake is told with its path, and an unknown key with what may have been meant. A key that is
there twice is refused in both formats, because one of the two would be ignored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from base.documents import DocumentError, Limits, decoded, read_document
from base.mistakes import fields_of, model_at, path_text, shown_value, suggestion
from sql.core.errors import SelectorError
from sql.selector.selector import Selector

DOCUMENT_SIZE_BYTES_MAX = 16 * 1024 * 1024
LEVELS_MAX = 100
VALUES_MAX = 2_000_000
LIMITS = Limits(DOCUMENT_SIZE_BYTES_MAX, LEVELS_MAX, VALUES_MAX)
PROBLEMS_MAX = 200
"""So many are told, and how many there are beside them."""

# Keys that people write one level too high, and where they belong.
_HOMES = {
    "source": "metadata", "title": "metadata", "view": "metadata", "author": "metadata",
    "update_time": "metadata", "download_time": "metadata", "user": "metadata",
    "is_raw": "metadata", "is_root": "metadata",
}  # fmt: skip


def parse_selector(text: str | bytes) -> Selector:
    """Read a selector from YAML or JSON text. Raises SelectorError with a list of problems."""
    try:
        return read_selector(_parsed(decoded(text, LIMITS)))
    except DocumentError as error:
        raise SelectorError([str(error)]) from None
    except RecursionError:
        raise SelectorError([f"nested deeper than {LEVELS_MAX} levels"]) from None


def read_selector(document: Any) -> Selector:
    """Check a decoded document. Raises SelectorError with a list of problems."""
    if isinstance(document, Selector):
        return document
    if not isinstance(document, dict):
        raise SelectorError(["a selector is a mapping that begins with `version: 1`"])
    if not _is_shallow(document):
        raise SelectorError([f"nested deeper than {LEVELS_MAX} levels"])
    try:
        return Selector.model_validate(document)
    except ValidationError as error:
        raise SelectorError(problems_of(error)) from None


def problems_of(error: ValidationError) -> list[str]:
    """Return one `path: reason` for each mistake."""
    return problem_lines(error.errors(include_url=False))


def problem_lines(
    mistakes: Sequence[Any],
    prefix: tuple[str | int, ...] = (),
    model: type[BaseModel] | None = Selector,
) -> list[str]:
    """Return one `path: reason` for each of pydantic's mistakes in a document of that model.

    The paths are without the prefix that all of them share. Of very many only the first are told.
    """
    # A list whose values are all wrong is reported as too short as well.
    short = {mistake["loc"] for mistake in mistakes if mistake["type"] == "too_short"}
    inside = {
        mistake["loc"][:length]
        for mistake in mistakes
        for length in range(len(mistake["loc"]))
        if mistake["loc"][:length] in short
    }
    told = [
        mistake
        for mistake in mistakes
        if mistake["type"] != "too_short" or mistake["loc"] not in inside
    ]
    lines: list[str] = []
    for mistake in told[:PROBLEMS_MAX]:
        loc = tuple(mistake["loc"])
        loc = loc[len(prefix) :] if loc[: len(prefix)] == prefix else loc
        lines.append(f"{path_text(loc, 'selector')}: {_reason(mistake, loc, model)}")
    return capped(lines, len(told))


def capped(problems: Sequence[str], count: int | None = None) -> list[str]:
    """Return the first problems, and a line that says how many there are when it is not all."""
    count = len(problems) if count is None else count
    if count <= PROBLEMS_MAX:
        return list(problems)
    return [*problems[:PROBLEMS_MAX], f"... and {count - PROBLEMS_MAX:,} more"]


def _reason(mistake: Any, loc: tuple[str | int, ...], model: type[BaseModel] | None) -> str:
    kind, message = mistake["type"], str(mistake["msg"])
    if kind == "extra_forbidden":
        return _unknown_key(str(loc[-1]), model_at(loc[:-1], model))
    if kind == "missing":
        return "is missing" + (": write version: 1" if loc == ("version",) else "")
    if kind == "timezone_aware":
        return "has no time zone; add Z or an offset such as +01:00"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "too_short":
        return "is empty; write a value or leave it out"
    message = message[:1].lower() + message[1:]
    if isinstance(mistake["input"], str | int | float):
        message += f" (found {shown_value(mistake['input'])})"
    return message


def _unknown_key(word: str, model: type[BaseModel] | None) -> str:
    fields = fields_of(model)
    if word not in fields and _HOMES.get(word) in fields:
        home = _HOMES[word]
        return f"unknown here; it belongs into {home}: write `{home}: {{{word}: ...}}`"
    return "unknown" + suggestion(word, fields)


def _is_shallow(document: Any) -> bool:
    waiting: list[tuple[Any, int]] = [(document, 1)]
    while waiting:
        value, level = waiting.pop()
        if level > LEVELS_MAX:
            return False
        if isinstance(value, dict):
            waiting += [(part, level + 1) for part in cast(dict[Any, Any], value).values()]
        elif isinstance(value, list):
            waiting += [(part, level + 1) for part in cast(list[Any], value)]
    return True


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except json.JSONDecodeError:
            pass  # YAML has mappings in braces too.
        except ValueError as error:
            # A number of thousands of digits.
            raise SelectorError([f"a value cannot be read: {error}"]) from None
    return read_document(text, LIMITS).value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise SelectorError([f"the key {shown_value(name)} is there twice"])
            seen.add(name)
    return result


def _no_constant(name: str) -> Any:
    raise SelectorError([f"{name} is no number"])
