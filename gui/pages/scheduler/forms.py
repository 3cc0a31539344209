"""Forms of requests: it owns turning a workflow's model of parameters into fields, and back.

Pure. A field is what a person fills in; what was filled in is checked again by the workflow itself,
here it only gets its type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, cast

import yaml
from pydantic import BaseModel

from base.documents import DocumentError, Limits, read_document
from base.errors import UsageError

Kind = Literal["text", "integer", "number", "boolean", "choice", "document", "lines"]
DOCUMENT_LIMITS = Limits(size_bytes_max=200_000, levels_max=60, values_max=100_000)


class Field(NamedTuple):
    """One thing to fill in; `choices` are values with labels, `shown_if` a field and its value."""

    name: str
    kind: Kind
    label: str
    default: Any = None
    is_required: bool = False
    choices: tuple[tuple[Any, str], ...] = ()
    hint: str = ""
    minimum: float | None = None
    maximum: float | None = None
    shown_if: tuple[str, Any] | None = None


def fields_of(model: type[BaseModel], leave_out: Iterable[str] = ()) -> list[Field]:
    """Return the fields of a model, in its order; what has no form of its own is YAML."""
    schema = model.model_json_schema()
    required, left_out = set(schema.get("required", ())), set(leave_out)
    return [
        _field(name, part, name in required)
        for name, part in schema.get("properties", {}).items()
        if name not in left_out
    ]


def _field(name: str, part: Mapping[str, Any], is_required: bool) -> Field:
    chosen, may_be_none = _without_none(part)
    label = name.replace("_", " ").capitalize()
    field = Field(
        name, "document", label, part.get("default"), is_required, (),
        str(part.get("description", "")), chosen.get("minimum"), chosen.get("maximum"),
    )  # fmt: skip
    if "enum" in chosen or "const" in chosen:
        values = chosen.get("enum", [chosen.get("const")])
        none = ((None, "not said"),) if may_be_none else ()
        choices = (*none, *((value, str(value)) for value in values))
        return field._replace(kind="choice", choices=choices)
    kind = chosen.get("type")
    if kind in ("integer", "number", "boolean"):
        return field._replace(kind=cast(Kind, kind))
    if kind == "string":
        return field._replace(kind="text")
    if kind == "array" and cast("Mapping[str, Any]", chosen.get("items", {})).get("type") in (
        "string",
        "integer",
    ):
        return field._replace(kind="lines", hint=field.hint or "one a line")
    return field._replace(hint=field.hint or "as YAML or JSON")


def _without_none(part: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the one type of an optional field, or nothing where it may have several."""
    either = [one for one in part.get("anyOf", ()) if one.get("type") != "null"]
    if not either:
        return part, False
    may_be_none = len(either) < len(part["anyOf"])
    return (either[0] if len(either) == 1 else {}), may_be_none


def value_of(field: Field, given: Any) -> Any:
    """Return what was filled in, in its type; None for nothing. UsageError says what is wrong."""
    if isinstance(given, str):
        given = given.strip() or None
    if given is None or given == []:
        if field.is_required:
            raise UsageError(f"{field.label}: fill this in")
        return None
    if field.kind == "boolean":
        return bool(given)
    if field.kind in ("integer", "number"):
        return _number(field, given)
    if field.kind == "lines":
        return [line.strip() for line in str(given).splitlines() if line.strip()]
    if field.kind == "document":
        return _document(field, str(given))
    return given


def _number(field: Field, given: Any) -> int | float:
    try:
        number = float(given)
        whole = int(number)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{field.label}: write a number") from None
    if field.kind == "number":
        return number
    if whole != number:
        raise UsageError(f"{field.label}: write a whole number")
    return whole


def _document(field: Field, given: str) -> Any:
    try:
        # What JSON does not have, such as a date, is refused too.
        return json.loads(json.dumps(read_document(given, DOCUMENT_LIMITS).value))
    except (DocumentError, TypeError, ValueError) as error:
        raise UsageError(f"{field.label}: {error}") from None


def shown_value(field: Field, value: Any) -> Any:
    """Return a value as its field shows it: documents as YAML, lists as lines."""
    if value is None:
        return None
    if field.kind == "document" and not isinstance(value, str):
        return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=88)
    if field.kind == "lines":
        return "\n".join(str(one) for one in cast("Iterable[Any]", value))
    return value


def filled_in(fields: Iterable[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that was filled in and counts; what nobody filled in is left to the workflow.

    Raises UsageError with a line for each field that is wrong.
    """
    listed = list(fields)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for field in listed:
        if field.shown_if is not None and given.get(field.shown_if[0]) != field.shown_if[1]:
            continue
        try:
            value = value_of(field, given.get(field.name))
        except UsageError as error:
            wrong.append(str(error))
            continue
        if value is not None:
            values[field.name] = value
    if wrong:
        raise UsageError("\n".join(wrong))
    return values
