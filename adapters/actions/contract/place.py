"""Documents people write, with the place of everything in them: it owns reading YAML so.

YAML without aliases and tags (a few rows of aliases can stand for gigabytes), no deeper than
LEVELS_MAX, with keys that are texts and each there once. What pydantic says about a document is
told with the row of the file, and an unknown key with the one that may have been meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

DOCUMENT_BYTES_MAX = 1 << 20
LEVELS_MAX = 60
NODES_MAX = 100_000
SHOWN_LENGTH_MAX = 60

Path = tuple[str | int, ...]

# What pydantic says of the branches of a union that were not meant.
_NOT_A_MAPPING = frozenset({"literal_error", "string_type", "enum"})
_NO_MAPPING = frozenset({"model_type", "dict_type", "model_attributes_type"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the row and the key path of the file, and what would be right."""

    line: int
    path: str
    reason: str

    def __str__(self) -> str:
        """Return `line N, key.path: reason`."""
        return f"line {self.line}, {self.path}: {self.reason}"


class ProblemError(ValueError):
    """A document cannot be read at all."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


@dataclass(slots=True)
class Placed:
    """A document and the row, from 1, of every key and item in it."""

    document: Any = None
    rows: dict[Path, int] = field(default_factory=dict[Path, int])

    def problem(self, path: Path, reason: str) -> Problem:
        """Return a problem at the nearest place that is written."""
        near = path
        while near and near not in self.rows:
            near = near[:-1]
        return Problem(self.rows.get(near, 1), path_text(path), reason)


def path_text(path: Iterable[str | int]) -> str:
    """Return a key path as people write it: `outputs[0].regex`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{ascii(step)[1:-1]}"
    return text.removeprefix(".")[:300] or "the document"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return what may have been meant by a word nobody knows, as the end of a sentence."""
    names = sorted(set(known))
    near = difflib.get_close_matches(word[:100], names, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(names[:30])}{' ...' if len(names) > 30 else ''}" if names else ""


# ---- Reading -------------------------------------------------------------------------------------


def read_placed(data: bytes | str) -> Placed:
    """Read a YAML document. Raises ProblemError for the first thing that makes it unreadable."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise ProblemError(Problem(1, "the document", f"has more than {DOCUMENT_BYTES_MAX} bytes"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise ProblemError(Problem(row, "the document", "is not UTF-8 here")) from None
    try:
        _check_events(text)
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            placed = Placed()
            placed.document = _construct(loader, node, (), placed.rows) if node else None
        finally:
            loader.dispose()
        return placed
    except yaml.MarkedYAMLError as error:
        raise ProblemError(_yaml_problem(error, text)) from None
    except yaml.YAMLError as error:
        reason = f"is not YAML: {' '.join(str(error).split())[:200]}"
        raise ProblemError(Problem(1, "the document", reason)) from None


def _check_events(text: str) -> None:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if isinstance(event, yaml.AliasEvent):
            raise _problem(event, "write it out: aliases (*name) are not read")
        if getattr(event, "tag", None) is not None:
            raise _problem(event, "tags (!name) are not read; leave it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > LEVELS_MAX or count > NODES_MAX:
            raise _problem(event, f"more than {LEVELS_MAX} levels or {NODES_MAX} values")


def _problem(event: Any, reason: str) -> ProblemError:
    return ProblemError(Problem(event.start_mark.line + 1, "the document", reason))


def _yaml_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    row = mark.line if mark else 0
    lines = text.splitlines()
    near = lines[min(row, len(lines) - 1)] if lines else ""
    hint = ""
    if ": {" in near or "- {" in near:
        hint = '; a template that begins with a brace is put into quotes: "{node.key}.jpg"'
    reason = f"is not YAML: {error.problem or error.context}{hint}"
    return Problem(row + 1, "the document", " ".join(reason.split())[:300])


def _construct(loader: Any, node: Any, path: Path, rows: dict[Path, int]) -> Any:
    rows.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, rows)
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(loader, item, (*path, place), rows) for place, item in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        # A date such as 2024-13-45, a number of thousands of digits.
        shown = ascii(str(node.value)[:SHOWN_LENGTH_MAX])
        problem = Problem(node.start_mark.line + 1, path_text(path), f"{shown} cannot be read")
        raise ProblemError(problem) from None


