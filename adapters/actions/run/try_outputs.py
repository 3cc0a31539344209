"""A trial of a contract over canned outputs: what they would become. Nothing is stored or applied.

The parser, the limits and the intent are those of the hand-off; only the store and the database are
left out. Keys of children are computed from their files, as the store would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from adapters.actions.contract.parameters import checked_parameters
from adapters.actions.outputs.children import batch_name, check_children
from adapters.actions.outputs.hand_off import figures_of, intent_id_of, outcomes_of, report_of
from adapters.actions.outputs.hand_off_intent import Work, build_intents
from adapters.actions.outputs.parse_outputs import Parsed, parse_outputs
from adapters.records.errors import LimitError
from adapters.records.listing import quarantine_path
from base.errors import UsageError
from sql import NodeOutcome, default_file_extensions

if TYPE_CHECKING:
    from adapters.actions.contract.check import LoadedContract
    from adapters.actions.contract.stage_model import StagedInput
    from adapters.actions.outputs.hand_off import HandOffReport

READ_BYTES = 1 << 20
EVENT, PART = 1, 0
"""They stand for the numbers that a run would have."""


class Tried(BaseModel):
    """What outputs would become. JSON-able by `model_dump(mode="json")`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    report: dict[str, Any]
    outcomes: tuple[dict[str, Any], ...]
    """Of every input: node_id, path, outcome, reason, and how many rows and children it has."""
    rows: tuple[dict[str, Any], ...] = ()
    """Result rows: node_id and values."""
    children: tuple[dict[str, Any], ...] = ()
    set_aside: tuple[dict[str, Any], ...] = ()
    intents: tuple[dict[str, Any], ...] = ()
    """The write-intents, the last one is the commit point."""


def try_outputs(
    loaded: LoadedContract,
    inputs: Sequence[StagedInput],
    input_root: str,
    output_root: str,
    parameters: Mapping[str, Any] | None = None,
    extensions: Collection[str] | None = None,
) -> Tried:
    """Read an output folder by a contract and return what it would become.

    `extensions` are those that a child may have, by default those of a new database. UsageError
    for a contract that reads no outputs.
    """
    contract = loaded.contract
    if contract.output_parser is None:
        raise UsageError(
            f"action {contract.name} ({contract.type}) reads no outputs: nothing to try"
        )
    work = Work(contract, EVENT, PART, checked_parameters(contract, dict(parameters or {})))
    known = default_file_extensions() if extensions is None else extensions
    try:
        parsed = parse_outputs(contract, inputs, input_root, output_root, known)
        check_children(loaded, inputs, parsed)
    except LimitError as error:
        outcomes = [
            NodeOutcome(node_id=item.node_id, outcome="failed", reason=str(error))
            for item in inputs
        ]
        report = report_of(EVENT, PART, outcomes).model_copy(update={"reason": str(error)})
        return Tried(report=_plain(report), outcomes=_told(inputs, outcomes, None))
    outcomes = outcomes_of(contract, inputs, parsed)
    report = report_of(EVENT, PART, outcomes).model_copy(update=figures_of(parsed))
    return Tried(
        report=_plain(report),
        outcomes=_told(inputs, outcomes, parsed),
        rows=tuple(
            {"node_id": node_id, "values": values}
            for node_id, rows in sorted(parsed.rows.items())
            for values in rows
        ),
        children=_children(parsed),
        set_aside=tuple(
            {
                "path": quarantine_path(trouble.path),
                "record": trouble.number if trouble.number >= 0 else None,
                "node_id": trouble.node_id,
                "reason": trouble.reason,
            }
            for trouble in (*parsed.refused.values(), *parsed.troubles)
        ),
        intents=_intents(work, inputs, parsed, outcomes),
    )


def _plain(report: HandOffReport) -> dict[str, Any]:
    """Return a report without the numbers of a run that there was not."""
    return report.model_dump(mode="json", exclude={"action_event_id", "part", "repeated"})


def _told(
    inputs: Sequence[StagedInput], outcomes: Sequence[NodeOutcome], parsed: Parsed | None
) -> tuple[dict[str, Any], ...]:
    paths = {item.node_id: item.path for item in inputs}
    made: dict[int, int] = {}
    for child in parsed.children if parsed else ():
        made[child.node_id] = made.get(child.node_id, 0) + 1
    return tuple(
        {
            "node_id": row.node_id,
            "path": paths[row.node_id],
            "outcome": row.outcome,
            "reason": row.reason,
            "rows": len(parsed.rows.get(row.node_id, ())) if parsed else 0,
            "children": made.get(row.node_id, 0),
        }
        for row in outcomes
    )


def _children(parsed: Parsed) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "node_id": child.node_id,
            "path": quarantine_path(child.path),
            "relationship": child.rule.relationship,
            "is_root": child.rule.is_root,
            "position": child.position,
            "extension": child.extension,
            "size_bytes": child.size_bytes,
        }
        for child in parsed.children
    )


def _intents(
    work: Work, inputs: Sequence[StagedInput], parsed: Parsed, outcomes: Sequence[NodeOutcome]
) -> tuple[dict[str, Any], ...]:
    keys = {path: _key(parsed, path) for path in {child.path for child in parsed.children}}
    replaced = parsed.seen | {row.node_id for row in outcomes if row.outcome == "done"}
    mark = batch_name(parsed.tree, "", list(parsed.tree.files))
    intents = build_intents(work, intent_id_of(EVENT, PART), mark, inputs, parsed, keys, replaced)
    return tuple(intent.model_dump(mode="json", exclude_defaults=True) for intent in intents)


def _key(parsed: Parsed, path: str) -> str:
    digest = hashlib.sha256()
    with parsed.tree.open(path) as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()
