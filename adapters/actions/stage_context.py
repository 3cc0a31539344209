"""What templates may say about the inputs of a part: it owns asking for it in bulk, by chunks.

Only what the contract's templates name is asked for: without `metadata.` in any of them there is
no question about metadata.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.actions.contract import ActionContract, Relatives, StageLayout
from adapters.actions.stage_model import LeftOut
from adapters.actions.templates import Value, fields_of
from sql import NodeContext, NodeMetadata

if TYPE_CHECKING:
    from sql import Database

CHUNK_NODES = 5_000
"""So many nodes are asked about with one statement each."""

Fields = dict[str, Value]

_NODE_FIELDS = ("key", "node_id", "extension", "media_type", "size_bytes", "description")
_NO_METADATA = NodeMetadata("", None, None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Input:
    """One input with the fields of its templates, and the relatives that lie beside it."""

    node: NodeContext
    fields: Fields
    relatives: dict[int, list[NodeContext]] = field(default_factory=dict[int, list[NodeContext]])
    """By the place of the file among those of the layout."""


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
    needed = {name.partition(".")[0] for text in templates_of(layout) for name in fields_of(text)}
    specs = {n: file.of for n, file in enumerate(layout.files) if isinstance(file.of, Relatives)}
    common: Fields = {"part": part, **parameter_fields(parameters)}
    index = 0
    for first in range(0, len(node_ids), CHUNK_NODES):
        ids = node_ids[first : first + CHUNK_NODES]
        chunk = _Chunk.ask(database, ids, needed, specs)
        for node_id in ids:
            node = chunk.nodes.get(node_id)
            reason = "not in the database" if node is None else node.hidden
            if node is None or reason:
                left_out.append(LeftOut(node_id, reason))
                continue
            yield Input(
                node,
                {"index": index, **common, **chunk.fields(node)},
                {place: found.get(node_id, []) for place, found in chunk.relatives.items()},
            )
            index += 1


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What the database said about some nodes."""

    nodes: dict[int, NodeContext]
    metadata: dict[int, NodeMetadata] | None
    parents: dict[int, list[NodeContext]] | None
    relatives: dict[int, dict[int, list[NodeContext]]]

    @classmethod
    def ask(
        cls, database: Database, ids: Sequence[int], needed: set[str], specs: dict[int, Relatives]
    ) -> _Chunk:
        ask = database.action_context
        return cls(
            ask.nodes(ids),
            ask.metadata(ids) if "metadata" in needed else None,
            ask.relatives(ids, "parent", files_only=False) if "parent" in needed else None,
            {
                place: ask.relatives(ids, spec.side, spec.relationship, spec.media_type)
                for place, spec in specs.items()
            },
        )

    def fields(self, node: NodeContext) -> Fields:
        fields = node_fields("node", node)
        if self.metadata is not None:
            said = self.metadata.get(node.node_id, _NO_METADATA)
            fields |= {f"metadata.{name}": value for name, value in said._asdict().items()}
        if self.parents is not None:
            parents = self.parents.get(node.node_id)
            fields |= node_fields("parent", parents[0] if parents else None)
        return fields


def templates_of(layout: StageLayout) -> Iterator[str]:
    """Yield every template of a layout that may name a field of an input."""
    for file in layout.files:
        yield file.path
    for sidecar in layout.sidecars:
        yield sidecar.path
        yield from texts_in(sidecar.content)
    for listing in layout.listings:
        yield from [*([listing.line] if listing.line else []), *listing.columns.values()]


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


def node_fields(name: str, node: NodeContext | None) -> Fields:
    """Return the fields of a node under a name; all empty without one."""
    values = node[:6] if node else (None,) * 6
    node_id, key, size_bytes, extension, media_type, description = values
    ordered = (key, node_id, extension, media_type, size_bytes, description)
    return {f"{name}.{field}": value for field, value in zip(_NODE_FIELDS, ordered, strict=True)}


def file_fields(path: str) -> Fields:
    """Return the fields of a staged file by its relative path."""
    name = os.path.basename(path)
    return {"file.path": path, "file.name": name, "file.stem": os.path.splitext(name)[0]}