def _mapping(loader: Any, node: Any, path: Path, rows: dict[Path, int]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        row = key_node.start_mark.line + 1
        name = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(name, str) or not isinstance(loader.construct_object(key_node), str):
            reason = "a key that is no text; put it into quotes"
            raise ProblemError(Problem(row, path_text(path), reason))
        if name in result:
            reason = f"the key {ascii(name)[:SHOWN_LENGTH_MAX]} is there twice"
            raise ProblemError(Problem(row, path_text(path), reason))
        rows[(*path, name)] = row
        result[name] = _construct(loader, value_node, (*path, name), rows)
    return result


# ---- What pydantic says --------------------------------------------------------------------------


def problems_of(placed: Placed, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each mistake, by rows."""
    said: dict[Path, list[str]] = {}
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        if mistake["type"] == "too_short" and _is_inside(mistake["loc"], mistakes):
            continue  # A list whose items are all wrong is said to be too short as well.
        path, other_branch = _resolve(placed.document, mistake)
        reasons = said.setdefault(path, [])
        reason = _reason(mistake, path, model)
        if not other_branch and reason not in reasons:
            reasons.append(reason)
    found = [
        placed.problem(path, ", or ".join(reasons) or "is not what may stand here")
        for path, reasons in said.items()
        if reasons or not any(other[: len(path)] == path and said[other] for other in said)
    ]
    return sorted(found, key=lambda problem: problem.line)


def _is_inside(loc: Path, mistakes: Sequence[Any]) -> bool:
    return any(len(one["loc"]) > len(loc) and one["loc"][: len(loc)] == loc for one in mistakes)


def _resolve(document: Any, mistake: Any) -> tuple[Path, bool]:
    """Return where a mistake is in the document, and whether it is about a branch of a union that
    was not meant: pydantic's locations name branches, which nobody wrote."""
    path: list[str | int] = []
    value, loc = document, cast("Sequence[str | int]", mistake["loc"])
    in_branch = False
    for place, step in enumerate(loc):
        if isinstance(value, dict) and step in value:
            value = cast("dict[Any, Any]", value)[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = cast("list[Any]", value)[step]
        elif place == len(loc) - 1 and mistake["type"] == "missing":
            value = None
        else:
            in_branch = True
            continue
        path.append(step)
    unmeant = _NOT_A_MAPPING if isinstance(value, dict) else _NO_MAPPING
    return tuple(path), in_branch and mistake["type"] in unmeant


def _reason(mistake: Any, path: Path, model: type[BaseModel]) -> str:
    kind, message = str(mistake["type"]), str(mistake["msg"])
    if kind == "extra_forbidden":
        return "unknown key" + suggestion(str(path[-1]), _fields(_model_at(path[:-1], model)))
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    given = mistake["input"]
    if kind == "string_type" and isinstance(given, dict) and len(cast("dict[str, Any]", given)) < 2:
        return 'should be a text; one that begins with a brace is put into quotes: "{node.key}"'
    if kind == "literal_error" and isinstance(given, str):
        expected = str(mistake["ctx"]["expected"])
        words = [part.strip("' ") for part in expected.replace(" or ", ", ").split(",")]
        return f"is {_shown(given)}; it is one of {', '.join(words)}" + _near(given, words)
    if kind == "string_pattern_mismatch":
        return f"is {_shown(given)}; it must be of the form {mistake['ctx']['pattern']}"
    message = message.removeprefix("Input ")
    message = message[:1].lower() + message[1:]
    if isinstance(given, str | int | float):
        message += f" (found {_shown(given)})"
    return message


def _near(word: str, words: list[str]) -> str:
    near = difflib.get_close_matches(word[:100], words, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "..."


def _model_at(path: Path, model: type[BaseModel] | None) -> type[BaseModel] | None:
    for step in path:
        if isinstance(step, str):
            fields = _fields(model)
            model = fields.get(step, model if step not in fields else None)
    return model


def _fields(model: type[BaseModel] | None) -> Mapping[str, type[BaseModel] | None]:
    if model is None:
        return {}
    return {
        info.alias or name: _model_in(info.annotation) for name, info in model.model_fields.items()
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
