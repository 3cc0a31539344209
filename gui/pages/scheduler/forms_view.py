"""A form in the browser: it owns the inputs for its fields, and hands on what was filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from gui.pages.scheduler.forms import Field
from gui.pages.scheduler.forms_sources import Form
from gui.widgets.blocks import attributes, box, clean, text

WIDE = ("document", "lines")


class FormView:
    """The inputs of a form; `changed` is told whenever anything in it changes."""

    def __init__(self, form: Form, changed: Callable[[], None]) -> None:
        self._form, self._changed = form, changed
        self._inputs: dict[str, Any] = {}
        self._rows: dict[str, ui.element] = {}
        with box("form"):
            for field in form.fields:
                with box("form-field wide" if field.kind in WIDE else "form-field") as row:
                    self._inputs[field.name] = self._input(field, form.values.get(field.name))
                    if field.hint:
                        text(field.hint, "hint")
                self._rows[field.name] = row
        self._show_rows()

    def given(self) -> dict[str, Any]:
        """Return what stands in the inputs, by field."""
        return {name: one.value for name, one in self._inputs.items()}

    def fill(self, name: str, value: str) -> None:
        """Write something into an input, as if a person had."""
        self._inputs[name].value = clean(value)

    def _input(self, field: Field, value: Any) -> Any:
        may_be_empty = not field.is_required and field.default is None
        label = clean(field.label + (" (may be left empty)" if may_be_empty else ""))
        told = lambda: self._tell()  # noqa: E731
        if field.kind == "choice":
            options = {one: clean(words) for one, words in field.choices}
            shown = value if value in options else None
            made: Any = ui.select(
                options, label=label, value=shown, on_change=told, with_input=len(options) > 12
            )
            made.props("outlined dense options-dense")
        elif field.kind == "boolean":
            made = ui.checkbox(clean(field.label), value=bool(value), on_change=told)
        elif field.kind in ("integer", "number"):
            made = ui.number(
                label, value=value, min=field.minimum, max=field.maximum, on_change=told
            )
            made.props("outlined dense")
        elif field.kind in WIDE:
            made = ui.textarea(label, value=clean(str(value or "")), on_change=told)
            made.props("outlined autogrow input-style=font-family:monospace")
        else:
            made = ui.input(label, value=clean(str(value)) if value else "", on_change=told)
            made.props("outlined dense maxlength=2000")
        return attributes(made, data_field=field.name)

    def _tell(self) -> None:
        self._show_rows()
        self._changed()

    def _show_rows(self) -> None:
        """Hide what does not count with what was chosen elsewhere."""
        given = self.given()
        for field in self._form.fields:
            if field.shown_if is not None:
                name, value = field.shown_if
                self._rows[field.name].set_visibility(given.get(name) == value)
