"""Forms: a model's fields as inputs in the browser, and what was filled in as values again.

What was filled in only gets its type here; whoever asked for it checks it against the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, cast

import yaml
from nicegui import ui
from pydantic import BaseModel

from base.documents import DocumentError, Limits, read_document
from base.errors import UsageError
from gui.widgets.blocks import attributes, box, clean, text

Kind = Literal[
    "text",
    "integer",
    "number",
    "boolean",
    "choice",
    "document",
    "lines",
    "password",
    "date",
    "moment",
    "yaml",
]
WIDE = ("document", "lines", "yaml")
_FORMATS: dict[str, Kind] = {
    "password": "password",
    "date": "date",
    "date-time": "moment",
    "yaml": "yaml",
}
"""Kinds of texts by the format in their schema."""
_INPUTS = {
    "date": "type=date stack-label",
    "moment": "type=datetime-local stack-label",
    "password": "autocomplete=new-password",
}
"""What the inputs of kinds are beside plain ones."""
TEXT_LENGTH_MAX = 2_000
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
    length_max: int = TEXT_LENGTH_MAX


def fields_of(model: type[BaseModel], leave_out: Iterable[str] = ()) -> list[Field]:
    """Return the fields of a model, in its order; what has no form of its own is YAML.

    The title of a field is its label, its description the hint; `choices` in its schema's extra are
    the words for the values of a choice.
    """
    schema = model.model_json_schema()
    required, left_out = set(schema.get("required", ())), set(leave_out)
    return [
        _field(name, part, name in required, model.model_fields[name].title)
        for name, part in schema.get("properties", {}).items()
        if name not in left_out
    ]


def _field(name: str, part: Mapping[str, Any], is_required: bool, title: str | None) -> Field:
    chosen, may_be_none = _without_none(part)
    label = title or name.replace("_", " ").capitalize()
    field = Field(
        name, "document", label, part.get("default"), is_required, (),
        str(part.get("description", "")), chosen.get("minimum"), chosen.get("maximum"),
        length_max=chosen.get("maxLength", TEXT_LENGTH_MAX),
    )  # fmt: skip
    if "enum" in chosen or "const" in chosen:
        values = chosen.get("enum", [chosen.get("const")])
        none = ((None, "not said"),) if may_be_none else ()
        words = part.get("choices", {})
        choices = (*none, *((value, words.get(value, str(value))) for value in values))
        return field._replace(kind="choice", choices=choices)
    kind = chosen.get("type")
    if kind in ("integer", "number", "boolean"):
        return field._replace(kind=cast(Kind, kind))
    if kind == "string":
        form = part.get("format") or chosen.get("format", "")
        return field._replace(kind=_FORMATS.get(form, "text"))
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
    if field.kind == "moment":
        return _moment(field, str(given))
    return given


def _moment(field: Field, given: str) -> str:
    """Return a moment with its zone; without one it is on this machine's clock."""
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise UsageError(f"{field.label}: write a date and a time") from None
    return (moment if moment.tzinfo else moment.astimezone()).isoformat()


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


class FormView:
    """The inputs of fields in one browser; `changed` is told whenever anything in them changes."""

    def __init__(
        self, fields: Iterable[Field], values: Mapping[str, Any], changed: Callable[[], None]
    ) -> None:
        self._fields, self._changed = tuple(fields), changed
        self._inputs: dict[str, Any] = {}
        self._rows: dict[str, ui.element] = {}
        with box("form"):
            for field in self._fields:
                with box("form-field wide" if field.kind in WIDE else "form-field") as row:
                    self._inputs[field.name] = self._input(field, values.get(field.name))
                    if field.hint:
                        text(field.hint, "hint")
                self._rows[field.name] = row
        self._show_rows()

    def given(self) -> dict[str, Any]:
        """Return what stands in the inputs, by field."""
        return {name: one.value for name, one in self._inputs.items()}

    def filled(self) -> dict[str, Any]:
        """Return what was filled in, in its types; see `filled_in`."""
        return filled_in(self._fields, self.given())

    def focus(self) -> None:
        """Begin with the first input."""
        next(iter(self._inputs.values())).props("autofocus")

    def fill(self, name: str, value: str) -> None:
        """Write something into an input, as if a person had."""
        self._inputs[name].value = clean(value)

    def show(self, values: Mapping[str, Any]) -> None:
        """Show other values; `changed` is told of each."""
        for name, value in values.items():
            self._inputs[name].value = clean(value) if isinstance(value, str) else value

    def _input(self, field: Field, value: Any) -> Any:
        # What is chosen from a list shows what it is without a choice.
        may_be_empty = not field.is_required and field.default is None and field.kind != "choice"
        label = clean(field.label + (" (may be left empty)" if may_be_empty else ""))
        told, looks = lambda: self._tell(), "outlined dense"
        if field.kind == "choice":
            options = {one: clean(words) for one, words in field.choices}
            shown = value if value in options else None
            made: Any = ui.select(
                options, label=label, value=shown, on_change=told, with_input=len(options) > 12
            )
            looks += " options-dense"
        elif field.kind == "boolean":
            made, looks = ui.checkbox(clean(field.label), value=bool(value), on_change=told), ""
        elif field.kind in ("integer", "number"):
            made = ui.number(
                label, value=value, min=field.minimum, max=field.maximum, on_change=told
            )
        elif field.kind in WIDE:
            made = ui.textarea(label, value=clean(str(value or "")), on_change=told)
            looks = "outlined autogrow input-style=font-family:monospace"
        else:
            made = ui.input(
                label, value=clean(str(value)) if value else "", on_change=told,
                password=field.kind == "password",
            )  # fmt: skip
            kind = _INPUTS.get(field.kind)
            looks += f" maxlength={field.length_max} {kind or ''}"
        made.props(looks)
        return attributes(made, data_field=field.name)

    def _tell(self) -> None:
        self._show_rows()
        self._changed()

    def _show_rows(self) -> None:
        """Hide what does not count with what was chosen elsewhere."""
        given = self.given()
        for field in self._fields:
            if field.shown_if is not None:
                name, value = field.shown_if
                self._rows[field.name].set_visibility(given.get(name) == value)
