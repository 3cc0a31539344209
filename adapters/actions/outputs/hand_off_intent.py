"""Outputs as write-intents: it owns what rows, children and edges of a part are in the database.

Pure, and the same for the same outputs. Large parts become several intents; all rows of one input
stay together, so that each intent supersedes what it replaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.actions.contract.templates import fields_of, render
from adapters.records.listing import quarantine_path
from adapters.records.values import clean
from sql import (
    Column,
    CommonMetadata,
    DeclaredTable,
    Edge,
    PhysicalNode,
    Relationship,
    ResultRow,
    SourceMetadata,
    SupersededResults,
    WriteIntent,
    canonical_json,
)

if TYPE_CHECKING:
    from adapters.actions.contract.contract import ActionContract
    from adapters.actions.contract.stage_model import StagedInput
    from adapters.actions.outputs.parse_outputs import ChildFile, Parsed

INTENT_ROWS_MAX = 200_000
TITLE_LENGTH_MAX = 4_096
SOURCE = "generated"

GENERATED = DeclaredTable(
    kind="source",
    name=SOURCE,
    version=1,
    comment="Nodes that actions made: by which action, version and parameters",
    columns=(
        Column(name="action", type="text", comment="Name of the action"),
        Column(name="action_version", type="integer", comment="Version of its contract"),
        Column(name="event_id", type="bigint", comment="The run (action_event) that made it"),
        Column(name="parameters", type="text", comment="The parameters as canonical JSON"),
        Column(name="parent_key", type="text", comment="Key of the input that it was made of"),
        Column(name="path", type="text", comment="Path below the program's output folder"),
    ),
)
"""The source of all children: what a scraper is to a raw node, an action is to a generated one."""


@dataclass(frozen=True, slots=True)
class Work:
    """Which work the outputs are of."""

    contract: ActionContract
    event_id: int
    part: int
    parameters: Mapping[str, Any]


@dataclass(slots=True)
class _Rows:
    physical: dict[str, PhysicalNode] = field(default_factory=dict[str, PhysicalNode])
    common: list[CommonMetadata] = field(default_factory=list[CommonMetadata])
    source: list[SourceMetadata] = field(default_factory=list[SourceMetadata])
    relationships: dict[str, bool] = field(default_factory=dict[str, bool])
    edges: dict[tuple[str, str, str], Edge] = field(
        default_factory=dict[tuple[str, str, str], Edge]
    )
    results: list[ResultRow] = field(default_factory=list[ResultRow])
    superseded: list[SupersededResults] = field(default_factory=list[SupersededResults])

    def __len__(self) -> int:
        return (
            len(self.physical) + len(self.common) + len(self.source) + len(self.edges)
            + len(self.results) + len(self.superseded)
        )  # fmt: skip


def has_results(contract: ActionContract) -> bool:
    """Tell whether any output of the contract becomes a row of its result table."""
    parser = contract.output_parser
    return parser is not None and any(output.results for output in parser.outputs)


def build_intents(
    work: Work,
    intent_id: str,
    mark: str,
    inputs: Sequence[StagedInput],
    parsed: Parsed,
    keys: Mapping[str, str],
    superseding: Iterable[int],
) -> Iterator[WriteIntent]:
    """Yield the intents, the last one with the id itself, the others with number and `mark` too.

    `keys` has those of the children by path; `superseding` the inputs whose former results of the
    same parameters count no more. An input whose child has its own bytes gets no edge to itself.
    """
    children: dict[int, list[ChildFile]] = {}
    for child in parsed.children:
        children.setdefault(child.node_id, []).append(child)
    replaced = set(superseding) if has_results(work.contract) else set[int]()
    rows, number = _Rows(), 0
    for item in sorted(inputs, key=lambda item: item.node_id):
        if len(rows) >= INTENT_ROWS_MAX:
            number += 1
            yield _intent(work, f"{intent_id}:{number}{mark}", rows)
            rows = _Rows()
        if item.node_id in replaced:
            rows.superseded.append(
                SupersededResults(
                    action=work.contract.name, key=item.key, action_event_id=work.event_id
                )
            )
        for values in parsed.rows.get(item.node_id, ()):
            rows.results.append(
                ResultRow(
                    action=work.contract.name,
                    key=item.key,
                    action_event_id=work.event_id,
                    values=values,
                )
            )
        for child in children.get(item.node_id, ()):
            if keys[child.path] != item.key:
                _add_child(rows, work, item, child, keys[child.path])
    yield _intent(work, intent_id, rows)


def _add_child(rows: _Rows, work: Work, item: StagedInput, child: ChildFile, key: str) -> None:
    rule = child.rule
    rows.physical.setdefault(
        key, PhysicalNode(key=key, size_bytes=child.size_bytes, extension=child.extension)
    )
    rows.common.append(
        CommonMetadata(
            key=key,
            source=SOURCE,
            is_raw=False,
            is_root=rule.is_root and not rule.attachment,
            title=_title(work, item, child),
        )
    )
    values = {
        "action": work.contract.name,
        "action_version": work.contract.version,
        "event_id": work.event_id,
        "parameters": canonical_json(dict(work.parameters)),
        "parent_key": item.key,
        "path": quarantine_path(child.path),
    }
    rows.source.append(SourceMetadata(key=key, source=SOURCE, values=values))
    rows.relationships[rule.relationship] = rule.forms_tree
    edge = Edge(
        parent=item.key,
        child=key,
        relationship=rule.relationship,
        position=child.position,
        action_id=work.contract.action_id,
    )
    rows.edges.setdefault((item.key, key, rule.relationship), edge)


def _title(work: Work, item: StagedInput, child: ChildFile) -> str | None:
    if child.rule.title is None:
        return None
    fields: dict[str, Any] = {
        name: value
        for name, value in child.fields.items()
        if value is None or isinstance(value, (str, int, float))
    }
    fields |= {f"parameters.{name}": value for name, value in work.parameters.items()}
    fields |= {
        "part": work.part,
        "position": child.position,
        "node.key": item.key,
        "node.node_id": item.node_id,
        "node.size_bytes": item.size_bytes,
        "node.extension": item.extension,
        "node.media_type": item.media_type,
    }
    # A record that lacks a field has an empty piece in its title.
    for name in fields_of(child.rule.title):
        fields.setdefault(name, None)
    return clean(render(child.rule.title, fields))[:TITLE_LENGTH_MAX] or None


def _intent(work: Work, intent_id: str, rows: _Rows) -> WriteIntent:
    return WriteIntent(
        intent_id=intent_id,
        physical_nodes=tuple(rows.physical.values()),
        common_metadata=tuple(rows.common),
        source_metadata=tuple(rows.source),
        relationships=tuple(
            Relationship(description=name, forms_tree=forms_tree, action_id=work.contract.action_id)
            for name, forms_tree in sorted(rows.relationships.items())
        ),
        edges=tuple(rows.edges.values()),
        results=tuple(rows.results),
        superseded_results=tuple(rows.superseded),
    )
