"""Reading what a program wrote: it owns what each file and record becomes, or why it is set aside.

    listing -> files matched to outputs -> records -> input, values, child

One bad file or record costs itself; the good rest goes on. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from adapters.actions.outputs.content import extension_by_content
from adapters.actions.outputs.match import (
    InputNames,
    field_of,
    glob_pattern,
    match_groups,
    path_fields,
    shown,
)
from adapters.actions.outputs.parse_labels import read_coco, read_label_studio, read_yolo
from adapters.actions.outputs.parse_readers import (
    WHOLE_FILE,
    Found,
    Reader,
    read_csv,
    read_file,
    read_json,
    read_json_lines,
)
from adapters.actions.outputs.parse_values import INTEGER_MAX, row_values
from adapters.actions.outputs.tree import OutputTree, leave_out_own, list_outputs
from adapters.records.errors import LimitError, RecordError
from sql import canonical_json

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ActionContract, ChildRule, Output
    from adapters.actions.contract.stage_model import StagedInput

RECORDS_MAX = 2_000_000
"""Records of one part, good and bad: an intent of so many rows takes two minutes to apply."""

READERS: dict[str, Reader] = {
    "file": read_file,
    "file_name": read_file,
    "json": read_json,
    "jsonl": read_json_lines,
    "csv": read_csv,
    "coco": read_coco,
    "label_studio": read_label_studio,
    "yolo": read_yolo,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """What was set aside: a file (number -1) or one record of it."""

    path: str
    number: int
    reason: str
    node_id: int | None = None
    harmless: bool = False
    """Its input is done all the same: only something superfluous was refused."""


@dataclass(frozen=True, slots=True)
class ChildFile:
    """A file that becomes a node below its input."""

    node_id: int
    path: str
    extension: str
    size_bytes: int
    rule: ChildRule
    position: int | None
    fields: Mapping[str, Any]
    """What the record and the file's name say, for the title."""


@dataclass(slots=True)
class Parsed:
    """All that the outputs of one part say."""

    tree: OutputTree
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict[int, list[dict[str, Any]]])
    """Result rows by input, in the order in which they were read."""
    children: list[ChildFile] = field(default_factory=list[ChildFile])
    seen: set[int] = field(default_factory=set[int])
    """Inputs that some good record is about."""
    troubles: list[Trouble] = field(default_factory=list[Trouble])
    named: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    """The file that a record of `troubles` names as its child: it is kept with the record."""
    refused: dict[int, Trouble] = field(default_factory=dict[int, Trouble])
    """Inputs of which nothing is taken, for their children are too large."""
    ignored: int = 0
    records: int = 0


def parse_outputs(
    contract: ActionContract,
    inputs: Sequence[StagedInput],
    input_root: str,
    output_root: str,
    extensions: Collection[str],
    wanted: Callable[[str, int], bool] = lambda _path, _number: True,
) -> Parsed:
    """Read an output folder by its contract; `extensions` are those that a child may have.

    `wanted` chooses records by path and number; the others are as if they were not there.

    Files are read in the order of their paths, so that the same tree gives the same rows. Raises
    LimitError when there is more than the limits allow; then nothing of it can be taken.
    """
    tree = list_outputs(output_root)
    leave_out_own(tree, inputs)
    reading = _Reading(contract, InputNames(inputs, input_root), tree)
    reading.extensions, reading.wanted = extensions, wanted
    for path in sorted(reading.tree.files):
        reading.take_file(path)
    reading.finish()
    return reading.parsed


class _Good(NamedTuple):
    """A record that was understood as a whole."""

    node_id: int
    number: int
    row: dict[str, Any] | None
    child: ChildFile | None


