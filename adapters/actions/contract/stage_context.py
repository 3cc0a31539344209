"""What templates may say about the inputs of a part: it owns asking for it in bulk, by chunks.

Only what the contract's templates name is asked for: without `metadata.` in any of them there is
no question about metadata.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from adapters.actions.contract.contract import ActionContract, Relatives, StageLayout
from adapters.actions.contract.stage_model import LeftOut
from adapters.actions.contract.templates import Value, fields_of
from sql import NodeContext, NodeMetadata

if TYPE_CHECKING:
    from sql import Database

CHUNK_NODES = 2_500
"""So many nodes are asked about with one statement each."""

Fields = dict[str, Value]

_NODE_FIELDS = ("key", "node_id", "extension", "media_type", "size_bytes", "description")
_OF_FORM = {
    "coco": ("{node.node_id}", "{file.path}"),
    "label_studio": ("{node.node_id}", "{node.key}", "{node.media_type}", "{file.path}"),
}
"""What a listing of these forms names by itself."""
_NONE: dict[int, list[NodeContext]] = {}
_NO_METADATA = NodeMetadata("", None, None, None, None, None, None)


class Input(NamedTuple):
    """One input with the fields of its templates, and the relatives that lie beside it.

    `relatives` are by the place of the file among those of the layout.
    """

    node: NodeContext
    fields: Fields
    relatives: Mapping[int, list[NodeContext]]


def inputs_of(
    database: Database,
    contract: ActionContract,
    part: int,
    node_ids: Sequence[int],
    parameters: dict[str, Any],
    left_out: list[LeftOut],
) -> Iterator[Input]:
    """Yield the inputs of a part in the order of the ids; what cannot be staged is left out."""
    layout = contract.stage_layout
    assert layout is not None
    needed = _needed_fields(layout)
    specs = {n: file.of for n, file in enumerate(layout.files) if isinstance(file.of, Relatives)}
    common: Fields = {"part": part, **parameter_fields(parameters)}
    fill = _Filler(needed)
    index = 0
    for ids, chunk in _asked(database, node_ids, fill, specs):
        for node_id in ids:
            node = chunk.nodes.get(node_id)
            reason = "not in the database" if node is None else node.hidden
            if node is None or reason:
                left_out.append(LeftOut(node_id, reason))
                continue
            fields = common.copy()
            fields["index"] = index
            fill.add(fields, node, chunk)
            yield Input(node, fields, chunk.relatives_of(node_id))
            index += 1


def _asked(
    database: Database, node_ids: Sequence[int], fill: _Filler, specs: dict[int, Relatives]
) -> Iterator[tuple[Sequence[int], _Chunk]]:
    """Yield the ids chunk by chunk with what the database says; the next is asked meanwhile."""
    chunks = [node_ids[n : n + CHUNK_NODES] for n in range(0, len(node_ids), CHUNK_NODES)]
    with ThreadPoolExecutor(1, "ask") as thread:
        ahead = deque[Future[_Chunk]]()
        for number, ids in enumerate(chunks):
            for following in chunks[number + len(ahead) : number + 2]:
                ahead.append(thread.submit(_Chunk.ask, database, following, fill, specs))
            yield ids, ahead.popleft().result()


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What the database said about some nodes."""

    nodes: dict[int, NodeContext]
    metadata: dict[int, NodeMetadata]
    parents: dict[int, list[NodeContext]]
    relatives: dict[int, dict[int, list[NodeContext]]]

    @classmethod
    def ask(
        cls, database: Database, ids: Sequence[int], fill: _Filler, specs: dict[int, Relatives]
    ) -> _Chunk:
        ask = database.action_context
        return cls(
            ask.nodes(ids),
            ask.metadata(ids) if fill.metadata else {},
            ask.relatives(ids, "parent", files_only=False) if fill.parent else {},
            {
                place: ask.relatives(ids, spec.side, spec.relationship, spec.media_type)
                for place, spec in specs.items()
            },
        )

    def relatives_of(self, node_id: int) -> Mapping[int, list[NodeContext]]:
        """Return the relatives of one node, by place."""
        if not self.relatives:
            return _NONE
        return {place: found.get(node_id, []) for place, found in self.relatives.items()}


class _Filler:
    """Fills in those fields that some template names, and no others: there are 50,000 inputs."""

    def __init__(self, needed: set[str]) -> None:
        self.node = _places(needed, "node", NodeContext._fields)
        self.metadata = _places(needed, "metadata", NodeMetadata._fields)
        self.parent = _places(needed, "parent", NodeContext._fields)

    def add(self, fields: Fields, node: NodeContext, chunk: _Chunk) -> None:
        """Add the fields of one input."""
        for name, place in self.node:
            fields[name] = node[place]
        if self.metadata:
            said = chunk.metadata.get(node.node_id, _NO_METADATA)
            for name, place in self.metadata:
                fields[name] = said[place]
        if self.parent:
            parents = chunk.parents.get(node.node_id)
            for name, place in self.parent:
                fields[name] = parents[0][place] if parents else None


def _places(needed: set[str], group: str, columns: Sequence[str]) -> list[tuple[str, int]]:
    """Return the needed fields of a group, and the column of each."""
    return [
        (f"{group}.{column}", place)
        for place, column in enumerate(columns)
        if f"{group}.{column}" in needed
    ]


def templates_of(layout: StageLayout) -> Iterator[str]:
    """Yield every template of a layout that may name a field of an input."""
    for file in layout.files:
        yield file.path
    for sidecar in layout.sidecars:
        yield sidecar.path
        yield from texts_in(sidecar.content)
    for listing in layout.listings:
        yield from [*([listing.line] if listing.line else []), *listing.columns.values()]
        yield from _OF_FORM.get(listing.format, ())


def texts_in(content: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        for value in content.values():  # pyright: ignore[reportUnknownVariableType]
            yield from texts_in(value)
    elif isinstance(content, list | tuple):
        for value in content:  # pyright: ignore[reportUnknownVariableType]
            yield from texts_in(value)


def parameter_fields(parameters: dict[str, Any]) -> Fields:
    """Return parameters as fields of templates."""
    return {f"parameters.{name}": value for name, value in parameters.items()}


def node_fields(name: str, node: NodeContext) -> Fields:
    """Return the fields of a node under a name."""
    return {f"{name}.{field}": getattr(node, field) for field in _NODE_FIELDS}


def add_file_fields(fields: Fields, path: str, *, named: bool) -> None:
    """Add the fields of a staged file by its relative path; its name and stem where `named`."""
    fields["file.path"] = path
    if named:
        name = path.rpartition("/")[2]
        fields["file.name"], fields["file.stem"] = name, os.path.splitext(name)[0]


def names_files(layout: StageLayout) -> bool:
    """Tell whether a template names more of a file than its path."""
    return bool(_needed_fields(layout) & {"file.name", "file.stem"})


def _needed_fields(layout: StageLayout) -> set[str]:
    """Return the fields that some template names."""
    return {name for text in templates_of(layout) for name in fields_of(text)}
