"""Sidecars and listings: it owns what stands in the small files that programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.actions.contract.contract import ActionContract, Listing, Sidecar
from adapters.actions.contract.stage_context import Fields
from adapters.actions.contract.templates import Renderer, Value, renderer, text_of, valuer

# How Label Studio names what is shown.
_SHOWN_AS = {"image": "image", "video": "video", "sound": "audio", "text": "text"}

_Valuer = Callable[[Mapping[str, Value]], Value]

# Made once: json.dumps would build an encoder for each of 50,000 sidecars.
_json = json.JSONEncoder(ensure_ascii=False).encode


def sidecar_writer(sidecar: Sidecar) -> Renderer:
    """Return what makes the text of one sidecar out of an input's fields."""
    content = sidecar.content
    if isinstance(content, str):
        return renderer(content)
    if sidecar.format == "csv":
        header, values = list(content), [valuer(str(value)) for value in content.values()]
        return lambda fields: _csv(header, [[text_of(value(fields)) for value in values]])
    write = json_writer(content)
    return lambda fields: write(fields) + "\n"


def json_writer(content: Any) -> Renderer:
    """Return what makes JSON of a value whose texts are templates; one field keeps its type.

    Only the fields are encoded each time: what stands around them is the same in every file.
    """
    form: list[str] = []
    leaves: list[_Valuer] = []
    _add(content, form, leaves)
    text = "".join(form)
    return lambda fields: text % tuple([_leaf(leaf(fields)) for leaf in leaves])


def _add(
    content: Any, form: list[str], leaves: list[Callable[[Mapping[str, Value]], Value]]
) -> None:
    """Add a value to the text, `%s` in the place of each template."""
    if isinstance(content, str):
        form.append("%s")
        leaves.append(valuer(content))
    elif isinstance(content, Mapping):
        items: Iterable[tuple[str, Any]] = content.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        form.append("{")
        for place, (name, value) in enumerate(items):
            # A name need not be text in YAML, and is in JSON.
            named = _json({name: None}).removeprefix("{").removesuffix("null}")
            form.append((", " if place else "") + named.replace("%", "%%"))
            _add(value, form, leaves)
        form.append("}")
    elif isinstance(content, list | tuple):
        values: Iterable[Any] = content  # pyright: ignore[reportUnknownVariableType]
        form.append("[")
        for place, value in enumerate(values):
            form.append(", " if place else "")
            _add(value, form, leaves)
        form.append("]")
    else:
        form.append(_json(content).replace("%", "%%"))


def _leaf(value: Value) -> str:
    return str(value) if type(value) is int else _json(value)


class ListingText:
    """One listing file, filled input by input."""

    def __init__(self, listing: Listing, contract: ActionContract) -> None:
        self.listing = listing
        self._contract = contract
        self._records: list[str] = []
        self._rows: list[list[str]] = []
        self._line = renderer(listing.line or "") if listing.format == "txt" else None
        self._columns = [valuer(text) for text in listing.columns.values()]
        self._writers: dict[str, Renderer] = {}

    def add(self, fields: Fields) -> None:
        """Take the next input."""
        if self._line is not None:
            line = self._line(fields)
            # One input, one line: a line break in a title would be two.
            self._records.append(line if line.isprintable() else " ".join(line.splitlines()))
        elif self.listing.format == "csv":
            self._rows.append([text_of(column(fields)) for column in self._columns])
        else:
            self._records.append(self._writer(fields)(fields))

    def text(self) -> str:
        """Return the whole file."""
        form, records = self.listing.format, self._records
        if form == "csv":
            return _csv(self.listing.columns, self._rows)
        if form in ("txt", "jsonl"):
            return "".join(record + "\n" for record in records)
        if form == "coco":
            task = self._contract.label_task
            categories = [
                {"id": number, "name": name}
                for number, name in enumerate(task.classes if task else (), 1)
            ]
            images = ", ".join(records)
            rest = f'"annotations": [], "categories": {_json(categories)}'
            return f'{{"images": [{images}], {rest}}}\n'
        return "[\n" + ",\n".join(records) + "\n]\n"

    def _writer(self, fields: Fields) -> Renderer:
        """Return what writes a record; of Label Studio's there is one for each kind of media."""
        form, shown = self.listing.format, ""
        if form == "label_studio":
            shown = _SHOWN_AS.get(text_of(fields["node.media_type"]), "text")
        if shown not in self._writers:
            columns: dict[str, Any] = dict(self.listing.columns)
            if form == "coco":
                columns = {"id": "{node.node_id}", "file_name": "{file.path}", **columns}
            elif form == "label_studio":
                data = {shown: "{file.path}", "key": "{node.key}", **columns}
                columns = {"id": "{node.node_id}", "data": data}
            self._writers[shown] = json_writer(columns)
        return self._writers[shown]


def _csv(header: Iterable[str], rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
