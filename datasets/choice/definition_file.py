"""Reading a definition that somebody wrote, in YAML or JSON, and what is said about its mistakes.

Every mistake is told with its line and its path, all of them at once, and an unknown key with what
may have been meant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from base.documents import DocumentError, Limits, Path, Placed, read_document
from base.errors import UsageError
from base.mistakes import fields_of, model_at, shown_value, suggestion
from base.text import safe_text
from datasets.choice.registry import layout_named
from datasets.definition.definition import Definition
from datasets.definition.errors import DefinitionError

DOCUMENT_SIZE_BYTES_MAX = 16 << 20
LIMITS = Limits(DOCUMENT_SIZE_BYTES_MAX, levels_max=60, values_max=2_000_000)
PROBLEMS_MAX = 200


def load_definition(path: str) -> Definition:
    """Read and check a file. Raises DefinitionError with one `line N, path: reason` per mistake."""
    try:
        with open(path, "rb") as file:
            data = file.read(DOCUMENT_SIZE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(f"{path!a} cannot be read: {error.strerror}") from error
    return read_definition(data, os.path.basename(path))


def definition_of(given: Definition | Mapping[str, Any] | str) -> Definition:
    """Return a definition from a model, a decoded document, or the path of a file."""
    if isinstance(given, Definition):
        return given
    if isinstance(given, str):
        return load_definition(given)
    return _checked(Placed(dict(given)), "the definition")


def read_definition(text: str | bytes, name: str = "the definition") -> Definition:
    """Check the text of a definition; `name` is what the error calls it."""
    try:
        placed = read_document(text, LIMITS)
    except DocumentError as error:
        raise DefinitionError(name, [str(error)]) from None
    if placed.value is None:
        raise DefinitionError(name, ["is empty; begin with `version: 1`"])
    if not isinstance(placed.value, dict):
        raise DefinitionError(name, ["a definition is a mapping that begins with `version: 1`"])
    return _checked(placed, name)


def _checked(placed: Placed, name: str) -> Definition:
    try:
        definition = Definition.model_validate(placed.value)
    except ValidationError as error:
        raise DefinitionError(name, _problems(error, placed)) from None
    try:
        problems = layout_named(definition.layout.layout_id).check(definition)
    except UsageError as error:
        problems = [f"layout: {error}"]
    if problems:
        raise DefinitionError(name, [_with_line(problem, placed) for problem in problems])
    return definition


def _with_line(problem: str, placed: Placed) -> str:
    """Put the line in front of a `path: reason` of a layout."""
    path = placed.written(tuple(problem.partition(":")[0].split(".")))
    return f"line {placed.lines[path]}, {problem}" if path else problem


def _problems(error: ValidationError, placed: Placed) -> list[str]:
    found: list[str] = []
    for mistake in error.errors(include_url=False)[:PROBLEMS_MAX]:
        loc = tuple(mistake["loc"])
        place = _document_path(loc, placed)
        line = f"line {placed.lines[place]}, " if place in placed.lines else ""
        shown = ".".join(str(part) for part in place) or "definition"
        found.append(f"{line}{safe_text(shown)[:300]}: {_reason(mistake, loc)}")
    return found


def _document_path(loc: Path, placed: Placed) -> Path:
    """Drop the names of alternatives, which pydantic puts between the keys."""
    place: Path = ()
    for number, part in enumerate(loc):
        if (*place, part) in placed.lines or number == len(loc) - 1:
            place = (*place, part)
    return placed.written(place) if placed.lines else place


def _reason(mistake: Any, loc: tuple[str | int, ...]) -> str:
    kind, message = mistake["type"], str(mistake["msg"])
    if kind == "extra_forbidden":
        known = fields_of(model_at(loc[:-1], Definition))
        return "unknown" + suggestion(str(loc[-1]), known)
    if kind == "missing":
        return f"`{loc[-1]}` is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if isinstance(mistake["input"], str | int | float):
        message += f" (found {shown_value(mistake['input'])})"
    return message