class _Reading:
    """One reading of one tree."""

    def __init__(self, contract: ActionContract, names: InputNames, tree: OutputTree) -> None:
        assert contract.output_parser is not None
        self.tree, self.parsed = tree, Parsed(tree)
        self.extensions: Collection[str] = ()
        self.wanted: Callable[[str, int], bool] = lambda _path, _number: True
        self._contract, self._parser, self._names = contract, contract.output_parser, names
        self._ignore = [glob_pattern(glob) for glob in self._parser.ignore]
        self._said: dict[int, set[bytes]] = {}
        self._unmatched: list[str] = []
        self._claimed: set[str] = {
            output.class_names for output in self._parser.outputs if output.class_names
        }

    def take_file(self, path: str) -> None:
        if any(pattern.fullmatch(path) for pattern in self._ignore):
            self.parsed.ignored += 1
            return
        for output in self._parser.outputs:
            groups = match_groups(output, path)
            if groups is not None:
                self._take_output(output, path, groups)
                return
        self._unmatched.append(path)

    def finish(self) -> None:
        """Set aside what nothing claimed."""
        for path in self._unmatched:
            if path not in self._claimed:
                self._trouble(path, WHOLE_FILE, "no output of the contract means this file")
        for path, reason in sorted(self.tree.odd.items()):
            if not any(pattern.fullmatch(path) for pattern in self._ignore):
                self._trouble(path, WHOLE_FILE, reason)

    def _take_output(self, output: Output, path: str, groups: dict[str, str]) -> None:
        about = {**path_fields(path), **groups}
        good: list[_Good] = []
        try:
            for found in READERS[output.format](self.tree, path, output):
                self._count()
                if self.wanted(path, found.number) and (
                    record := self._take_record(output, path, about, found)
                ):
                    good.append(record)
        except RecordError as error:
            if self.parsed.records > RECORDS_MAX:
                raise
            # Nothing of the file counts, so that a replay can take all of it.
            self._trouble(path, WHOLE_FILE, str(error))
        else:
            for record in good:
                self._keep(path, record)

    def _count(self) -> None:
        self.parsed.records += 1
        if self.parsed.records > RECORDS_MAX:
            raise LimitError(f"the outputs hold more than {RECORDS_MAX:,} records")

    def _take_record(
        self, output: Output, path: str, about: dict[str, str], found: Found
    ) -> _Good | None:
        if isinstance(found.fields, RecordError):
            self._trouble(path, found.number, str(found.fields))
            return None
        fields: dict[str, Any] = {**about, **found.fields}
        node_id: int | None = None
        try:
            node_id = self._names.find(output.input, fields)
            row: dict[str, Any] | None = None
            child: ChildFile | None = None
            if output.results and not found.empty:
                columns = self._contract.result_schema
                row = row_values(output.results, columns, fields, from_text=found.from_text)
            if output.child is not None and not found.empty:
                child = self._child(output, path, found.number, fields, node_id)
        except RecordError as error:
            self._trouble(path, found.number, str(error), node_id)
            return None
        return _Good(node_id, found.number, row, child)

    def _keep(self, path: str, record: _Good) -> None:
        node_id, number, row, child = record
        self.parsed.seen.add(node_id)
        if child is not None:
            self.parsed.children.append(child)
        if row is None:
            return
        said = blake2b(canonical_json(row).encode(), digest_size=16).digest()
        if said in self._said.setdefault(node_id, set()):
            reason = "the same row about the same input was read before"
            self._trouble(path, number, reason, node_id, harmless=True)
        else:
            self._said[node_id].add(said)
            self.parsed.rows.setdefault(node_id, []).append(row)

    def _child(
        self, output: Output, path: str, number: int, fields: dict[str, Any], node_id: int
    ) -> ChildFile:
        rule, record = output.child, (path, number)
        assert rule is not None
        if output.child_path is not None:
            path = self._named_file(field_of(fields, output.child_path), path)
            self._claimed.add(path)
            self.parsed.named[record] = path
        listed = self.tree.files[path]
        with self.tree.open(path) as file:
            extension = extension_by_content(path, file, listed.size_bytes)
        if extension not in self.extensions:
            named = f"'.{extension}'" if extension else "a name without extension"
            raise RecordError(f"{named} is no image, video, sound or text")
        position = None if rule.position is None else _position(field_of(fields, rule.position))
        self.parsed.named.pop(record, None)
        return ChildFile(
            node_id, path, extension, listed.size_bytes, rule, position,
            {**fields, **{f"file.{name}": text for name, text in path_fields(path).items()}},
        )  # fmt: skip

    def _named_file(self, value: Any, record_path: str) -> str:
        """Return the listed file that a record names: from the output folder on, or beside it."""
        if not isinstance(value, str) or not value or "\0" in value:
            raise RecordError("it names no file that could be its child")
        root = self.tree.root.rstrip("/") + "/"
        name = value.removeprefix(root)
        if name.startswith("/") or ".." in name.split("/"):
            raise RecordError(f"{shown(value)!r} leads out of the output folder")
        folder = record_path.rpartition("/")[0]
        for candidate in (name, f"{folder}/{name}" if folder else name):
            path = os.path.normpath(candidate)
            if path in self.tree.files:
                return path
            if path in self.tree.odd:
                raise RecordError(f"{shown(value)!r} is {self.tree.odd[path]}")
        raise RecordError(f"the file {shown(value)!r} is not there")

    def _trouble(
        self,
        path: str,
        number: int,
        reason: str,
        node_id: int | None = None,
        *,
        harmless: bool = False,
    ) -> None:
        self.parsed.troubles.append(Trouble(path, number, reason, node_id, harmless))


def _position(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 11:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= INTEGER_MAX:
        raise RecordError(f"{shown(value)!r} is no position: 0, 1, 2, ...")
    return value
