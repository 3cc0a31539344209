"""Mistakes in contracts and pipelines, each with its line and its key path.

What pydantic says about a document is told with the line of the file, and an unknown key with the
one that may have been meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from base.documents import DocumentError, Limits, Path, Placed, read_document
from base.mistakes import fields_of, model_at, nearest, path_text, shown_value, suggestion

DOCUMENT_BYTES_MAX = 1 << 20
LIMITS = Limits(DOCUMENT_BYTES_MAX, levels_max=60, values_max=100_000)
WHOLE = "the document"

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


def problem_at(placed: Placed, path: Path, reason: str) -> Problem:
    """Return a problem with the line of the nearest place that is written."""
    return Problem(placed.line_of(path), path_text(path, WHOLE), reason)


def read_placed(data: bytes | str) -> Placed:
    """Read a YAML document. Raises ProblemError for the first thing that makes it unreadable."""
    try:
        return read_document(data, LIMITS)
    except DocumentError as error:
        reason = error.reason + (_hint(data, error.line) if error.is_syntax else "")
        problem = Problem(error.line, path_text(error.path, WHOLE), reason)
        raise ProblemError(problem) from None


def _hint(data: bytes | str, line: int) -> str:
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    lines = text.splitlines()
    near = lines[min(line, len(lines)) - 1] if lines else ""
    if ": {" in near or "- {" in near:
        return '; a template that begins with a brace is put into quotes: "{node.key}.jpg"'
    return ""


def problems_of(placed: Placed, error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each mistake, by rows."""
    said: dict[Path, list[str]] = {}
    mistakes = error.errors(include_url=False)
    for mistake in mistakes:
        if mistake["type"] == "too_short" and _is_inside(mistake["loc"], mistakes):
            continue  # A list whose items are all wrong is said to be too short as well.
        path, other_branch = _resolve(placed.value, mistake)
        reasons = said.setdefault(path, [])
        reason = _reason(mistake, path, model)
        if not other_branch and reason not in reasons:
            reasons.append(reason)
    found = [
        problem_at(placed, path, ", or ".join(reasons) or "is not what may stand here")
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
        return "unknown key" + suggestion(str(path[-1]), fields_of(model_at(path[:-1], model)))
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
        return f"is {shown_value(given)}; it is one of {', '.join(words)}" + _near(given, words)
    if kind == "string_pattern_mismatch":
        return f"is {shown_value(given)}; it must be of the form {mistake['ctx']['pattern']}"
    message = message.removeprefix("Input ")
    message = message[:1].lower() + message[1:]
    if isinstance(given, str | int | float):
        message += f" (found {shown_value(given)})"
    return message


def _near(word: str, words: list[str]) -> str:
    near = nearest(word, words)
    return f"; did you mean {near}?" if near else ""
