"""Which output is about which input: it owns globs, regular expressions and names. Pure.

`*` and `?` stop at `/`; `**` as a whole part stands for any number of folders, none included.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from adapters.records.errors import RecordError
from base.text import safe_text

if TYPE_CHECKING:
    from adapters.actions.contract.contract import InputMatch, Output
    from adapters.actions.contract.stage_model import StagedInput

SHOWN_LENGTH_MAX = 120
_MISSING = object()


@functools.cache
def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the regular expression that matches the relative paths a glob means."""
    parts = glob.strip("/").split("/")
    text = ""
    for place, part in enumerate(parts):
        last = place == len(parts) - 1
        if part == "**":
            text += ".*" if last else "(?:[^/]+/)*"
        else:
            text += _part_pattern(part) + ("" if last else "/")
    return re.compile(text, re.DOTALL)


def _part_pattern(part: str) -> str:
    wild = {"*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(character) or re.escape(character) for character in part)


def match_groups(output: Output, path: str) -> dict[str, str] | None:
    """Return the named groups of a path that the output means, or None when it does not."""
    if not glob_pattern(output.glob).fullmatch(path):
        return None
    if output.regex is None:
        return {}
    found = re.compile(output.regex, re.DOTALL).fullmatch(path)
    if found is None:
        return None
    return {name: value for name, value in found.groupdict().items() if value is not None}


def path_fields(path: str) -> dict[str, str]:
    """Return what every output knows of its file: its path, name and stem."""
    name = path.rpartition("/")[2]
    return {"path": path, "name": name, "stem": os.path.splitext(name)[0]}


def field_of(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field, or the one that a dotted name leads to; None when there is none."""
    value = look_up(fields, name)
    return None if value is _MISSING else value


def has_field(fields: Mapping[str, Any], name: str) -> bool:
    """Tell whether there is such a field, be it null."""
    return look_up(fields, name) is not _MISSING


def look_up(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field by its whole name or by its dotted one; a marker when there is none."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if isinstance(value, Mapping) and part in value:
            value = cast("Mapping[str, Any]", value)[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(cast(Any, value)):
            value = cast("list[Any]", value)[int(part)]
        else:
            return _MISSING
    return value


def shown(value: object) -> str:
    """Return a value out of a program's output as short printable text."""
    text = safe_text(str(value))
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "..."


class InputNames:
    """The inputs of a part by all names that a program may use for them."""

    def __init__(self, inputs: Sequence[StagedInput], input_root: str) -> None:
        self._inputs = inputs
        self._roots = (input_root.rstrip("/") + "/", os.path.realpath(input_root) + "/")
        self._known: dict[str, dict[str, int | None]] = {}

    def find(self, match: InputMatch, fields: Mapping[str, Any]) -> int:
        """Return the node that a record is about; RecordError when it names none, or two."""
        value = field_of(fields, match.field)
        if value is None or isinstance(value, (dict, list, bool, float)):
            raise RecordError(f"the field {match.field!r}, which names the input, is missing")
        text = str(value)
        if match.equals == "key":
            text = text.lower()
        elif match.equals == "path":
            text = self._relative(text)
        names = self._names(match.equals)
        if text not in names:
            raise RecordError(
                f"{match.field} is {shown(value)!r}, which is the {match.equals} of no input"
            )
        node_id = names[text]
        if node_id is None:
            raise RecordError(
                f"{match.field} is {shown(value)!r}, the {match.equals} of several inputs"
            )
        return node_id

    def _relative(self, text: str) -> str:
        """Programs may name inputs by their absolute path."""
        for root in self._roots:
            if text.startswith(root):
                return text.removeprefix(root)
        return text.removeprefix("./")

    def _names(self, equals: str) -> dict[str, int | None]:
        if equals not in self._known:
            names: dict[str, int | None] = {}
            for item in self._inputs:
                name = _name_of(item, equals)
                same = names.setdefault(name, item.node_id) == item.node_id
                names[name] = item.node_id if same else None
            self._known[equals] = names
        return self._known[equals]


def _name_of(item: StagedInput, equals: str) -> str:
    if equals == "key":
        return item.key
    if equals == "node_id":
        return str(item.node_id)
    fields = path_fields(item.path)
    return {"path": item.path, "file_name": fields["name"], "stem": fields["stem"]}[equals]
