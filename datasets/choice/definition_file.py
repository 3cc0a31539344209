"""Reading a definition that somebody wrote: it owns YAML and JSON, and what is said about mistakes.

Every mistake is told with its line and its path, all of them at once, and an unknown key with what
may have been meant. Aliases and keys that are there twice are refused.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from base.text import safe_text
from datasets.choice.registry import layout_named
from datasets.definition.definition import Definition
from datasets.definition.errors import DefinitionError, UsageError

DOCUMENT_SIZE_BYTES_MAX = 16 << 20
LEVELS_MAX = 60
PROBLEMS_MAX = 200
SHOWN_LENGTH_MAX = 60

Lines = dict[tuple[str | int, ...], int]


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
    return _checked(dict(given), {}, "the definition")


def read_definition(text: str | bytes, name: str = "the definition") -> Definition:
    """Check the text of a definition; `name` is what the error calls it."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > DOCUMENT_SIZE_BYTES_MAX:
        raise DefinitionError(name, [f"a definition may have {DOCUMENT_SIZE_BYTES_MAX >> 20} MiB"])
    try:
        decoded = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DefinitionError(name, [f"byte {error.start} is no UTF-8"]) from None
    lines: Lines = {}
    try:
        node = yaml.compose(decoded, yaml.SafeLoader)
        if node is None:
            raise DefinitionError(name, ["is empty; begin with `version: 1`"])
        document = _Builder(lines).build(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise DefinitionError(name, [f"{place}is no YAML: {error.problem}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DefinitionError(name, [f"is no YAML: {reason}"]) from None
    if not isinstance(document, dict):
        raise DefinitionError(name, ["a definition is a mapping that begins with `version: 1`"])
    return _checked(document, lines, name)


class _Builder:
    """Builds a document out of nodes, and notes at which line each of its parts is."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._loader: Any = yaml.SafeLoader("")
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        """Return what a node stands for."""
        if len(path) > LEVELS_MAX:
            raise ValueError(f"nested deeper than {LEVELS_MAX} levels")
        # A few lines of aliases can stand for gigabytes.
        if id(node) in self._seen:
            raise ValueError("aliases (*name) are not taken; write it out")
        self._seen.add(id(node))
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(part, (*path, number)) for number, part in enumerate(node.value)]
        return self._loader.construct_object(node, True)

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node, True)
            if not isinstance(key, str) or key in result:
                wrong = "is there twice" if isinstance(key, str) else "is no text"
                problem = f"the key {ascii(key)[:SHOWN_LENGTH_MAX]} {wrong}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            self._lines[*path, key] = key_node.start_mark.line + 1
            result[key] = self.build(value_node, (*path, key))
        return result


def _checked(document: dict[str, Any], lines: Lines, name: str) -> Definition:
    try:
        definition = Definition.model_validate(document)
    except ValidationError as error:
        raise DefinitionError(name, _problems(error, lines)) from None
    try:
        problems = layout_named(definition.layout.layout_id).check(definition)
    except UsageError as error:
        problems = [f"layout: {error}"]
    if problems:
        raise DefinitionError(name, [_placed(problem, lines) for problem in problems])
    return definition


def _placed(problem: str, lines: Lines) -> str:
    """Put the line in front of a `path: reason` of a layout."""
    path = tuple(problem.partition(":")[0].split("."))
    while path and path not in lines:
        path = path[:-1]
    return f"line {lines[path]}, {problem}" if path else problem


def _problems(error: ValidationError, lines: Lines) -> list[str]:
    found: list[str] = []
    for mistake in error.errors(include_url=False)[:PROBLEMS_MAX]:
        loc = tuple(mistake["loc"])
        place = _document_path(loc, lines)
        line = f"line {lines[place]}, " if place in lines else ""
        shown = ".".join(str(part) for part in place) or "definition"
        found.append(f"{line}{safe_text(shown)[:300]}: {_reason(mistake, loc)}")
    return found


def _document_path(loc: tuple[str | int, ...], lines: Lines) -> tuple[str | int, ...]:
    """Drop the names of alternatives, which pydantic puts between the keys."""
    place: tuple[str | int, ...] = ()
    for number, part in enumerate(loc):
        if (*place, part) in lines or number == len(loc) - 1:
            place = (*place, part)
    return place if place in lines or not lines else _longest(place, lines)


def _longest(place: tuple[str | int, ...], lines: Lines) -> tuple[str | int, ...]:
    while place and place not in lines:
        place = place[:-1]
    return place


def _reason(mistake: Any, loc: tuple[str | int, ...]) -> str:
    kind, message = mistake["type"], str(mistake["msg"])
    if kind == "extra_forbidden":
        return "unknown" + _suggestion(str(loc[-1]), _model_at(loc[:-1]))
    if kind == "missing":
        return f"`{loc[-1]}` is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    shown = ascii(mistake["input"])
    if isinstance(mistake["input"], str | int | float):
        message += f" (found {shown[:SHOWN_LENGTH_MAX]}{'...' * (len(shown) > SHOWN_LENGTH_MAX)})"
    return message


def _suggestion(word: str, model: type[BaseModel] | None) -> str:
    if model is None:
        return ""
    names = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(word[:100], names, 1)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(names[:25])}"


def _model_at(loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Definition
    for part in loc:
        fields = {
            field.alias or name: _model_in(field.annotation)
            for name, field in (model.model_fields if model else {}).items()
        }
        if isinstance(part, str) and part in fields:
            model = fields[part]
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
