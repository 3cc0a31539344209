"""Sidecars and listings: it owns what stands in the small files that programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from adapters.actions.contract import ActionContract, Listing, Sidecar
from adapters.actions.stage_context import Fields
from adapters.actions.templates import Value, render, text_of, value_of

# How Label Studio names what is shown.
_SHOWN_AS = {"image": "image", "video": "video", "sound": "audio", "text": "text"}


def sidecar_text(sidecar: Sidecar, fields: Fields) -> str:
    """Return the text of one sidecar."""
    content = sidecar.content
    if isinstance(content, str):
        return render(content, fields)
    if sidecar.format == "csv":
        return _csv(content, [[text_of(value_of(str(v), fields)) for v in content.values()]])
    return _json(_filled(content, fields)) + "\n"


def _filled(content: Any, fields: Fields) -> Any:
    """Return a JSON value whose texts are filled in; one that is a single field keeps its type."""
    if isinstance(content, str):
        return value_of(content, fields)
    if isinstance(content, dict):
        items: Iterable[tuple[str, Any]] = content.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        return {name: _filled(value, fields) for name, value in items}
    if isinstance(content, list | tuple):
        values: Iterable[Any] = content  # pyright: ignore[reportUnknownVariableType]
        return [_filled(value, fields) for value in values]
    return content


class ListingText:
    """One listing file, filled input by input."""

    def __init__(self, listing: Listing, contract: ActionContract) -> None:
        self.listing = listing
        self._contract = contract
        self._lines: list[str] = []
        self._records: list[dict[str, Any]] = []

    def add(self, fields: Fields) -> None:
        """Take the next input."""
        if self.listing.line is not None:
            # One input, one line: a line break in a title would be two.
            self._lines.append(" ".join(render(self.listing.line, fields).splitlines()))
            return
        columns = {name: value_of(text, fields) for name, text in self.listing.columns.items()}
        self._records.append(_record(self.listing.format, columns, fields))

    def text(self) -> str:
        """Return the whole file."""
        form, records = self.listing.format, self._records
        if form == "txt":
            return "".join(line + "\n" for line in self._lines)
        if form == "csv":
            rows = [[text_of(value) for value in record.values()] for record in records]
            return _csv(self.listing.columns, rows)
        if form == "jsonl":
            return "".join(_json(record) + "\n" for record in records)
        if form == "coco":
            task = self._contract.label_task
            categories = [
                {"id": number, "name": name}
                for number, name in enumerate(task.classes if task else (), 1)
            ]
            body = {"images": records, "annotations": [], "categories": categories}
            return _json(body) + "\n"
        return "[\n" + ",\n".join(map(_json, records)) + "\n]\n"


def _record(form: str, columns: dict[str, Value], fields: Fields) -> dict[str, Any]:
    if form == "coco":
        own = {"id": fields["node.node_id"], "file_name": fields["file.path"]}
        return {**own, **columns}
    if form == "label_studio":
        shown = _SHOWN_AS.get(text_of(fields["node.media_type"]), "text")
        data = {shown: fields["file.path"], "key": fields["node.key"], **columns}
        return {"id": fields["node.node_id"], "data": data}
    return columns


# Made once: json.dumps would build an encoder for each of 50,000 sidecars.
_json = json.JSONEncoder(ensure_ascii=False).encode


def _csv(header: Iterable[str], rows: Iterable[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
