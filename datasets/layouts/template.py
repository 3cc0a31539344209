"""A tree of your own: each file lies where a template says.

For example `{split}/{label}/{key}.{extension}`. Fields are split, label, key, node_id, number,
extension, media_type, component and the names of the definition's metadata. A value becomes one
name: separators in it are replaced, and a slash in the template makes a folder. What is unknown is
`unknown`, a missing label `unlabelled`. A template must have key, node_id or number in it, so that
no two files meet.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import StringConstraints

from datasets.definition.definition import Definition
from datasets.layout.face import (
    UNLABELLED,
    DatasetRow,
    LayoutContext,
    LayoutEntry,
    component,
    data_path,
)
from datasets.layout.options import Options, option_problems, options_of

UNKNOWN = "unknown"
_OWN = ("split", "label", "key", "node_id", "number", "extension", "media_type", "component")
_UNIQUE = {"key", "node_id", "number"}


class TemplateOptions(Options):
    """See the module."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class TemplateLayout:
    """See the module."""

    layout_id = "template"
    summary = "a tree of your own, by layout.options.path"
    reads_bytes = False

    def check(self, definition: Definition) -> list[str]:
        """Refuse templates with unknown fields, and those that make no path of each file."""
        problems = option_problems(TemplateOptions, definition)
        if problems:
            return problems
        path = TemplateOptions.model_validate(definition.layout.options).path
        place = "layout.options.path"
        try:
            fields = [field for _, field, _, _ in _parsed(path) if field is not None]
            plain = [not (form or conversion) for _, _, form, conversion in _parsed(path)]
        except ValueError as error:
            return [f"{place}: {error}"]
        known = {*_OWN, *definition.metadata}
        problems += [
            f"{place}: there is no field {{{field}}}; there are {', '.join(sorted(known))}"
            for field in fields
            if field not in known
        ]
        if not all(plain):
            problems.append(f"{place}: a field is written {{name}}, without : or !")
        if not _UNIQUE & set(fields):
            problems.append(f"{place}: needs {{key}}, {{node_id}} or {{number}}, or files collide")
        if path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            problems.append(f"{place}: is relative, without empty parts, `.` and `..`")
        return problems

    def entries(self, rows: Iterable[DatasetRow], context: LayoutContext) -> Iterator[LayoutEntry]:
        """Yield one path per row."""
        parts = list(_parsed(options_of(TemplateOptions, context).path))
        for row in rows:
            values = _values(row)
            yield data_path(row, "".join(_piece(part, values) for part in parts))


def _parsed(path: str) -> Iterable[tuple[str, str | None, str | None, str | None]]:
    return string.Formatter().parse(path)


def _piece(part: tuple[str, str | None, str | None, str | None], values: Mapping[str, Any]) -> str:
    literal, field = part[0], part[1]
    if field is None:
        return literal
    value = values.get(field)
    return literal + component(UNKNOWN if value is None else str(value))


def _values(row: DatasetRow) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in _OWN}
    own["label"] = UNLABELLED if row.label is None else row.label
    return {**row.metadata, **own}


LAYOUT = TemplateLayout()
